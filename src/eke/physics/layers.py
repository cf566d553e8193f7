"""The matrices of each kind of layer: the one place from which parameters and FLOP both follow."""

from __future__ import annotations

from typing import Literal

from eke.types.model import (
    Attention,
    Block,
    Experts,
    Feed,
    LatentAttention,
    LinearAttention,
    Mixer,
    Model,
    Stack,
    StateSpace,
)
from eke.types.record import Record

Part = Literal["mixer", "cross", "feed", "router", "experts", "shared"]


class Weights(Record):
    """`copies` equal matrices of inputs × outputs, of which a token passes through `active`.

    split: tensor parallelism divides the outputs ("columns"), the inputs ("rows"), or leaves a
    full copy on every rank ("whole").  pieces: into at most how many, where heads cannot be cut.
    encoder: the rows come from the encoder, not from the tokens.
    """

    part: Part
    name: str
    inputs: int
    outputs: int
    copies: int = 1
    active: int = 1
    split: Literal["columns", "rows", "whole"] = "columns"
    pieces: int | None = None
    encoder: bool = False

    @property
    def parameters(self) -> int:
        """In all copies."""
        return self.inputs * self.outputs * self.copies

    @property
    def active_parameters(self) -> int:
        """Through which one token passes."""
        return self.inputs * self.outputs * self.active


def attention_heads(model: Model) -> set[int]:
    """Query heads of every kind of softmax attention in the model; tensor ranks share them out."""
    mixers = [stack.block.mixer for stack in model.stacks]
    return {mixer.heads for mixer in mixers if isinstance(mixer, Attention | LatentAttention)}


def block_weights(block: Block, hidden: int) -> tuple[Weights, ...]:
    """Every matrix of one block."""
    return (
        *mixer_weights(block.mixer, hidden, "mixer"),
        *mixer_weights(block.cross, hidden, "cross"),
        *feed_weights(block.feed, hidden),
    )


def mixer_weights(mixer: Mixer | None, hidden: int, part: Part) -> tuple[Weights, ...]:
    """The matrices of what mixes positions."""
    match mixer:
        case None:
            return ()
        case Attention():
            return _attention(mixer, hidden, part)
        case LatentAttention():
            return _latent(mixer, hidden, part)
        case StateSpace():
            return _state_space(mixer, hidden, part)
        case LinearAttention():
            wide = mixer.value_heads * mixer.value_size
            return (
                Weights(part=part, name="in", inputs=hidden, outputs=mixer.projections),
                Weights(part=part, name="out", inputs=wide, outputs=hidden, split="rows"),
            )


def _attention(mixer: Attention, h: int, part: Part) -> tuple[Weights, ...]:
    d, a, g = mixer.head_size, mixer.heads, mixer.kv_heads
    v = mixer.value_size or d
    queries = Weights(part=part, name="query", inputs=h, outputs=a * d * (2 if mixer.gated else 1))
    keys = Weights(
        part=part, name="key-value", inputs=h, outputs=g * (d + v), pieces=g, encoder=mixer.cross
    )
    out = Weights(part=part, name="out", inputs=a * v, outputs=h, split="rows")
    index = _indexer(mixer.index_heads, mixer.index_size, h, h, part)
    return (queries, *(() if mixer.shares_cache else (keys,)), out, *index)


def _indexer(heads: int, size: int, hidden: int, rank: int, part: Part) -> tuple[Weights, ...]:
    """The small attention that picks which cached tokens the large one reads."""
    if not heads:
        return ()
    return (
        Weights(part=part, name="index-query", inputs=rank, outputs=heads * size, split="whole"),
        Weights(part=part, name="index-key", inputs=hidden, outputs=size, split="whole"),
        Weights(part=part, name="index-weight", inputs=hidden, outputs=heads, split="whole"),
    )


def _latent(mixer: LatentAttention, h: int, part: Part) -> tuple[Weights, ...]:
    a, rq, rkv = mixer.heads, mixer.query_rank, mixer.cache_rank
    head = mixer.nope_size + mixer.rope_size
    down = Weights(part=part, name="query-down", inputs=h, outputs=rq or 0, split="whole")
    return (
        *((down,) if rq else ()),
        Weights(part=part, name="query", inputs=rq or h, outputs=a * head),
        Weights(part=part, name="kv-down", inputs=h, outputs=rkv + mixer.rope_size, split="whole"),
        Weights(
            part=part, name="kv-up", inputs=rkv, outputs=a * (mixer.nope_size + mixer.value_size)
        ),
        Weights(part=part, name="out", inputs=a * mixer.value_size, outputs=h, split="rows"),
        *_indexer(mixer.index_heads, mixer.index_size, h, rq or h, part),
    )


def _state_space(mixer: StateSpace, h: int, part: Part) -> tuple[Weights, ...]:
    i, n = mixer.inner, mixer.state
    out = Weights(part=part, name="out", inputs=i, outputs=h, split="rows")
    if mixer.version == 2:
        wide = 2 * i + 2 * mixer.groups * n + mixer.heads
        return (Weights(part=part, name="in", inputs=h, outputs=wide), out)
    r = mixer.step_rank
    return (
        Weights(part=part, name="in", inputs=h, outputs=2 * i),
        Weights(part=part, name="step-down", inputs=i, outputs=r + 2 * n, split="rows"),
        Weights(part=part, name="step-up", inputs=r, outputs=i),
        out,
    )


