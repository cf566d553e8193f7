"""Pieces that many families share: attention, feed-forward networks, norms, models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from eke.catalog.huggingface.config import Config
from eke.types.model import Attention, Block, Encoder, Experts, Feed, Mixer, Model, Stack


def attention(
    config: Config,
    *,
    bias: bool | tuple[bool, bool] = False,
    kv_default: int | None = None,
    head_default: int | None = None,
    norms: int = 0,
    window: int | None = None,
    gated: bool = False,
) -> Attention:
    """Grouped-query attention as most families name it.

    bias: of query, key and value, and of the output.  norms: further vector parameters.
    """
    h = config.whole("hidden_size", "n_embd", "d_model")
    heads = config.whole("num_attention_heads", "n_head", "n_heads")
    kv = config.maybe("num_key_value_heads", least=1) or kv_default or heads
    size = config.maybe("head_dim", least=1) or head_default
    size = size or config.divided(h, heads, "hidden_size over heads")
    first, last = (bias, bias) if isinstance(bias, bool) else bias
    vectors = norms + ((heads * (2 if gated else 1) + 2 * kv) * size if first else 0)
    return Attention(
        heads=heads,
        kv_heads=kv,
        head_size=size,
        window=window,
        gated=gated,
        vectors=vectors + (h if last else 0),
    )


def feed(hidden: int, width: int, *, gated: bool = True, bias: bool = False) -> Feed:
    """A dense feed-forward network, with biases of every matrix or none."""
    vectors = (width * (2 if gated else 1) + hidden) if bias else 0
    return Feed(width=width, gated=gated, vectors=vectors)


def gather(blocks: Iterable[Block]) -> tuple[Stack, ...]:
    """Layers in order, as stacks of equal blocks in order of first appearance."""
    counted = Counter(blocks)
    return tuple(Stack(count=count, block=block) for block, count in counted.items())


def repeated(config: Config, block: Block) -> tuple[Stack, ...]:
    """All layers alike."""
    return (Stack(count=config.layers(), block=block),)


def decoder(
    config: Config,
    stacks: tuple[Stack, ...],
    *,
    vectors: int | None = None,
    tied_default: bool = False,
    positions: int = 0,
    context_default: int = 2048,
    logits_bias: bool = False,
    encoders: tuple[Encoder, ...] = (),
    **more: Any,
) -> Model:
    """A decoder-only model around its stacks. vectors: final norm and the like; default RMS."""
    h = config.whole("hidden_size", "n_embd", "d_model")
    return Model(
        id="",
        name="",
        architecture="",
        hidden=h,
        vocabulary=config.whole("vocab_size"),
        stacks=stacks,
        context=config.maybe("max_position_embeddings", "n_positions", "seq_length", least=1)
        or context_default,
        tied=config.flag("tie_word_embeddings", default=tied_default),
        positions=positions,
        vectors=h if vectors is None else vectors,
        logits_bias=logits_bias,
        encoders=encoders,
        **more,
    )


def window_layers(config: Config, pattern_default: int | None = None) -> list[bool]:
    """For each layer, whether it sees only a sliding window."""
    kinds = config.items("layer_types")
    layers = config.layers()
    if kinds is not None:
        return [kind in ("sliding_attention", "chunked_attention") for kind in kinds[:layers]]
    pattern = config.maybe("sliding_window_pattern", least=1) or pattern_default
    if pattern is None:
        return [False] * layers
    return [bool((i + 1) % pattern) for i in range(layers)]


def block(mixer: Mixer | None, part: Feed | Experts | None, vectors: int) -> Block:
    """A block whose own vectors are its norms."""
    return Block(mixer=mixer, feed=part, vectors=vectors)
