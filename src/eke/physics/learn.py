"""One step of learning: forward, backward, exchange, update.

Training, fine-tuning and the update of alignment differ only in what a `Learning` says.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics import exchange, footprint, memory, pipeline
from eke.physics.forward import Pass, forward
from eke.physics.machine import Machine
from eke.physics.operations import ACTIVATION, AnyPlan, Batch, expert_cut
from eke.physics.roofline import hidden_time
from eke.types.efficiency import Knobs
from eke.types.model import Experts, Model
from eke.types.plan import BYTES
from eke.types.record import Record


class Learning(Record):
    """What is learnt from what.

    sequence [tokens].  frozen: the model's own weights stay; `trainable` others learn.
    stored: bytes per weight of a frozen model.  reads: further forward passes per step, by a
    reference model (as a share of one forward pass).  reference: whether that is a second copy of
    the model, in 16 bits.  scores: logits rows per token (0 for a model with a scalar head).
    """

    model: Model
    sequence: int
    frozen: bool = False
    trainable: float = 0.0
    stored: float | None = None
    reads: float = 0.0
    reference: bool = False
    scores: float = 1.0


class StepTime(Record):
    """Seconds of one optimizer step, by part; they add up to `total`."""

    forward: Any
    backward: Any
    recompute: Any
    tensor: Any
    context: Any
    expert: Any
    stage: Any
    bubble: Any
    data: Any
    update: Any
    total: Any
    compute: Any  # all computing, for the bounds
    exchange: Any  # all exchanging before overlap
    flop: Any  # executed per chip
    each: Any  # of a micro-batch, forward and backward on one stage


def micro_batches(plan: AnyPlan) -> Any:
    """Micro-batches of one data-parallel rank per step."""
    return np.maximum(np.ceil(plan.batch / (plan.data * plan.micro_batch)), 1)


def sequence_cut(plan: AnyPlan) -> Any:
    """Ranks that share what lies outside tensor parallelism, thanks to sequence parallelism."""
    return plan.tensor if plan.sequence else 1


def learning_pass(learning: Learning, plan: AnyPlan, machine: Machine) -> Pass:
    """The forward pass of one micro-batch."""
    cut = sequence_cut(plan)
    work = (Batch(sequences=plan.micro_batch, new=learning.sequence, cut=cut),)
    rows = plan.micro_batch * learning.sequence / plan.context * learning.scores
    return forward(learning.model, work, plan, machine, logits_rows=rows)


def step_time(learning: Learning, plan: AnyPlan, machine: Machine, crossing: Any = 0.0) -> StepTime:
    """One optimizer step over the whole global batch. crossing: what handing on takes beyond that
    from stage to stage of equal chips, over all boundaries of one pass [s]."""
    once, knobs, m = learning_pass(learning, plan, machine), machine.knobs, micro_batches(plan)
    ahead, backward, again = _computing(once, learning, plan, machine)
    work = _exchanges(once, learning, plan, ahead + backward + again, knobs)
    uneven = _uneven(learning.model.layers, plan, knobs)
    uneven = uneven * _heavy_end(once, learning, plan, work.compute, knobs)
    share = m / plan.pipeline * uneven  # of a whole pass over all micro-batches, on one stage
    whole = 2 * (once.stage + crossing) / plan.pipeline  # handing on, forward and backward
    four = hidden_time(exchange=whole, room=work.room / plan.pipeline, overlap=knobs.overlap_stage)
    handing = whole - four
    per_stage = (work.compute + work.exposed) / plan.pipeline * uneven + handing
    bubble = pipeline_bubble(plan, per_stage)
    if plan.schedule == "zero-bubble":
        part = forward_shares(learning, plan)
        there = ahead + sum(part[name] * getattr(work, name) for name in _WITHIN)
        late = backward * weight_gradient_share(once, learning, plan, machine)
        each = uneven / plan.pipeline
        there = there * each + part["stage"] * handing
        bubble = zero_bubble(plan, per_stage, forward=there, weight=late * each)
    update = update_time(learning, plan, machine) + knobs.turn
    data = data_exchange(learning, plan, machine)
    left = work.room - four * plan.pipeline
    behind = share if plan.shard == 3 else share / m  # FSDP gathers all along, others at the end
    exposed = data - hidden_time(exchange=data, room=left * behind, overlap=knobs.overlap_data)
    parts = {
        "forward": share * ahead,
        "backward": share * backward,
        "recompute": share * again,
        "tensor": share * work.tensor,
        "context": share * work.context,
        "expert": share * work.expert,
        "stage": m * handing,
        "bubble": bubble,
        "data": exposed,
        "update": update,
    }
    slow = knobs.scatter * (1 + knobs.straggle * np.log2(plan.chips))
    return StepTime(
        **{name: value * slow for name, value in parts.items()},
        total=sum(parts.values()) * slow,
        compute=(share * work.compute + bubble + update) * slow,
        exchange=(share * work.whole + m * whole + data) * slow,
        flop=m / plan.pipeline * executed_flop(once, learning, plan),
        each=per_stage * slow,
    )


_WITHIN = ("tensor", "context", "expert")  # exchanges between and within layers


def forward_shares(learning: Learning, plan: AnyPlan) -> dict[str, float]:
    """Of each exchange of a micro-batch, the share that belongs to its forward pass."""
    ahead = (1 + learning.reads) / exchange_rounds(learning, plan)
    return {"tensor": ahead, "context": 1 / 3, "expert": ahead, "stage": 1 / 2}


def _computing(
    once: Pass, learning: Learning, plan: AnyPlan, machine: Machine
) -> tuple[Any, Any, Any]:
    """Forward, backward and repeated computing of one micro-batch, the host's time included [s]."""
    routing = machine.knobs.routing * _routed_layers(learning.model)
    full = float(plan.recompute == "full")
    ahead = once.compute * (1 + learning.reads) + routing
    backward = backward_compute(once, learning, plan, machine) + 2 * routing
    again = full * (once.compute + routing)
    slower = _host_bound(once, learning, plan, ahead + backward + again)
    return ahead * slower, backward * slower, again * slower


