"""Rows about reinforcement learning: a step generates, scores and learns."""

from __future__ import annotations

import re
from typing import Any

from eke.calibrate.conventions import Counted
from eke.calibrate.layouts import Layout, row_layout
from eke.calibrate.rows import Row
from eke.calibrate.shapes import NotStated
from eke.physics.align import round_times
from eke.physics.machine import machine
from eke.types.chip import Chip
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool
from eke.types.job import Align
from eke.types.model import Model
from eke.types.plan import Plan
from eke.types.record import replace

PROMPT = 200  # tokens of a prompt where none is stated: a question of mathematics
APART = 0.5  # share of the chips that only generate when rollouts lag a step behind


def rollout_setup(row: Row, model: Model, chip: Chip, engine: str) -> tuple[Align, Layout, Counted]:
    """The job, its layout and what the metric is of a step. Raises NotStated."""
    answer = _noted(row, r"(?:generated|response|answer|output)\s*(?:seq\w*\s*)?len\w*[ :=]*")
    if answer is None:
        raise NotStated("the length of the generated answers is not stated")
    layout = row_layout(row, model, chip, engine, frozen=False)
    longest = row.whole("seq_len") or int(PROMPT + answer)
    mean = int(min(PROMPT + answer, longest))
    count = _noted(row, r"(?:G-GBS\)?|rollout batch|samples/step)[ :=]*") or layout.plan.batch
    align = Align(
        model=model,
        method="grpo",
        prompts=count,
        prompt=max(mean - answer, 1.0),
        answer=answer,
        batch=count,
        feedback="rule",
        split=APART if re.search(r"\boff\b|async", row.notes.lower()) else None,
    )
    packed = max(longest // mean, 1)  # sequences are packed to the longest length
    plan = replace(layout.plan, micro_batch=packed)
    said = (*layout.notes, f"prompts of {PROMPT} tokens")
    done = Layout(plan=plan, sequence=mean, notes=said)
    return align, done, _counted(row, count * mean, plan.chips)


def _counted(row: Row, tokens: float, chips: int) -> Counted:
    if row.metric == "iteration_time_s":
        return Counted(coefficient=1.0, power=1)
    if row.metric == "tokens_per_sec_per_chip":
        return Counted(coefficient=tokens / chips, power=-1)
    raise NotStated(f"{row.metric} is no figure of a step of reinforcement learning")


def _noted(row: Row, words: str) -> float | None:
    found = re.search(words + r"(\d+)", row.notes)
    return float(found[1]) if found and int(found[1]) > 0 else None


def iteration_time(align: Align, plan: Plan, pool: Pool, knobs: Knobs) -> Any:
    """Time of one step: rollout, scoring and update [s]."""
    return round_times(align, plan, machine(pool, plan, knobs)).total
