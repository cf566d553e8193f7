"""Models that look or listen: LLaVA, Qwen-VL, Gemma 3, Llama 4, Whisper."""

from __future__ import annotations

from collections.abc import Callable

from eke.catalog.huggingface.config import Config
from eke.catalog.huggingface.parts import feed
from eke.errors import BadFile
from eke.types.model import Attention, Block, Encoder, Matrix, Model, Stack
from eke.types.record import replace

Language = Callable[[Config], Model]


def _language(config: Config, language: Language) -> Model:
    """The text model inside, with what the outer configuration decides."""
    text = config.part("text_config", "llm_config")
    whole = text if text is not None else config
    values = dict(whole.values)
    for name in ("tie_word_embeddings",):
        if config.values.get(name) is not None:
            values[name] = config.values[name]
    return language(Config(values, whole.where, whole.at))


def _vision(config: Config) -> Config:
    found = config.part("vision_config")
    if found is None:
        raise BadFile(f"{config.where}: vision_config is missing.")
    return found


def _clip_stack(config: Config, layers: int, h: int, width: int, heads: int) -> tuple[Stack, ...]:
    """Encoder layers with biases and layer norms everywhere."""
    size = config.divided(h, heads, "hidden_size over heads")
    mixer = Attention(heads=heads, kv_heads=heads, head_size=size, causal=False, vectors=4 * h)
    part = feed(h, width, gated=False, bias=True)
    return (Stack(count=layers, block=Block(mixer=mixer, feed=part, vectors=4 * h)),)


