"""The memory that a step of learning takes on the fullest chip."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics import footprint, memory, pipeline
from eke.physics.layers import block_weights
from eke.physics.learn import Learning, data_ranks, learnt_parameters, micro_batches, sequence_cut
from eke.physics.operations import ACTIVATION, AnyPlan
from eke.types.plan import BYTES
from eke.types.record import Record


class LearningMemory(Record):
    """Bytes on the fullest chip."""

    weights: Any
    gradients: Any
    optimizer: Any
    activations: Any
    buffers: Any
    resident: Any

    @property
    def total(self) -> Any:
        """All of them [B]."""
        return (
            self.weights
            + self.gradients
            + self.optimizer
            + self.activations
            + self.buffers
            + self.resident
        )


def learning_memory(learning: Learning, plan: AnyPlan) -> LearningMemory:
    """Memory of the fullest stage, which holds most micro-batches in flight."""
    held = footprint.held_parameters(learning.model, plan)
    learnt = learnt_parameters(learning, plan)
    dense, experts = data_ranks(plan)
    weights = _stored_bytes(learning, plan, held)
    whole_layers = plan.shard >= 3 or plan.stream
    gathered = _gathered_layers(learning, plan) if whole_layers else 0.0
    kept = 0.0 if plan.stream else 1.0  # streamed state is kept in external memory
    each_gradient, each_state = BYTES[plan.gradients], memory.OPTIMIZER_BYTES[plan.optimizer]
    return LearningMemory(
        weights=kept * (weights + (learnt.total * ACTIVATION if learning.frozen else 0.0)),
        gradients=kept * _sharded(learnt, dense, experts, plan.shard >= 2) * each_gradient,
        optimizer=kept * _sharded(learnt, dense, experts, plan.shard >= 1) * each_state,
        activations=activation_bytes(learning, plan),
        buffers=gathered + score_bytes(learning, plan),
        resident=_sharded(held, dense, experts, plan.shard >= 3) * ACTIVATION * learning.reference,
    )


def _stored_bytes(learning: Learning, plan: AnyPlan, held: footprint.Held) -> Any:
    """Weights on the fullest chip; only matrices of layers are quantised, tables, logits and
    vectors stay in 16 bits [B]."""
    dense, experts = data_ranks(plan)
    if learning.stored is None:
        return _sharded(held, dense, experts, plan.shard >= 3) * ACTIVATION
    small = footprint.layer_matrices(learning.model, plan)
    rest = footprint.Held(dense=held.dense - small.dense, experts=held.experts - small.experts)
    sharded = plan.shard >= 3
    wide = _sharded(rest, dense, experts, sharded) * ACTIVATION
    return _sharded(small, dense, experts, sharded) * learning.stored + wide


def _sharded(held: footprint.Held, dense: Any, experts: Any, sharded: bool) -> Any:
    if not sharded:
        return held.total
    return held.dense / dense + held.experts / experts


def _gathered_layers(learning: Learning, plan: AnyPlan) -> Any:
    """Whole weights on a chip for a while: two layers, the one in use and the next; under FSDP the
    logits' table too, and the gradients of one layer before they are reduced [B]."""
    layers = learning.model.layers
    inside = footprint.layer_matrices(learning.model, plan).total
    one = inside / footprint.fullest_stage(layers, plan)
    if plan.shard < 3:
        return 2 * ACTIVATION * one
    table = learning.model.vocabulary * learning.model.hidden / plan.tensor
    gradients = 0.0 if learning.frozen else BYTES[plan.gradients]
    return ACTIVATION * (2 * one + table) + gradients * one


def activation_bytes(learning: Learning, plan: AnyPlan) -> Any:
    """What the forward pass keeps for the backward pass on the first stage [B]."""
    model = learning.model
    layers = model.layers
    tokens = plan.micro_batch * learning.sequence / plan.context
    total: Any = 0.0
    working: Any = 0.0
    for stack in model.stacks:
        each = layer_activation(stack.block, model.hidden, tokens, learning.sequence, plan)
        if plan.recompute == "full":
            working = np.maximum(working, each)
            each = ACTIVATION * tokens * model.hidden / sequence_cut(plan)
        total = total + stack.count * each
    share = footprint.fullest_stage(layers, plan) / layers
    flight = pipeline.micro_batches_in_flight(
        schedule=plan.schedule,
        micro_batches=micro_batches(plan),
        stages=plan.pipeline,
        virtual=plan.virtual,
    )
    return total * share * flight + working


def layer_activation(block: Any, hidden: int, tokens: Any, sequence: int, plan: AnyPlan) -> Any:
    """Kept by one block for the backward pass, without full recomputation [B].

    Korthikanti et al. count 34 bytes per token and hidden column for a GELU layer with dropout:
    inputs of norms and matrices outside tensor parallelism (10 with dropout masks, 8 without), and
    queries, keys, values, context and the feed-forward's inputs inside it. The same terms here,
    from the block's own widths and without dropout. Source: korthikanti2022 (table 2).
    """
    outside, inside = 4 * ACTIVATION * hidden, 0.0
    for w in block_weights(block, hidden):
        if w.part == "router":
            inside += 4.0 * w.outputs
        elif w.split == "columns":
            inside += ACTIVATION * w.outputs * (w.active if w.part == "experts" else 1)
        elif w.split == "rows":
            inside += ACTIVATION * w.inputs * (w.active if w.part == "experts" else 1)
        else:
            outside += ACTIVATION * w.outputs
    routed = getattr(block.feed, "active", 0) * hidden * 2 * ACTIVATION
    scores = 0.0
    if plan.recompute == "none":
        heads = getattr(block.mixer, "heads", 0)
        scores = 5.0 * heads * sequence
    return tokens * (outside / sequence_cut(plan) + (inside + scores + routed) / plan.tensor)


def score_bytes(learning: Learning, plan: AnyPlan) -> Any:
    """Logits in 32 bits and their gradient in 16, on the last stage [B]."""
    tokens = plan.micro_batch * learning.sequence / plan.context * learning.scores
    return tokens * learning.model.vocabulary * (4.0 + ACTIVATION) / plan.tensor
