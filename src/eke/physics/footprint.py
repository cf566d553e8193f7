"""Bytes on the fullest chip: weights, gradients, optimizer, activations, cache."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics.layers import block_vectors, block_weights, encoder_parameters
from eke.physics.memory import paged_tokens
from eke.physics.operations import AnyPlan, expert_cut, kv_numbers, kv_pieces
from eke.types.model import Attention, LinearAttention, Model, StateSpace
from eke.types.plan import BYTES
from eke.types.record import Record


class Held(Record):
    """Parameters on the fullest chip before any ZeRO or FSDP sharding."""

    dense: Any
    experts: Any

    @property
    def total(self) -> Any:
        """All of them."""
        return self.dense + self.experts


def held_parameters(model: Model, plan: AnyPlan) -> Held:
    """How many parameters the fullest chip holds, after tensor, expert and pipeline cuts.

    The fullest pipeline stage has its share of layers, rounded up, and the larger table.
    """
    inside = layer_matrices(model, plan)
    vectors = sum(stack.count * block_vectors(stack.block) for stack in model.stacks)
    rest = vectors * _stage_share(model, plan) + _end_parameters(model, plan)
    return Held(dense=inside.dense + rest, experts=inside.experts)


def layer_matrices(model: Model, plan: AnyPlan) -> Held:
    """Of those, the matrices inside layers: what makers and engines quantise."""
    dense: Any = 0.0
    experts: Any = 0.0
    for stack in model.stacks:
        for w in block_weights(stack.block, model.hidden):
            if w.part == "experts":
                cut = plan.expert * expert_cut(plan)
                experts = experts + stack.count * w.parameters / cut
            else:
                cut = 1 if w.split == "whole" else np.minimum(plan.tensor, w.pieces or 10**12)
                dense = dense + stack.count * w.parameters / cut
    share = _stage_share(model, plan)
    return Held(dense=dense * share, experts=experts * share)


def _stage_share(model: Model, plan: AnyPlan) -> Any:
    """Share of the layers on the fullest stage."""
    layers = model.layers
    return fullest_stage(layers, plan) / layers


def fullest_stage(layers: int, plan: AnyPlan) -> Any:
    """Layers on the fullest stage: as the plan says, or an even share rounded up."""
    return as_said(plan, plan.stage_layers, np.ceil(layers / plan.pipeline))


def as_said(plan: AnyPlan, said: Any, even: Any) -> Any:
    """Per plan what follows from the layers it gives its fullest stage, or from an even share."""
    given = np.asarray(plan.stage_layers) > 0
    return np.where(given, said, even) if given.any() else even


def _end_parameters(model: Model, plan: AnyPlan) -> Any:
    """Tables, logits and encoders on the fuller of the first and the last stage."""
    table = model.vocabulary * (model.embedding or model.hidden) / plan.tensor
    others = model.positions * model.hidden + model.table_parameters / plan.tensor
    others = others + sum(m.inputs * m.outputs for m in model.matrices) / plan.tensor
    first = table + others + encoder_parameters(model) / plan.tensor
    last = table
    both = first + (0.0 if model.tied else table)
    return np.where(np.asarray(plan.pipeline) > 1, np.maximum(first, last), both) + model.vectors


def cache_bytes(model: Model, tokens: Any, plan: AnyPlan) -> Any:
    """Keys and values of one sequence of `tokens`, on each chip that shares it [B].

    Paged: rounded up to whole blocks. Windows keep at most their length. States do not grow.
    Context-parallel ranks each keep their part of the sequence.
    """
    t, width = plan.tensor, BYTES[plan.cache]
    total: Any = 0.0
    for stack in model.stacks:
        mixer = stack.block.mixer
        pieces = kv_pieces(mixer, t)
        window = (mixer.window if isinstance(mixer, Attention) else None) or 1e18
        pages = paged_tokens(tokens=np.minimum(tokens, window), block=plan.block)
        total = total + stack.count * pages * kv_numbers(mixer) * width / pieces
        total = total + stack.count * _state_bytes(mixer) / t
        if stack.block.cross is not None and model.encoders:
            kept = stack.block.cross.kv_heads * stack.block.cross.head_size * 2
            cut = np.minimum(t, stack.block.cross.kv_heads)
            total = total + stack.count * kept * model.encoders[0].tokens * width / cut
    return total / (plan.pipeline * plan.context)


def _state_bytes(mixer: object) -> float:
    """Constant state of one sequence in one layer: fp32 state, 16-bit convolution tail."""
    match mixer:
        case StateSpace():
            tail = (mixer.inner + 2 * mixer.groups * mixer.state) * (mixer.convolution - 1)
            return 4.0 * mixer.inner * mixer.state + 2.0 * tail
        case LinearAttention():
            state = mixer.value_heads * mixer.key_size * mixer.value_size
            wide = 2 * mixer.key_heads * mixer.key_size + mixer.value_heads * mixer.value_size
            return 4.0 * state + 2.0 * wide * max(mixer.convolution - 1, 0)
        case _:
            return 0.0


def cache_per_token(model: Model, width: float) -> float:
    """Bytes that one more token adds to the cache, over all layers without windows [B]."""
    return sum(stack.count * kv_numbers(stack.block.mixer) * width for stack in model.stacks)
