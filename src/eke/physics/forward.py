"""The time of one forward pass, with its parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics import exchange
from eke.physics.machine import Machine
from eke.physics.operations import (
    ACTIVATION,
    AnyPlan,
    Batch,
    Operation,
    all_tokens,
    logits_operation,
    stack_operations,
    words_operation,
)
from eke.physics.roofline import matmul_rate, narrow_heads, roofline_time
from eke.types.model import Model, Stack
from eke.types.plan import BYTES
from eke.types.record import Record


class Done(Record):
    """An operation of a pass: its time on one chip, and if only memory mattered [s]."""

    operation: Operation
    time: Any
    reading: Any


class Pass(Record):
    """Seconds of one pass through all layers, on each of the chips that share it.

    matrices, attention, elementwise, launch: computing.  tensor, context, expert, stage:
    exchanging, before any overlap.  dispatch: of the host, to start all of it without captured
    graphs, beside the chip's work.  done: what was computed, which is added up when asked for.
    adapters: computing with low-rank factors of fine-tunes, its launches included.
    """

    matrices: Any
    logits: Any
    attention: Any
    elementwise: Any
    launch: Any
    dispatch: Any
    tensor: Any
    context: Any
    expert: Any
    stage: Any
    done: tuple[Done, ...]
    adapters: Any = 0.0

    @property
    def compute(self) -> Any:
        """All computing [s]."""
        base = self.matrices + self.logits + self.attention + self.elementwise + self.launch
        return base + self.adapters

    @property
    def exchange(self) -> Any:
        """All exchanging [s]."""
        return self.tensor + self.context + self.expert + self.stage

    @property
    def waiting(self) -> Any:
        """The part of matrices and logits in which the chip waits for weights from memory [s]."""
        return sum(
            np.where(each.reading >= 0.5 * each.time, each.operation.times * each.reading, 0.0)
            for each in self.done
            if each.operation.kind == "matrix" and each.operation.part != "adapters"
        )

    @property
    def flop(self) -> Any:
        """Executed on one chip [FLOP]."""
        return sum(each.operation.times * each.operation.flop for each in self.done)

    @property
    def core(self) -> Any:
        """Of it, in the attention core, which has no weights [FLOP]."""
        cores = (each.operation for each in self.done if each.operation.kind == "attention")
        return sum(core.times * core.flop for core in cores)


def operation_time(operation: Operation, machine: Machine) -> tuple[Any, Any]:
    """Time of one operation on one chip, and its time if only memory mattered [s]."""
    # weights from slower memory count as more bytes from the faster one
    moved = operation.weights * (machine.memory / machine.weights) + operation.moved
    reading = moved / machine.memory
    if operation.kind == "stream":
        passes = machine.knobs.passes if operation.part == "elementwise" else 1.0
        reading = reading * passes
        return reading, reading
    flop = operation.flop
    if operation.kind == "attention":  # kernels that keep the scores in memory compute them all
        rate = attention_rate(operation.rows, operation.columns, machine)
        if np.any(np.asarray(machine.knobs.scores) > 0):
            moved = moved + ACTIVATION * machine.knobs.scores * operation.scores
            flop = flop * np.where(np.asarray(machine.knobs.scores) > 0, 2.0, 1.0)
    else:
        rate = matmul_rate(
            peak=machine.logits if operation.part == "logits" else machine.peak,
            rows=np.maximum(operation.rows, 1e-9),  # a model without logits has none
            half_rows=machine.rows,
            columns=np.maximum(operation.columns, 1e-9),
            half_columns=machine.columns,
        )
    if operation.part == "experts":
        rate = rate * machine.knobs.grouped
    time = roofline_time(
        flop=flop,
        rate=rate,
        moved=moved,
        speed=machine.memory,
        overlap=machine.knobs.overlap_memory,
    )
    if operation.part == "experts":
        imbalance = np.where(np.asarray(operation.ranks) > 1, machine.knobs.imbalance, 1.0)
        return time * imbalance, reading * imbalance
    return time, reading


def attention_rate(keys: Any, head: Any, machine: Machine) -> Any:
    """Arithmetic speed of the attention core over sequences of so many keys, with heads of that
    size [FLOP/s]."""
    seen = np.maximum(keys, 1.0)  # cross-attention without an encoder sees none
    speed = machine.attention * narrow_heads(size=head)
    return speed * seen / (seen + machine.knobs.attention_tokens)


def model_operations(
    model: Model, work: tuple[Batch, ...], plan: AnyPlan, logits_rows: Any
) -> list[Operation]:
    """Every operation of one pass on one chip, logits included."""
    found = [
        op for stack in model.stacks for op in stack_operations(stack, model.hidden, work, plan)
    ]
    rows = all_tokens(work) / plan.context
    for matrix in model.matrices:
        found.append(_outside(matrix.inputs, matrix.outputs, rows, plan))
    if model.embedding:
        found.append(_outside(2 * model.embedding, model.hidden, rows, plan))
    found.append(
        logits_operation(model.embedding or model.hidden, model.vocabulary, logits_rows, plan)
    )
    found.append(words_operation(model.vocabulary, logits_rows, plan))
    return found


def _outside(inputs: int, outputs: int, rows: Any, plan: AnyPlan) -> Operation:
    op = logits_operation(inputs, outputs, rows, plan)
    return Operation(
        part="outside",
        name="matrix outside the layers",
        kind="matrix",
        flop=op.flop,
        weights=op.weights,
        moved=op.moved,
        rows=rows,
        times=1,
        columns=op.columns,
    )


def forward(
    model: Model, work: tuple[Batch, ...], plan: AnyPlan, machine: Machine, logits_rows: Any
) -> Pass:
    """Time of one forward pass of `work` through the whole model."""
    sums: dict[str, Any] = dict.fromkeys(("matrix", "attention", "stream"), 0.0)
    logits = casts = 0.0
    casting = casts_per_input(plan)
    tokens = all_tokens(work) / plan.context
    done = []
    for operation in model_operations(model, work, plan, logits_rows):
        once, reading = operation_time(operation, machine)
        done.append(Done(operation=operation, time=once, reading=reading))
        if operation.part == "logits":
            logits = logits + once
        else:
            sums[operation.kind] = sums[operation.kind] + operation.times * once
            if casting and operation.kind == "matrix":
                casts = casts + operation.times * operation.moved
    launches = sum(each.operation.times for each in done)
    return Pass(
        matrices=sums["matrix"],
        logits=logits,
        attention=sums["attention"],
        elementwise=sums["stream"] + casting * casts / machine.memory,
        launch=launches * machine.knobs.launch,
        dispatch=launches * machine.knobs.dispatch,
        tensor=exchange.tensor_exchange(model, tokens, plan, machine),
        context=exchange.context_exchange(model, tokens, plan, machine),
        expert=exchange.expert_exchange(model, tokens, plan, machine),
        stage=exchange.stage_exchange(model, tokens, plan, machine),
        done=tuple(done),
    )


def casts_per_input(plan: AnyPlan) -> float:
    """How often the inputs of 8- and 4-bit matrix multiplications pass through memory to be
    written in that format.

    Each input is read in 16 bits and written in 8, as it is and transposed: about as many bytes as
    the multiplication's own inputs and results in 16 bits; for 4 bits they are rotated first, which
    takes as much again.
    """
    width = BYTES[plan.compute]
    return 0.0 if width >= ACTIVATION else 1.0 if width >= 1 else 2.0


def encoder_pass(
    stacks: tuple[Stack, ...],
    hidden: int,
    items: Any,
    positions: int,
    plan: AnyPlan,
    machine: Machine,
) -> Any:
    """Time to encode `items` images or sound windows [s]."""
    work = (Batch(sequences=items, new=positions),)
    total: Any = 0.0
    for stack in stacks:
        for operation in stack_operations(stack, hidden, work, plan):
            total = total + operation.times * (
                operation_time(operation, machine)[0] + machine.knobs.launch
            )
    return total