def _vit(config: Config, *, tokens: int, hidden: int, kind: str) -> Encoder:
    """CLIP or SigLIP: patches, positions, layers, norms; the projector comes on top."""
    v = config
    h, patch = v.whole("hidden_size"), v.whole("patch_size")
    image = v.whole("image_size")
    patches = (image // patch) ** 2
    channels = v.whole("num_channels", default=3)
    stacks = _clip_stack(
        v, v.layers(), h, v.whole("intermediate_size"), v.whole("num_attention_heads")
    )
    clip = kind == "clip"
    # CLIP has a class token, its position, and norms before and behind; SigLIP a patch bias
    vectors = (patches + 1) * h + h + 4 * h if clip else patches * h + h + 2 * h
    width = v.whole("intermediate_size")
    if not clip and v.flag("vision_use_head", default=True):  # attention pooling, never used here
        vectors += 4 * h * h + 2 * h * width + width + 9 * h - h
    return Encoder(
        kind="image",
        hidden=h,
        stacks=stacks,
        positions=patches + clip,
        tokens=tokens or patches,
        matrices=(Matrix(name="patches", inputs=channels * patch * patch, outputs=h, per="patch"),),
        vectors=vectors,
    )


def llava(config: Config, language: Language) -> Model:
    """LLaVA 1.5: CLIP, two layers of projector with biases."""
    model, v = _language(config, language), _vision(config)
    kind = "siglip" if "siglip" in v.text("model_type", default="clip") else "clip"
    encoder = _vit(v, tokens=0, hidden=model.hidden, kind=kind)
    h, d = encoder.hidden, model.hidden
    bias = config.flag("multimodal_projector_bias", default=True)
    joined = (
        Matrix(name="projector in", inputs=h, outputs=d),
        Matrix(name="projector out", inputs=d, outputs=d),
    )
    return _with(model, _add(encoder, joined, 2 * d * bias))


def gemma3(config: Config, language: Language) -> Model:
    """Gemma 3: SigLIP, 256 tokens an image, one matrix and a norm."""
    model, v = _language(config, language), _vision(config)
    tokens = config.whole("mm_tokens_per_image", default=256)
    encoder = _vit(v, tokens=tokens, hidden=model.hidden, kind="siglip")
    joined = (Matrix(name="projector", inputs=encoder.hidden, outputs=model.hidden),)
    return _with(model, _add(encoder, joined, encoder.hidden))


def qwen2_vl(config: Config, language: Language) -> Model:
    """Qwen2-VL: a ViT without positions tables, four patches merged into one token."""
    model, v = _language(config, language), _vision(config)
    h = v.whole("embed_dim", default=1280)
    out = v.whole("hidden_size", default=model.hidden)
    width = int(v.number("mlp_ratio", default=4) * h)
    depth, heads = v.whole("depth", default=32), v.whole("num_heads", default=16)
    stacks = _clip_stack(v, depth, h, width, heads)
    return _with(model, _merged(v, h, out, stacks, norm=2 * h))


def qwen2_5_vl(config: Config, language: Language) -> Model:
    """Qwen2.5-VL: windows in the ViT, gated feed-forward, RMS norms."""
    model, v = _language(config, language), _vision(config)
    h = v.whole("hidden_size", default=1280)
    out = v.whole("out_hidden_size", default=model.hidden)
    depth, heads = v.whole("depth", default=32), v.whole("num_heads", default=16)
    size = v.divided(h, heads, "hidden_size over heads")
    mixer = Attention(heads=heads, kv_heads=heads, head_size=size, causal=False, vectors=4 * h)
    part = feed(h, v.whole("intermediate_size", default=3420), bias=True)
    stacks = (Stack(count=depth, block=Block(mixer=mixer, feed=part, vectors=2 * h)),)
    return _with(model, _merged(v, h, out, stacks, norm=h))


def _merged(
    v: Config, h: int, out: int, stacks: tuple[Stack, ...], norm: int, patch_bias: int = 0
) -> Encoder:
    """Patch embedding over two frames, and the merger of neighbouring patches."""
    patch = v.whole("patch_size", "spatial_patch_size", default=14)
    frames = v.whole("temporal_patch_size", default=2)
    merge = v.whole("spatial_merge_size", default=2) ** 2
    side = 1036 // patch  # a picture of about one megapixel
    patches = side * side // merge * merge
    wide = h * merge
    return Encoder(
        kind="image",
        item="image of about one megapixel",
        hidden=h,
        stacks=stacks,
        positions=patches,
        tokens=patches // merge,
        matrices=(
            Matrix(
                name="patches",
                inputs=v.whole("in_channels", "in_chans", default=3) * frames * patch * patch,
                outputs=h,
                per="patch",
            ),
            Matrix(name="merger in", inputs=wide, outputs=wide),
            Matrix(name="merger out", inputs=wide, outputs=out),
        ),
        vectors=norm + wide + out + patch_bias,
    )


def qwen3_vl(config: Config, language: Language) -> Model:
    """Qwen3-VL: learned positions, and mergers that feed several depths of the language model."""
    model, v = _language(config, language), _vision(config)
    h, depth = v.whole("hidden_size", default=1152), v.whole("depth", default=27)
    heads, width = v.whole("num_heads", default=16), v.whole("intermediate_size", default=4304)
    out = v.whole("out_hidden_size", default=model.hidden)
    stacks = _clip_stack(v, depth, h, width, heads)
    whole = Config({"patch_size": 16} | v.values, v.where, v.at)
    encoder = _merged(whole, h, out, stacks, norm=2 * h, patch_bias=h)
    wide = h * v.whole("spatial_merge_size", default=2) ** 2
    deep = v.items("deepstack_visual_indexes")
    count = len(deep) if deep is not None else 3
    more = tuple(
        matrix
        for i in range(count)
        for matrix in (
            Matrix(name=f"deep merger {i} in", inputs=wide, outputs=wide),
            Matrix(name=f"deep merger {i} out", inputs=wide, outputs=out),
        )
    )
    positions = v.whole("num_position_embeddings", default=2304) * h
    return _with(model, _add(encoder, more, positions + count * (3 * wide + out)))


def _add(encoder: Encoder, matrices: tuple[Matrix, ...], vectors: int) -> Encoder:
    return replace(
        encoder, matrices=(*encoder.matrices, *matrices), vectors=encoder.vectors + vectors
    )


def _with(model: Model, encoder: Encoder) -> Model:
    return replace(model, encoders=(encoder,))


def whisper(config: Config) -> Model:
    """Whisper: an encoder of sound, a decoder that attends to it; keys without bias."""
    h = config.whole("d_model")
    heads = config.whole("decoder_attention_heads")
    size = config.divided(h, heads, "d_model over heads")
    own = Attention(heads=heads, kv_heads=heads, head_size=size, vectors=3 * h)
    cross = replace(own, cross=True, causal=False)
    part = feed(h, config.whole("decoder_ffn_dim"), gated=False, bias=True)
    blocks = Block(mixer=own, feed=part, cross=cross, vectors=6 * h)
    frames = config.whole("max_source_positions", default=1500)
    return Model(
        id="",
        name="",
        architecture="",
        hidden=h,
        vocabulary=config.whole("vocab_size"),
        stacks=(Stack(count=config.whole("decoder_layers"), block=blocks),),
        context=config.whole("max_target_positions", default=448),
        tied=config.flag("tie_word_embeddings", default=True),
        positions=config.whole("max_target_positions", default=448),
        vectors=2 * h,
        decoder_only=False,
        encoders=(_listener(config, h, frames),),
    )


def _listener(config: Config, h: int, frames: int) -> Encoder:
    heads = config.whole("encoder_attention_heads")
    size = config.divided(h, heads, "d_model over heads")
    mixer = Attention(heads=heads, kv_heads=heads, head_size=size, causal=False, vectors=3 * h)
    part = feed(h, config.whole("encoder_ffn_dim"), gated=False, bias=True)
    layers = config.whole("encoder_layers")
    bins = config.whole("num_mel_bins", default=80)
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


WITH_TEXT: dict[str, tuple[Callable[[Config, Language], Model], str]] = {
    "llava": (llava, "llama"),
    "gemma3": (gemma3, "gemma3_text"),
    "qwen2_vl": (qwen2_vl, "qwen2"),
    "qwen2_5_vl": (qwen2_5_vl, "qwen2"),
    "qwen3_vl": (qwen3_vl, "qwen3"),
    "qwen3_vl_moe": (qwen3_vl, "qwen3_moe"),
}
TEXT_ONLY = {
    "llama4": "llama4_text",
    "kimi_k25": "deepseek_v3",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
    "mistral3": "mistral",
}
FAMILIES = {"whisper": whisper}
