"""Models that listen: Whisper."""

from __future__ import annotations

from collections.abc import Callable

from eke.catalog.huggingface.config import Config
from eke.catalog.huggingface.parts import feed
from eke.types.model import Attention, Block, Encoder, Matrix, Model, Stack
from eke.types.record import replace


def whisper(config: Config) -> Model:
    """Whisper: an encoder of sound, a decoder that attends to it; keys without bias."""
    h = config.whole("d_model")
    heads = config.whole("decoder_attention_heads")
    size = config.divided(h, heads, "d_model over heads")
    own = Attention(heads=heads, kv_heads=heads, head_size=size, vectors=3 * h)
    cross = replace(own, cross=True, causal=False)
    part = feed(h, config.whole("decoder_ffn_dim"), gated=False, bias=True)
    blocks = Block(mixer=own, feed=part, cross=cross, vectors=6 * h)
    rows = config.whole("max_target_positions", default=448)
    return Model(
        id="",
        name="",
        architecture="",
        hidden=h,
        vocabulary=config.whole("vocab_size"),
        stacks=(Stack(count=config.layers("decoder_layers"), block=blocks),),
        context=rows,
        tied=config.flag("tie_word_embeddings", default=True),
        positions=rows,
        vectors=2 * h,
        decoder_only=False,
        encoders=(listener(config),),
    )


def listener(config: Config) -> Encoder:
    """The encoder: two convolutions, positions, layers with biases but for the keys."""
    h = config.whole("d_model", "hidden_size")
    heads = config.whole("encoder_attention_heads", "num_attention_heads")
    size = config.divided(h, heads, "d_model over heads")
    mixer = Attention(heads=heads, kv_heads=heads, head_size=size, causal=False, vectors=3 * h)
    inner = config.whole("encoder_ffn_dim", "intermediate_size")
    part = feed(h, inner, gated=False, bias=True)
    layers = config.layers("encoder_layers", "num_hidden_layers")
    bins = config.whole("num_mel_bins", default=80)
    frames = config.whole("max_source_positions", default=1500)
    return Encoder(
        kind="audio",
        item="window of 30 seconds",
        seconds=30.0,
        hidden=h,
        stacks=(Stack(count=layers, block=Block(mixer=mixer, feed=part, vectors=4 * h)),),
        positions=frames,
        tokens=frames,
        matrices=(
            Matrix(name="convolution 1", inputs=3 * bins, outputs=h, per="patch"),
            Matrix(name="convolution 2", inputs=3 * h, outputs=h, per="patch"),
        ),
        vectors=frames * h + 2 * h + 2 * h,
    )


FAMILIES: dict[str, Callable[[Config], Model]] = {"whisper": whisper}
