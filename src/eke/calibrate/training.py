"""Rows of the training table as jobs on plans and pools, gathered into blocks.

Rows that share model, chip, formats, recomputation, ZeRO stage and engine are one block: their
degrees, batches and sequence lengths are arrays of shape (rows, 1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Literal

import numpy as np

from eke.calibrate.blocks import Block, Regime, Skipped, priceable
from eke.calibrate.conventions import Counted, counted
from eke.calibrate.degrees import Layout, row_layout, row_pool
from eke.calibrate.parameters import TRAINING
from eke.calibrate.rollouts import Rollout, iteration_time, rollout_setup
from eke.calibrate.rows import Row
from eke.calibrate.shapes import NotStated, row_model
from eke.catalog.chips import chip as catalogued
from eke.catalog.engines import engine
from eke.errors import EkeError
from eke.physics.learn import Learning, step_time
from eke.physics.machine import machine
from eke.physics.tune import tune_learning
from eke.types.chip import Chip
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool
from eke.types.job import Tune
from eke.types.model import Model
from eke.types.plan import NUMBERS, Plan, Plans
from eke.types.record import Record, fields, replace

RANK = 16  # of low-rank factors where none is stated
SHARED = tuple(name for name in fields(Plan(chip="")) if name not in NUMBERS)


class Setup(Record):
    """One row as a job on a plan and a pool. rollout: of a row about reinforcement learning."""

    row: Row
    task: str
    learning: Learning
    layout: Layout
    pool: Pool
    counted: Counted
    engine: str
    rollout: Rollout | None = None


def training_blocks(rows: Iterable[Row]) -> tuple[list[Block], list[Skipped]]:
    """Every unflagged row of the training table as part of a block, or skipped with a reason."""
    groups: dict[tuple[Any, ...], list[Setup]] = {}
    skipped = []
    for row in rows:
        if row.table != "training":
            continue
        try:
            setup = _setup(row)
        except EkeError as error:
            skipped.append(Skipped(row=row, reason=str(error)))
            continue
        groups.setdefault(_key(setup), []).append(setup)
    return [_block(setups) for setups in groups.values()], skipped


def _setup(row: Row) -> Setup:
    """What a row describes, never what it measured. Raises EkeError with why it cannot be said."""
    if row.flag:
        raise NotStated(row.flag)
    if re.search(r"(?<!no )(?:cpu )?offload(?:ing)?\b(?! false)", _state_words(row)):
        raise NotStated("state is offloaded to the host, which is not priced")
    chip = _chip(row["chip"])
    model, assumed = row_model(row)
    who = training_engine(row)
    task = row_task(row)
    if task.startswith("rl"):
        rollout, layout, count = rollout_setup(row, model, chip, who)
        learning = Learning(model=model, sequence=layout.sequence)
    else:
        frozen = task in ("lora", "qlora")
        rollout = None
        layout = row_layout(row, model, chip, who, frozen)
        learning = row_learning(row, model, task)
        count = counted(row, model, layout.plan, layout.sequence, chip, frozen)
    priceable(chip, layout.plan.compute)
    notes = (*assumed, *layout.notes)
    return Setup(
        row=row,
        task=task,
        learning=learning,
        layout=replace(layout, notes=notes),
        pool=row_pool(row, chip, layout.plan.chips),
        counted=count,
        engine=who,
        rollout=rollout,
    )


def _state_words(row: Row) -> str:
    return f"{row['zero_stage_or_fsdp']} {row['notes']}".lower()


@cache
def _chip(label: str) -> Chip:
    if not label:
        raise NotStated("the chip is not stated")
    return catalogued(label)


def training_engine(row: Row) -> str:
    """The id of the engine profile for the row's framework, "" when nobody knows it."""
    found = engine(row["framework"], row["framework"], does="train")
    return found.id if found else ""


