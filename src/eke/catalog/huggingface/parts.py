"""Pieces that many families share: attention, feed-forward networks, norms, models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from eke.catalog.huggingface.config import HEADS, Config
from eke.types.model import Attention, Block, Encoder, Experts, Feed, Mixer, Model, Stack
from eke.types.record import replace

WINDOWED = ("sliding_attention", "chunked_attention")
KINDS = ("full_attention", *WINDOWED)


def attention(
    config: Config,
    *,
    bias: bool | tuple[bool, bool] = False,
    kv_default: int | None = None,
    head_norms: Literal["none", "head", "all"] = "none",
    gated: bool = False,
) -> Attention:
    """Grouped-query attention as most families name it.

    bias: of query, key and value, and of the output.  head_norms: a scale for the queries and one
    for the keys, as wide as one head or as all heads together.
    """
    heads = config.whole(*HEADS)
    kv = config.maybe("num_key_value_heads", least=1) or kv_default or heads
    size = config.maybe("head_dim", least=1) or config.divided(
        config.hidden(), heads, "hidden_size over heads"
    )
    first, last = (bias, bias) if isinstance(bias, bool) else bias
    norms = {"none": 0, "head": 2 * size, "all": (heads + kv) * size}[head_norms]
    return Attention(
        heads=heads,
        kv_heads=kv,
        head_size=size,
        gated=gated,
        vectors=norms
        + first * (heads * (2 if gated else 1) + 2 * kv) * size
        + last * config.hidden(),
    )


def feed(hidden: int, width: int, *, gated: bool = True, bias: bool = False) -> Feed:
    """A dense feed-forward network, with biases of every matrix or none."""
    vectors = (width * (2 if gated else 1) + hidden) if bias else 0
    return Feed(width=width, gated=gated, vectors=vectors)


def width(config: Config) -> int:
    """Of the feed-forward network: four hidden sizes where the family says nothing else."""
    names = ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size")
    return config.maybe(*names, least=1) or 4 * config.hidden()


def gather(blocks: Iterable[Block]) -> tuple[Stack, ...]:
    """Layers in order, as stacks of equal blocks in order of first appearance."""
    counted = Counter(blocks)
    return tuple(Stack(count=count, block=block) for block, count in counted.items())


def repeated(config: Config, block: Block) -> tuple[Stack, ...]:
    """All layers alike."""
    return (Stack(count=config.layers(), block=block),)


def block(mixer: Mixer | None, part: Feed | Experts | None, vectors: int) -> Block:
    """A block whose own vectors are its norms."""
    return Block(mixer=mixer, feed=part, vectors=vectors)


def window(config: Config) -> int | None:
    """The sliding window; 0 and null mean none."""
    return config.maybe("sliding_window") or None


def same_window(config: Config) -> list[int | None]:
    """One window, or none, in all layers."""
    return [window(config)] * config.layers()


def windows(config: Config, every: int | None = None) -> list[int | None]:
    """The window of each layer: as layer_types lists them, else each `every`-th layer is full."""
    near, layers = window(config), config.layers()
    kinds = config.kinds(KINDS)
    if kinds is not None:
        return [near if kind in WINDOWED else None for kind in kinds]
    pattern = config.maybe("sliding_window_pattern", "_sliding_window_pattern", least=1) or every
    if pattern is None:
        return [None] * layers
    return [near if (i + 1) % pattern else None for i in range(layers)]


def qwen_windows(config: Config) -> list[int | None]:
    """Qwen's rule: only when switched on, and only from layer max_window_layers on."""
    if not config.flag("use_sliding_window"):
        return [None] * config.layers()
    if "layer_types" in config:
        return windows(config)
    near, first = window(config), config.whole("max_window_layers", default=28, least=0)
    return [near if i >= first else None for i in range(config.layers())]


def seen(mixer: Attention, part: Feed | Experts, vectors: int, each: Sequence[int | None]) -> Any:
    """Stacks of one block whose attention differs only in what it sees."""
    return gather(block(replace(mixer, window=near), part, vectors) for near in each)


def dense(
    config: Config,
    *,
    bias: bool | tuple[bool, bool] = False,
    head_norms: Literal["none", "head", "all"] = "none",
    inner_bias: bool = False,
    gated: bool = True,
    norms: int = 2,
    affine: int = 1,
    each: Sequence[int | None] | None = None,
    more: int = 0,
    **outside: Any,
) -> Model:
    """A dense decoder of equal blocks.

    norms: in a block.  affine: vectors in one norm, two with a bias, none without scale.
    each: the window of each layer.  more: further vector parameters in a block.
    """
    h = config.hidden()
    mixer = attention(config, bias=bias, head_norms=head_norms)
    part = feed(h, width(config), gated=gated, bias=inner_bias)
    vectors = norms * affine * h + more
    stacks = seen(mixer, part, vectors, each if each is not None else [None] * config.layers())
    return decoder(config, stacks, vectors=affine * h, **outside)


def decoder(
    config: Config,
    stacks: tuple[Stack, ...],
    *,
    vectors: int | None = None,
    positions: int = 0,
    context_default: int = 2048,
    logits_bias: bool = False,
    encoders: tuple[Encoder, ...] = (),
    **more: Any,
) -> Model:
    """A decoder-only model around its stacks. vectors: final norm and the like; default RMS."""
    h = config.hidden()
    names = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
    return Model(
        id="",
        name="",
        architecture="",
        hidden=h,
        vocabulary=config.whole("vocab_size"),
        stacks=stacks,
        context=config.maybe(*names, least=1) or context_default,
        tied=config.flag("tie_word_embeddings"),
        positions=positions,
        vectors=h if vectors is None else vectors,
        logits_bias=logits_bias,
        encoders=encoders,
        **more,
    )