def feed_weights(feed: Feed | Experts | None, hidden: int) -> tuple[Weights, ...]:
    """The matrices of a feed-forward network, dense or routed."""
    match feed:
        case None:
            return ()
        case Feed():
            return _feed("feed", feed.width, feed.gated, hidden)
        case Experts():
            return _experts(feed, hidden)


def _feed(
    part: Part, width: int, gated: bool, hidden: int, copies: int = 1, active: int = 1
) -> tuple[Weights, ...]:
    up = width * (2 if gated else 1)
    return (
        Weights(part=part, name="up", inputs=hidden, outputs=up, copies=copies, active=active),
        Weights(
            part=part,
            name="down",
            inputs=width,
            outputs=hidden,
            copies=copies,
            active=active,
            split="rows",
        ),
    )


def _experts(feed: Experts, hidden: int) -> tuple[Weights, ...]:
    inside = feed.latent or hidden
    latent = (
        Weights(part="shared", name="to-latent", inputs=hidden, outputs=inside, split="whole"),
        Weights(part="shared", name="from-latent", inputs=inside, outputs=hidden, split="whole"),
    )
    gate = Weights(part="shared", name="gate", inputs=hidden, outputs=1, split="whole")
    router = Weights(part="router", name="router", inputs=hidden, outputs=feed.count, split="whole")
    return (
        router,
        *_feed("experts", feed.width, feed.gated, inside, feed.count, feed.active),
        *(_feed("shared", feed.shared, feed.shared_gated, hidden) if feed.shared else ()),
        *((gate,) if feed.shared_gate else ()),
        *(latent if feed.latent else ()),
    )


def adapted_weights(block: Block, hidden: int) -> tuple[tuple[Weights, int], ...]:
    """The matrices of one block that low-rank fine-tuning puts factors beside, and how many
    matrices of the model each of ours stands for: keys and values, and gate and up, have factors
    of their own, as the usual libraries train them. Routers and routed experts have none."""
    return tuple(
        (w, _fused(w, block))
        for w in block_weights(block, hidden)
        if w.part in ("mixer", "cross", "feed", "shared")
    )


def _fused(w: Weights, block: Block) -> int:
    """How many matrices of the model one of ours stands for."""
    if w.name == "key-value":
        return 2
    feed = block.feed
    gated = isinstance(feed, Feed) and feed.gated
    gated = gated or (isinstance(feed, Experts) and feed.shared_gated)
    return 2 if w.name == "up" and gated else 1


def block_vectors(block: Block) -> int:
    """Parameters of one block that are in no matrix."""
    parts = (block.mixer, block.cross, block.feed)
    return block.vectors + sum(part.vectors for part in parts if part is not None)


class Parameters(Record):
    """How many parameters a model has, by where they sit. `active`: used for one token."""

    embedding: int  # token and position tables, further look-up tables
    mixers: int  # attention and other mixers, without vectors
    feeds: int  # dense feed-forward networks and shared experts
    routers: int
    experts: int  # routed experts, all of them
    vectors: int  # norms, biases and the like
    outside: int  # further matrices outside the blocks
    logits: int  # 0 when tied to the token table
    encoders: int
    total: int
    active: int


def stacks_parameters(stacks: tuple[Stack, ...], hidden: int, *parts: Part) -> int:
    """Matrix parameters in the given parts of all blocks."""
    return sum(
        stack.count * weights.parameters
        for stack in stacks
        for weights in block_weights(stack.block, hidden)
        if not parts or weights.part in parts
    )


def _active(stacks: tuple[Stack, ...], hidden: int) -> int:
    return sum(
        stack.count * (block_vectors(stack.block) + weights_sum)
        for stack in stacks
        for weights_sum in [sum(w.active_parameters for w in block_weights(stack.block, hidden))]
    )


def _vectors(stacks: tuple[Stack, ...]) -> int:
    return sum(stack.count * block_vectors(stack.block) for stack in stacks)


def encoder_parameters(model: Model) -> int:
    """All parameters of the vision and audio encoders and their projectors."""
    return sum(
        encoder.vectors
        + sum(m.inputs * m.outputs for m in encoder.matrices)
        + stacks_parameters(encoder.stacks, encoder.hidden)
        + _vectors(encoder.stacks)
        for encoder in model.encoders
    )


def count_parameters(model: Model) -> Parameters:
    """Every parameter of the model, exactly; draft blocks are not counted."""
    h, stacks = model.hidden, model.stacks
    width = model.embedding or h
    joins = 2 * width * h if model.embedding else 0
    tables = model.vocabulary * width
    embedding = tables + model.positions * h + model.table_parameters
    logits = (0 if model.tied else tables) + (model.vocabulary if model.logits_bias else 0)
    outside = joins + sum(m.inputs * m.outputs for m in model.matrices)
    mixers = stacks_parameters(stacks, h, "mixer", "cross")
    feeds = stacks_parameters(stacks, h, "feed", "shared")
    routers = stacks_parameters(stacks, h, "router")
    experts = stacks_parameters(stacks, h, "experts")
    vectors = _vectors(stacks) + model.vectors
    encoders = encoder_parameters(model)
    return Parameters(
        embedding=embedding,
        mixers=mixers,
        feeds=feeds,
        routers=routers,
        experts=experts,
        vectors=vectors,
        outside=outside,
        logits=logits,
        encoders=encoders,
        total=embedding
        + mixers
        + feeds
        + routers
        + experts
        + vectors
        + outside
        + logits
        + encoders,
        active=embedding + _active(stacks, h) + model.vectors + outside + logits,
    )
