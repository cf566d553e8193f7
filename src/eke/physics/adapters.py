"""Fine-tunes served as low-rank factors beside one model: their bytes, their time, their misses.

Every linear matrix of mixers and dense feed-forward networks has two factors, inputs × rank and
rank × outputs, in 16 bits (hu2021). A replica holds some of them, `adapter_slots`; a batch reads
the factors of each fine-tune that is in it once, in kernels that gather them (chen2023punica,
sheng2023slora). Factors are cut where their matrix is, and whole on the other side, as vLLM does by
default; so they exchange nothing more. A request whose fine-tune is not resident waits for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics.formula import Number, formula
from eke.physics.forward import Done, Pass, operation_time
from eke.physics.layers import Weights, adapted_weights
from eke.physics.machine import Machine
from eke.physics.operations import ACTIVATION, AnyPlan, Batch, Operation
from eke.types.job import Serve
from eke.types.model import Model
from eke.types.record import replace

KERNELS = 2  # per matrix of the engine: down to the rank, and up again


@formula(unit="1", equation="A (1 − (1 − 1/A)^n)", source=("sheng2023slora", "eke-derived"))
def distinct_adapters(*, adapters: Number, sequences: Number) -> Number:
    """Distinct fine-tunes in a batch, all asked for equally often [1].

    adapters: fine-tunes there are [1].  sequences: in the batch [1].
    """
    A, n = adapters, sequences
    return A * (1 - (1 - 1 / A) ** np.maximum(n, 1.0))


@formula(unit="1", equation="1 − min(resident, A) / A", source=("eke-derived",))
def miss_chance(*, adapters: Number, resident: Number) -> Number:
    """Chance that a request's fine-tune is not resident, all asked for equally often [1].

    adapters: fine-tunes there are [1].  resident: of them on a replica [1].
    """
    A = adapters
    return 1 - np.minimum(resident, A) / A


def sharing(job: Serve, plan: AnyPlan) -> Any:
    """Replicas among which the rate is divided evenly, as the busiest of them sees it.

    Where each fine-tune has a merged copy of its own, replicas go to it in equal numbers and those
    left over help some; the others carry more.
    """
    if not job.adapters:
        return plan.replicas
    each = np.maximum(np.floor(plan.replicas / job.adapters), 1)
    merged = np.minimum(job.adapters * each, plan.replicas)
    return np.where(np.asarray(plan.adapter_slots) > 0, plan.replicas, merged)


def misses(job: Serve, plan: AnyPlan) -> Any:
    """Share of requests that wait for their fine-tune to be loaded."""
    if not job.adapters:
        return 0.0
    missed = miss_chance(adapters=job.adapters, resident=plan.adapter_slots)
    return np.where(np.asarray(plan.adapter_slots) > 0, missed, 0.0)


def adapter_bytes(model: Model, rank: int, plan: AnyPlan) -> Any:
    """Factors of one fine-tune on the fullest chip [B]."""
    layers = model.layers
    stage = np.ceil(layers / plan.pipeline) / layers
    numbers: Any = 0.0
    for stack in model.stacks:
        for w, fused in adapted_weights(stack.block, model.hidden):
            inputs, outputs = _cut(w, plan)
            numbers = numbers + stack.count * rank * (fused * inputs + outputs)
    return ACTIVATION * numbers * stage


def resident_bytes(job: Serve, plan: AnyPlan) -> Any:
    """Factors of the fine-tunes that a replica holds, on the fullest chip [B]."""
    if not job.adapters:
        return 0.0
    return plan.adapter_slots * adapter_bytes(job.model, job.adapter_rank, plan)


def _cut(w: Weights, plan: AnyPlan) -> tuple[Any, Any]:
    """Inputs and outputs of a matrix on one of its tensor ranks."""
    ranks = np.minimum(plan.tensor, w.pieces or w.inputs * w.outputs)
    inputs = w.inputs / ranks if w.split == "rows" else w.inputs
    return inputs, w.outputs / ranks if w.split == "columns" else w.outputs


def with_adapters(
    once: Pass, job: Serve, work: tuple[Batch, ...], plan: AnyPlan, machine: Machine
) -> Pass:
    """A pass with what the factors of its sequences' fine-tunes add to it."""
    if not job.adapters:
        return once
    many = np.asarray(plan.adapter_slots) > 0
    rows = sum(batch.tokens for batch in work) / plan.context
    there = distinct_adapters(
        adapters=job.adapters, sequences=sum(batch.sequences for batch in work)
    )
    distinct = np.maximum(np.minimum(there, plan.adapter_slots), 1.0)
    time: Any = 0.0
    done = []
    for stack in job.model.stacks:
        adapted = adapted_weights(stack.block, job.model.hidden)
        for w, fused in adapted:
            for operation in _products(w, fused, job.adapter_rank, rows, distinct, plan):
                each, reading = operation_time(operation, machine)
                time = time + stack.count * each
                flop = np.where(many, operation.flop, 0.0)
                counted = replace(operation, flop=flop, times=stack.count)
                done.append(Done(operation=counted, time=each, reading=reading))
        groups = {(w.part, w.inputs, w.split, w.encoder) for w, _ in adapted}
        time = time + stack.count * len(groups) * KERNELS * machine.knobs.launch
    time = np.where(many, time * machine.knobs.adapter_time, 0.0)
    return replace(once, adapters=time, done=(*once.done, *done))


def _products(
    w: Weights, fused: int, rank: int, rows: Any, distinct: Any, plan: AnyPlan
) -> tuple[Operation, Operation]:
    """The two thin products beside one matrix: rows to the rank, and back to its outputs.

    Their kernels divide the long side over the chip (chen2023punica), so that it and not the rank
    decides how full the chip is.
    """
    inputs, outputs = _cut(w, plan)
    down = _product(rank * fused * inputs, rows, distinct, inputs, inputs + fused * rank)
    up = _product(rank * outputs, rows, distinct, outputs, fused * rank + 2 * outputs)
    return down, up


def _product(numbers: Any, rows: Any, distinct: Any, long: Any, passed: Any) -> Operation:
    """numbers: of a factor.  long: its longer side.  passed: numbers read and written per row."""
    return Operation(
        part="adapters",
        name="low-rank factors",
        kind="matrix",
        flop=2 * rows * numbers,
        weights=ACTIVATION * numbers * distinct,
        moved=ACTIVATION * rows * passed,
        rows=rows / distinct,
        times=1,
        columns=long,
    )