def _routed_layers(model: Model) -> int:
    return sum(stack.count for stack in model.stacks if isinstance(stack.block.feed, Experts))


def _host_bound(once: Pass, learning: Learning, plan: AnyPlan, compute: Any) -> Any:
    """By how much a micro-batch takes longer than its computing because the host starts its
    operators one by one; the backward pass has twice as many, adapters add three thin ones to
    each matrix."""
    passes = 3.0 + (plan.recompute == "full") + learning.reads
    host = once.dispatch * passes * (2.0 if learning.frozen else 1.0)
    return np.maximum(host / compute, 1.0)


def _heavy_end(once: Pass, learning: Learning, plan: AnyPlan, compute: Any, knobs: Knobs) -> Any:
    """Last over mean pipeline stage: the logits stand on one stage, unless it has fewer layers."""
    logits = once.logits * (2.0 if learning.frozen else 3.0)
    return 1 + knobs.logits_alone * (plan.pipeline - 1) * logits / compute


class _Exchange(Record):
    """Exchanges of one micro-batch over all layers [s]: what each adds to the computing, all of
    them before overlap, and the computing that still hides nothing."""

    compute: Any
    tensor: Any
    context: Any
    expert: Any
    whole: Any
    room: Any

    @property
    def exposed(self) -> Any:
        """What exchanging adds in all."""
        return self.tensor + self.context + self.expert


def _exchanges(
    once: Pass, learning: Learning, plan: AnyPlan, compute: Any, knobs: Knobs
) -> _Exchange:
    """Tensor and expert exchanges happen once per pass over the layers; the ring of context
    ranks passes keys and values once forward and, with their gradients, twice backward."""
    rounds = exchange_rounds(learning, plan)
    tensor, context, expert = rounds * once.tensor, 3 * once.context, rounds * once.expert
    one = hidden_time(exchange=tensor, room=compute, overlap=knobs.overlap_tensor)
    attending = np.minimum(3 * once.attention, compute - one)
    two = hidden_time(exchange=context, room=attending, overlap=knobs.overlap_context)
    room = compute - one - two
    three = hidden_time(exchange=expert, room=room, overlap=knobs.overlap_expert)
    return _Exchange(
        compute=compute,
        tensor=tensor - one,
        context=context - two,
        expert=expert - three,
        whole=tensor + context + expert,
        room=room - three,
    )