def row_task(row: Row) -> str:
    """ "train", "full", "lora", "qlora", or "rl" and its method."""
    said = re.search(r"task=([\w:./-]+)", row.notes)
    task = said[1].lower() if said else "pretrain"
    if task.startswith("rl"):
        return task
    words = f"{task} {row['model']}".lower()
    if re.search(r"q-?lora", words):
        return "qlora"
    if task.startswith(("lora", "peft")):
        full = task.endswith((":full", ":full-finetuning"))
        return "full" if full else "lora"
    return "full" if task.startswith(("sft", "full", "dpo")) else "train"


def row_learning(row: Row, model: Model, task: str) -> Learning:
    """What learns: all weights, or low-rank factors of the stated rank or number."""
    if task == "train":
        return Learning(model=model, sequence=1)
    method: Literal["full", "lora", "qlora"] = "qlora" if task == "qlora" else "lora"
    rank = re.search(r"(?:rank|\br)\s?=?\s?(\d+)", f"{row.notes} {row['model']}")
    job = Tune(
        model=model,
        tokens=1.0,
        method="full" if task == "full" else method,
        objective="dpo" if "task=dpo" in row.notes else "sft",
        rank=int(rank[1]) if rank and int(rank[1]) > 0 else RANK,
    )
    learning = tune_learning(job)
    trained = re.search(r"trainable (\d+) of", row.notes)
    if trained and learning.frozen:
        return replace(learning, trainable=float(trained[1]))
    return learning


def _key(setup: Setup) -> tuple[Any, ...]:
    """What the rows of a block share."""
    plan, pool, learning = setup.layout.plan, setup.pool, setup.learning
    shared = tuple(getattr(plan, name) for name in SHARED)
    trained = (learning.frozen, learning.trainable, learning.stored, learning.reads)
    what = (id(learning.model), *trained)
    where = (pool.chip.id, pool.domain, pool.network_speed)
    return (*shared, *what, *where, setup.rollout and repr(setup.rollout))


def _block(setups: list[Setup]) -> Block:
    first = setups[0]
    return Block(
        rows=tuple(setup.row for setup in setups),
        regimes=tuple(_regime(setup) for setup in setups),
        tables=(first.pool.chip.family, first.engine or TRAINING),
        predict=_predictor(setups),
        notes=tuple("; ".join(setup.layout.notes) for setup in setups),
        chip=first.pool.chip.id,
        model=first.learning.model.id,
        engine=first.row["framework"],
    )


def _regime(setup: Setup) -> Regime:
    task = "training" if setup.task == "train" else "tuning"
    if setup.rollout is not None:
        task = "alignment"
    routed = setup.learning.model.experts > 0
    return Regime(task=task, scenario="moe" if routed else "dense", metric=setup.row.metric)


def _predictor(setups: list[Setup]) -> Callable[[Knobs], Any]:
    """The metric of every row of a block, shape (rows, cases)."""
    plans, pool = stacked([setup.layout.plan for setup in setups]), setups[0].pool
    times = _column([setup.counted.coefficient for setup in setups], float)
    powers = _column([setup.counted.power for setup in setups], float)
    lengths = _column([setup.layout.sequence for setup in setups], float)
    learning = replace(setups[0].learning, sequence=lengths)
    rollout = setups[0].rollout

    def predict(knobs: Knobs) -> Any:
        if rollout is not None:
            seconds = iteration_time(rollout, pool, knobs)
        else:
            seconds = step_time(learning, plans, machine(pool, plans, knobs)).total
        return times * seconds**powers

    return predict


def stacked(plans: list[Plan]) -> Plans:
    """Plans that share their choices as one, with columns of numbers."""
    columns = {name: _column([getattr(plan, name) for plan in plans], np.int64) for name in NUMBERS}
    return Plans(base=plans[0], **columns)


def _column(values: list[Any], kind: Any) -> Any:
    return np.array(values, dtype=kind).reshape(-1, 1)
