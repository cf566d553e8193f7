"""Rows about reinforcement learning: a step generates, scores and learns."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from eke.calibrate.conventions import Counted
from eke.calibrate.degrees import Layout, row_layout
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
from eke.types.record import Record, replace

PROMPT = 200  # tokens of a prompt where none is stated: a question of mathematics
APART = 0.5  # share of the chips that only generate when rollouts lag a step behind
DEGREES = r"generation \[([A-Z,]+)\]=\[([^]]+)\]"
GROUP = 16  # answers to each prompt, usual for GRPO


class Rollout(Record):
    """One step of reinforcement learning: the job, and the layouts in which it generates and
    learns. apart: share of the chips that only generate; None takes turns."""

    align: Align
    generating: Plan
    learning: Plan
    apart: float | None


def rollout_setup(
    row: Row, model: Model, chip: Chip, engine: str
) -> tuple[Rollout, Layout, Counted]:
    """The step, its layout and what the metric is of it. Raises NotStated."""
    answer, said = _answer(row)
    prompt = _noted(row, r"(?<!max)[ _]prompt[\s_]*len\w*[ :=]*")
    if prompt is None:
        prompt, said = PROMPT, [*said, f"prompts of {PROMPT} tokens"]
    layout = row_layout(row, model, chip, engine, frozen=False)
    longest = max(row.whole("seq_len") or 0, int(prompt + answer))
    mean = int(prompt + answer)
    count = _answers(row) or layout.plan.batch
    critic = re.search(r"\bppo\b|rlhf", f"{row['model']} {row.notes}".lower()) is not None
    each = 1 if critic else GROUP
    align = Align(
        model=model,
        method="ppo" if critic else "grpo",
        prompts=max(count / each, 1.0),
        samples=each,
        prompt=prompt,
        answer=answer,
        longest=max(longest - prompt, answer),
        batch=max(count / each, 1.0),
        feedback="human" if critic else "rule",
    )
    packed = max(longest // mean, 1)  # sequences are packed to the longest length
    plan = replace(layout.plan, micro_batch=packed)
    rollout = Rollout(
        align=align,
        generating=_generating(row, plan),
        learning=plan,
        apart=APART if re.search(r"\boff\b|async", row.notes.lower()) else None,
    )
    done = Layout(plan=plan, sequence=mean, notes=(*layout.notes, *said))
    return rollout, done, _counted(row, count * mean, plan.chips)


def _answer(row: Row) -> tuple[float, list[str]]:
    """Mean length of an answer; half of the longest where only that is stated. Raises NotStated."""
    words = r"(?:generated|response|answer|output)[\s_]*(?:seq\w*[\s_]*)?len\w*[ :=]*"
    mean = _noted(row, r"(?<!max)[\s_,;(]" + words)
    if mean is not None:
        return mean, []
    longest = _noted(row, words)
    if longest is None:
        raise NotStated("the length of the generated answers is not stated")
    return max(longest / 2, 1.0), ["answers half as long as the longest"]


def _answers(row: Row) -> float | None:
    """Answers of one step: stated, or prompts times answers to each."""
    whole = _noted(row, r"(?:G-GBS\)?|rollout batch(?: size)?|samples/step)[ :=]*")
    if whole is not None:
        return whole
    each = re.search(
        r"(\d+)\s+(?:samples|answers|responses|generations|rollouts)[ /]*per prompt", row.notes
    )
    prompts = row.number("global_batch_sequences")
    return prompts * int(each[1]) if each and prompts else None


def _generating(row: Row, plan: Plan) -> Plan:
    """The serving engine's layout: the tensor degree of "generation [TP,PP]=[32,1]", else that of
    training."""
    found = re.search(DEGREES, row.notes)
    degrees = dict(zip(found[1].split(","), found[2].split(","), strict=False)) if found else {}
    stated = degrees.get("TP", "")
    tensor = int(stated) if stated.isdigit() and int(stated) > 0 else plan.tensor
    shared = {"pipeline": 1, "virtual": 1, "context": 1, "expert": 1}
    return replace(plan, tensor=tensor, data=max(plan.chips // tensor, 1), **shared)


def _counted(row: Row, tokens: float, chips: int) -> Counted:
    if row.metric == "iteration_time_s":
        return Counted(coefficient=1.0, power=1)
    if row.metric == "tokens_per_sec_per_chip":
        return Counted(coefficient=tokens / chips, power=-1)
    raise NotStated(f"{row.metric} is no figure of a step of reinforcement learning")


def _noted(row: Row, words: str) -> float | None:
    found = re.search(words + r"(\d+)", row.notes)
    return float(found[1]) if found and int(found[1]) > 0 else None


def iteration_time(rollout: Rollout, pool: Pool, knobs: Knobs) -> Any:
    """Time of one step: rollout, then scoring and update, or both at once on chips of their own
    [s]."""
    align, learning, own = rollout.align, rollout.learning, rollout.apart
    generating = round_times(align, rollout.generating, machine(pool, rollout.generating, knobs))
    rest = round_times(align, learning, machine(pool, learning, knobs))
    after = rest.scoring + rest.update
    if own is None:
        return generating.rollout + after
    return np.maximum(generating.rollout / own, after / (1 - own))