def exchange_rounds(learning: Learning, plan: AnyPlan) -> float:
    """Passes over the layers of a micro-batch that exchange: forward, again, backward."""
    return (3.0 if plan.recompute == "full" else 2.0) + learning.reads


def _uneven(layers: int, plan: AnyPlan, knobs: Any) -> Any:
    """Slowest over mean stage: layers that do not divide evenly, then what the ends carry."""
    cuts = plan.pipeline * plan.virtual
    rounded = np.ceil(layers / cuts) * cuts / layers
    rounded = footprint.as_said(plan, plan.stage_layers * plan.pipeline / layers, rounded)
    return rounded * np.where(np.asarray(plan.pipeline) > 1, knobs.stage_imbalance, 1.0)


def backward_compute(once: Pass, learning: Learning, plan: AnyPlan, machine: Machine) -> Any:
    """Computing of the backward pass: gradients of inputs, and of weights unless frozen [s].

    The attention core takes 2 forward passes, and half a pass more where fused kernels compute its
    scores again instead of keeping them (FlashAttention, dao2023), at the backward speed.
    """
    matrices = once.matrices * (1.0 if learning.frozen else 2.0)
    core = np.where(np.asarray(machine.knobs.scores) > 0, 2.0, 2.5)
    attention = once.attention * core * machine.attention / machine.attention_backward
    adapters = _adapter_time(learning, plan, machine)
    others = 2 * once.elementwise + 2 * once.launch
    scores = once.logits * (1.0 if learning.frozen else 2.0)
    return matrices + attention + scores + others + adapters


def weight_gradient_share(once: Pass, learning: Learning, plan: AnyPlan, machine: Machine) -> Any:
    """Computing of the weights' gradients over that of the whole backward pass; of adapters, a
    third of their time."""
    own = _adapter_time(learning, plan, machine) / 3 if learning.frozen else once.matrices
    scores = 0.0 if learning.frozen else once.logits
    routing = 2 * machine.knobs.routing * _routed_layers(learning.model)
    return (own + scores) / (backward_compute(once, learning, plan, machine) + routing)


def _adapter_time(learning: Learning, plan: AnyPlan, machine: Machine) -> Any:
    """Low-rank factors: three thin matrix multiplications beside each frozen one [s].

    They are too thin for the matrix units, so reading and writing activations bounds them; each
    launch counts for forward and backward.
    """
    if not learning.frozen:
        return 0.0
    tokens = plan.micro_batch * learning.sequence / plan.context
    layers, passes = learning.model.layers, machine.knobs.passes
    flop = 6 * tokens * learning.trainable / plan.tensor
    moved = passes * 7 * 6 * ACTIVATION * tokens * learning.model.hidden * layers / plan.tensor
    unpacking = 0.0
    if learning.stored is not None and learning.stored < 1:
        held = footprint.held_parameters(learning.model, plan).total
        times = 2.0 + (plan.recompute == "full")  # each pass unpacks, by kernels of their own
        unpacking = times * passes * held * (learning.stored + 2 * ACTIVATION) / machine.memory
    launches = 7 * 2 * 3 * layers * machine.knobs.launch
    return flop / machine.peak + moved / machine.memory + launches + unpacking


def executed_flop(once: Pass, learning: Learning, plan: AnyPlan) -> Any:
    """FLOP that one chip executes for one micro-batch, over all stages. Frozen weights need no
    gradient; queries, keys and values always do."""
    passes = 3.0 + (1.0 if plan.recompute == "full" else 0.0) + learning.reads
    return once.flop * passes - (once.flop - once.core) * learning.frozen


def pipeline_bubble(plan: AnyPlan, per_stage: Any) -> Any:
    """Time per step in which a stage waits for others [s]."""
    return pipeline.bubble_time(
        micro_batch_time=per_stage, stages=plan.pipeline, virtual=plan.virtual
    )


