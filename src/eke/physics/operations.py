"""What one forward pass computes, reads and moves on one chip, operation by operation.

Tensor parallelism divides matrices and heads, expert parallelism spreads routed experts, context
parallelism divides the tokens of a sequence. With all degrees at 1 the FLOP here are the exact
FLOP of the model. Numbers may be arrays over plans, or over scenarios.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from eke.physics.attention import causal_pairs, full_pairs
from eke.physics.layers import Weights, block_weights
from eke.physics.roofline import experts_touched
from eke.types.model import (
    Attention,
    Block,
    Experts,
    Feed,
    LatentAttention,
    LinearAttention,
    Mixer,
    Stack,
    StateSpace,
)
from eke.types.plan import BYTES, Plan, Plans
from eke.types.record import Record

AnyPlan = Plan | Plans
ACTIVATION = 2.0  # bytes of one activation: engines keep them in 16 bits


class Batch(Record):
    """Equal sequences in one pass, per data-parallel rank.

    sequences: how many.  new: tokens of each that are computed.  cached: tokens of each whose keys
    and values are already there.  source: positions of the encoder that cross-attention reads.
    cut: into how many parts tensor ranks share out norms and residuals (sequence parallelism).
    """

    sequences: Any
    new: Any
    cached: Any = 0.0
    source: Any = 0.0
    cut: Any = 1

    @property
    def tokens(self) -> Any:
        """That enter the matrices."""
        return self.sequences * self.new


def all_tokens(work: tuple[Batch, ...]) -> Any:
    """That enter the matrices, of all batches."""
    first, *others = work
    return sum((batch.tokens for batch in others), first.tokens)


class Operation(Record):
    """One operation of one block on one chip. flop [FLOP], weights and moved [B].

    rows, columns: of the result of a matrix multiplication; of attention, the keys of a
    sequence and the size of a head.
    times: how many blocks do this.  scores: query-key pairs of all heads, masked ones included.
    ranks: of experts, which wait for the busiest.
    """

    part: str
    name: str
    kind: Literal["matrix", "attention", "stream"]
    flop: Any
    weights: Any
    moved: Any
    rows: Any
    times: int
    columns: Any = 1.0
    ranks: Any = 1.0
    scores: Any = 0.0


def stack_operations(
    stack: Stack, hidden: int, work: tuple[Batch, ...], plan: AnyPlan
) -> list[Operation]:
    """Every operation of one block of a stack; `times` says how often it happens."""
    block = stack.block
    tokens = all_tokens(work) / plan.context
    source = sum(batch.sequences * batch.source for batch in work)
    weights = block_weights(block, hidden)
    found = [
        _experts(w, tokens, plan, stack.count)
        if w.part == "experts"
        else _matrix(w, source if w.encoder else tokens, plan, stack.count, _beside(w, weights))
        for w in weights
    ]
    found += _mixing(block.mixer, work, plan, stack.count)
    found += _mixing(block.cross, work, plan, stack.count)
    outside = sum(batch.tokens / batch.cut for batch in work) / plan.context
    found.append(_elementwise(block, hidden, tokens, outside, plan, stack.count))
    return found


def _beside(w: Weights, weights: tuple[Weights, ...]) -> int:
    """Columns that are multiplied at once with those of `w`: queries, keys and values of the same
    inputs are one matrix to an engine."""
    if w.part not in ("mixer", "cross") or w.split != "columns":
        return 0
    alike = (w.part, w.inputs, w.split, w.encoder)
    return sum(
        other.outputs
        for other in weights
        if other is not w and (other.part, other.inputs, other.split, other.encoder) == alike
    )


def _matrix(w: Weights, rows: Any, plan: AnyPlan, times: int, beside: int = 0) -> Operation:
    """A matrix multiplication, divided over the tensor-parallel ranks."""
    cut = 1 if w.split == "whole" else np.minimum(plan.tensor, w.pieces or w.inputs * w.outputs)
    size = w.inputs * w.outputs / cut
    inputs = w.inputs / cut if w.split == "rows" else w.inputs
    outputs = w.outputs / cut if w.split == "columns" else w.outputs
    return Operation(
        part="attention" if w.part in ("mixer", "cross") else "feed",
        name=f"{w.part} {w.name}",
        kind="matrix",
        flop=rows * (2 * size),
        weights=weight_bytes(plan) * size,
        moved=rows * (ACTIVATION * (inputs + outputs)),
        rows=rows,
        times=times,
        columns=outputs + beside / plan.tensor,
    )


def weight_bytes(plan: AnyPlan) -> float:
    """Bytes read per weight; 2:4 sparsity keeps half of the numbers and a 2-bit index of each."""
    width = BYTES[plan.weights]
    return width / 2 + 1 / 8 if plan.sparse else width


def expert_cut(plan: AnyPlan) -> Any:
    """Into how many pieces tensor parallelism cuts each expert."""
    return np.maximum(plan.tensor / plan.expert, 1)


def _experts(w: Weights, tokens: Any, plan: AnyPlan, times: int) -> Operation:
    """Routed experts: each chip holds copies/expert of them, cut by `expert_cut`."""
    cut = expert_cut(plan)
    gathered = tokens * plan.expert * cut / plan.tensor  # tokens of all ranks that share experts
    touched = experts_touched(experts=w.copies, active=w.active, tokens=gathered) / plan.expert
    size = w.inputs * w.outputs / cut
    routed = gathered * w.active / plan.expert
    return Operation(
        part="experts",
        name=f"expert {w.name}",
        kind="matrix",
        flop=routed * (2 * size),
        weights=weight_bytes(plan) * size * touched,
        moved=routed * (ACTIVATION * (w.inputs + w.outputs / cut)),
        rows=routed / np.maximum(touched, 1e-9),
        times=times,
        ranks=plan.expert,
        columns=np.maximum(touched, 1.0) * (w.outputs / cut if w.split == "columns" else w.outputs),
    )


def _mixing(
    mixer: Mixer | None, work: tuple[Batch, ...], plan: AnyPlan, times: int
) -> list[Operation]:
    """The part of a mixer that is no matrix of weights: attention core, state update."""
    if mixer is None:
        return []
    flop, moved, scores = 0.0, 0.0, 0.0
    for batch in work:
        more_flop, more_moved = _mix(mixer, batch, plan)
        flop, moved = flop + more_flop, moved + more_moved
        scores = scores + _scores(mixer, batch) / plan.tensor
    kind: Literal["attention", "stream"] = (
        "attention" if isinstance(mixer, Attention | LatentAttention) else "stream"
    )
    name = "attention core" if kind == "attention" else "state update"
    keys = sum(batch.sequences * _keys(mixer, batch) for batch in work)
    return [
        Operation(
            part="attention",
            name=name,
            kind=kind,
            flop=flop / plan.context,
            weights=0.0,
            moved=moved / plan.context,
            rows=keys / np.maximum(sum(batch.sequences for batch in work), 1e-9),
            times=times,
            scores=scores / plan.context,
            columns=_head_size(mixer),
        )
    ]


def _head_size(mixer: Mixer) -> float:
    """Numbers of a head that one score takes, mean of keys and values."""
    match mixer:
        case Attention():
            return (mixer.head_size + (mixer.value_size or mixer.head_size)) / 2
        case LatentAttention():
            return (mixer.nope_size + mixer.rope_size + mixer.value_size) / 2
        case _:
            return 1.0


def _scores(mixer: Mixer, batch: Batch) -> Any:
    """Query-key pairs of all heads, masked ones included; none without softmax attention."""
    if not isinstance(mixer, Attention | LatentAttention):
        return 0.0
    return mixer.heads * batch.sequences * full_pairs(new=batch.new, cached=batch.cached)


def _keys(mixer: Mixer, batch: Batch) -> Any:
    """Keys that the last query of a sequence sees."""
    if not isinstance(mixer, Attention | LatentAttention):
        return batch.cached + batch.new
    if isinstance(mixer, Attention) and mixer.cross:
        return batch.source
    return np.minimum(batch.cached + batch.new, _window(mixer))


def _mix(mixer: Mixer, batch: Batch, plan: AnyPlan) -> tuple[Any, Any]:
    """FLOP and bytes of one mixer over one batch, divided over tensor ranks."""
    n, new, t = batch.sequences, batch.new, plan.tensor
    match mixer:
        case Attention():
            heads = mixer.heads * (mixer.head_size + (mixer.value_size or mixer.head_size))
            pairs = n * _pairs(mixer, batch)
            value = mixer.value_size or mixer.head_size
            kept = mixer.kv_heads * (mixer.head_size + value) / np.minimum(t, mixer.kv_heads)
            seen = _seen(mixer, batch)
            flop = 2 * pairs * heads / t + _index_flop(mixer, batch)
            moved = BYTES[plan.cache] * n * seen * kept + ACTIVATION * n * new * heads / t
            return flop, moved + _index_bytes(mixer, batch, plan)
        case LatentAttention():
            return _mix_latent(mixer, batch, plan)
        case StateSpace():
            width = mixer.inner * mixer.state
            flop = n * new * (7 * width + 2 * mixer.inner * mixer.convolution) / t
            state = 2 * ACTIVATION * 2 * n * width / t  # fp32 state, read and written
            return flop, state + ACTIVATION * n * new * 4 * mixer.inner / t
        case LinearAttention():
            width = mixer.value_heads * mixer.key_size * mixer.value_size
            flop = n * new * 8 * width / t
            state = 2 * ACTIVATION * 2 * n * width / t
            return flop, state + ACTIVATION * n * new * mixer.projections / t


def _mix_latent(mixer: LatentAttention, batch: Batch, plan: AnyPlan) -> tuple[Any, Any]:
    """Latent attention: the cheaper of expanded keys (long prompts) and absorbed ones (decode)."""
    n, new, t = batch.sequences, batch.new, plan.tensor
    pairs, seen = n * _pairs(mixer, batch), n * _seen(mixer, batch)
    head = mixer.nope_size + mixer.rope_size + mixer.value_size
    again = mixer.cache_rank * mixer.heads * (mixer.nope_size + mixer.value_size)
    expanded = 2 * pairs * mixer.heads * head + 2 * n * np.minimum(batch.cached, seen) * again
    absorbed = 2 * pairs * mixer.heads * (2 * mixer.cache_rank + mixer.rope_size)
    flop = np.where(new > 1, np.minimum(expanded, absorbed), absorbed) / t
    kept = mixer.cache_rank + mixer.rope_size  # every tensor rank holds and reads all of it
    moved = BYTES[plan.cache] * seen * kept + ACTIVATION * n * new * mixer.heads * head / t
    return flop + _index_flop(mixer, batch), moved + _index_bytes(mixer, batch, plan)


def _pairs(mixer: Attention | LatentAttention, batch: Batch) -> Any:
    """Query-key pairs of one sequence."""
    if isinstance(mixer, Attention) and mixer.cross:
        return batch.new * batch.source
    if isinstance(mixer, Attention) and not mixer.causal:
        return full_pairs(new=batch.new, cached=batch.cached)
    return causal_pairs(new=batch.new, cached=batch.cached, window=_window(mixer))


def _seen(mixer: Attention | LatentAttention, batch: Batch) -> Any:
    """Cached and new tokens whose keys and values one sequence reads from memory."""
    if isinstance(mixer, Attention) and mixer.cross:
        return batch.source
    return np.minimum(batch.cached + batch.new, _window(mixer) + batch.new - 1)


def _window(mixer: Attention | LatentAttention) -> float:
    """How far one query looks back [tokens]."""
    window = mixer.window if isinstance(mixer, Attention) else None
    return float(min(window or 1e18, mixer.top_tokens or 1e18))


def _index_flop(mixer: Attention | LatentAttention, batch: Batch) -> Any:
    if not mixer.index_heads:
        return 0.0
    pairs = causal_pairs(new=batch.new, cached=batch.cached, window=1e18)
    return 2 * batch.sequences * pairs * mixer.index_heads * mixer.index_size


def _index_bytes(mixer: Attention | LatentAttention, batch: Batch, plan: AnyPlan) -> Any:
    if not mixer.index_heads:
        return 0.0
    tokens = batch.sequences * (batch.cached + batch.new)
    return BYTES[plan.cache] * tokens * mixer.index_size


def kv_pieces(mixer: Mixer | None, tensor: Any) -> Any:
    """Over how many tensor ranks the cached numbers are spread: as many as there are key-value
    heads; of latent attention every rank holds all of them."""
    return np.minimum(tensor, mixer.kv_heads) if isinstance(mixer, Attention) else 1


def kv_numbers(mixer: Mixer | None) -> int:
    """Numbers cached per token of one layer; 0 where the state does not grow."""
    match mixer:
        case Attention(cross=True) | Attention(shares_cache=True):
            return 0
        case Attention():
            value = mixer.value_size or mixer.head_size
            index = mixer.index_size if mixer.index_heads else 0
            return mixer.kv_heads * (mixer.head_size + value) + index
        case LatentAttention():
            index = mixer.index_size if mixer.index_heads else 0
            return mixer.cache_rank + mixer.rope_size + index
        case _:
            return 0


def _elementwise(
    block: Block, hidden: int, tokens: Any, outside: Any, plan: AnyPlan, times: int
) -> Operation:
    """Norms, residual additions and activations, as fused kernels read and write them.

    outside: tokens whose norms and residuals this chip computes.
    """
    feed = block.feed
    inside = 0.0
    if isinstance(feed, Feed):
        inside = feed.width * (3 if feed.gated else 2)
    elif isinstance(feed, Experts):
        inside = (feed.active * feed.width + feed.shared) * (3 if feed.gated else 2)
    routed: Any = 0  # sorted and put back, twice where ranks exchange tokens in between
    if isinstance(feed, Experts):
        routed = 4 * feed.active * hidden * (1 + (np.asarray(plan.expert) > 1))
    moved = ACTIVATION * (8 * outside * hidden + tokens * (routed + inside / plan.tensor))
    return Operation(
        part="elementwise",
        name="norms, residuals, activations",
        kind="stream",
        flop=0.0,
        weights=0.0,
        moved=moved,
        rows=tokens,
        times=times,
    )


def logits_operation(hidden: int, vocabulary: int, rows: Any, plan: AnyPlan) -> Operation:
    """The last matrix, from hidden states to a score for every word."""
    size = hidden * vocabulary / plan.tensor
    return Operation(
        part="logits",
        name="logits",
        kind="matrix",
        flop=rows * (2 * size),
        weights=BYTES["bf16"] * size,
        moved=rows * (ACTIVATION * (hidden + vocabulary / plan.tensor)),
        rows=rows,
        times=1,
        columns=vocabulary / plan.tensor,
    )


def words_operation(vocabulary: int, rows: Any, plan: AnyPlan) -> Operation:
    """Softmax over the scores of all words."""
    return Operation(
        part="elementwise",
        name="softmax over words",
        kind="stream",
        flop=0.0,
        weights=0.0,
        moved=2 * ACTIVATION * rows * vocabulary / plan.tensor,
        rows=rows,
        times=1,
    )