def zero_bubble(plan: AnyPlan, per_stage: Any, *, forward: Any, weight: Any) -> Any:
    """The same where gradients of weights fill the waiting [s]. forward, weight: the parts of a
    micro-batch's time on a stage in the forward pass and in those gradients."""
    return pipeline.zero_bubble_time(
        forward=forward,
        backward=per_stage - forward - weight,
        weight=weight,
        stages=plan.pipeline,
        micro_batches=micro_batches(plan),
    )


def learnt_parameters(learning: Learning, plan: AnyPlan) -> footprint.Held:
    """Parameters with gradients and optimizer state on the fullest chip, before sharding."""
    held = footprint.held_parameters(learning.model, plan)
    if not learning.frozen:
        return held
    each = learning.trainable / (plan.tensor * plan.pipeline)
    layers = learning.model.layers
    each = each * footprint.as_said(plan, plan.stage_layers * plan.pipeline / layers, 1.0)
    return footprint.Held(dense=each, experts=0.0 * each)


def data_ranks(plan: AnyPlan) -> tuple[Any, Any]:
    """Ranks that hold the same dense parameters, and the same experts."""
    dense = plan.data * plan.context
    experts = dense * plan.tensor / (plan.expert * expert_cut(plan))
    return dense, np.maximum(experts, 1)


def data_exchange(learning: Learning, plan: AnyPlan, machine: Machine) -> Any:
    """Reducing gradients and gathering parameters over the data-parallel ranks, per step [s]."""
    if plan.stream:
        return 0.0 * machine.network  # reduced on the way to the external memory
    learnt = learnt_parameters(learning, plan)
    dense, experts = data_ranks(plan)
    copies = dense / _shard_ranks(plan, dense)
    once = _reduce_and_gather(learnt.dense, dense / copies, plan.tensor, plan, machine)
    once = once + _reduce_and_gather(learnt.experts, experts, plan.tensor, plan, machine)
    if plan.shard < 3:
        return once
    dense = dense / copies
    once = once + exchange.group_all_reduce(  # every copy has its own sum of gradients
        machine,
        size=learnt.dense * BYTES[plan.gradients] / dense,
        ranks=copies,
        stride=plan.tensor * dense,
    )
    held = footprint.held_parameters(learning.model, plan)
    width = learning.stored if learning.stored is not None else ACTIVATION
    # whole layers, once forward and once backward; the one after the update is counted above
    gathers = 2.0 * micro_batches(plan) - (0.0 if learning.frozen else 1.0)
    layers = learning.model.layers / plan.pipeline
    each = layers * exchange.group_gather(
        machine, size=held.dense * width / layers, ranks=dense, stride=plan.tensor
    ) + exchange.group_gather(machine, size=held.experts * width, ranks=experts, stride=plan.tensor)
    return once + gathers * each


def _shard_ranks(plan: AnyPlan, dense: Any) -> Any:
    """Ranks over which FSDP spreads one copy of the parameters."""
    return np.minimum(plan.shard_ranks or dense, dense) if plan.shard == 3 else dense


def _reduce_and_gather(
    numbers: Any, ranks: Any, stride: Any, plan: AnyPlan, machine: Machine
) -> Any:
    """A reduce-scatter of gradients and an all-gather of 16-bit parameters [s]."""
    # from ZeRO-2 on nobody keeps whole gradients, so every micro-batch reduces its own
    times = micro_batches(plan) if plan.shard >= 2 else 1
    reduce = times * exchange.group_gather(
        machine, size=numbers * BYTES[plan.gradients], ranks=ranks, stride=stride
    )
    gather_width = BYTES[plan.gradients] if plan.shard == 0 else ACTIVATION
    gather = exchange.group_gather(machine, size=numbers * gather_width, ranks=ranks, stride=stride)
    return reduce + gather


def update_time(learning: Learning, plan: AnyPlan, machine: Machine) -> Any:
    """The optimizer reads and writes its state once, from memory [s]."""
    if plan.stream:
        return 0.0 * machine.memory  # done where the state is kept
    learnt = learnt_parameters(learning, plan)
    dense, experts = data_ranks(plan) if plan.shard >= 1 else (1, 1)
    numbers = learnt.dense / dense + learnt.experts / experts
    state = memory.OPTIMIZER_BYTES[plan.optimizer]
    return numbers * (2 * state + BYTES[plan.gradients] + ACTIVATION) / machine.memory
