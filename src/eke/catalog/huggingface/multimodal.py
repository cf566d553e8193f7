"""Models that look: LLaVA, Pixtral, Gemma 3, Qwen-VL, Llama 3.2 and 4, Kimi K2.5."""

from __future__ import annotations

from collections.abc import Callable

from eke.catalog.huggingface import vision
from eke.catalog.huggingface.config import HIDDEN, Config
from eke.catalog.huggingface.parts import attention, block, decoder, feed, gather, width
from eke.types.model import Block, Encoder, Matrix, Model
from eke.types.record import replace

Language = Callable[[Config], Model]  # the text model of a nested configuration
TEXT = ("text_config", "llm_config")


def text_part(config: Config, either: bool = False) -> Config:
    """The configuration of the text model, with what the outer one decides.

    Whether the table is tied: the outer table says it, else the text's own, else the text
    family's habit.  either: one of the two is enough.
    """
    found = config.part(*TEXT)
    if found is None:
        if not any(name in config.values for name in HIDDEN):
            raise config.wrong(TEXT[0], "is missing; expected a table.")
        return config  # old Qwen-VL files keep both in one table
    tied = config.values.get("tie_word_embeddings")
    if tied is None or (either and found.flag("tie_word_embeddings")):
        return found
    return found.changed(tie_word_embeddings=tied)


def _with(model: Model, encoder: Encoder) -> Model:
    return replace(model, encoders=(encoder,))


def _projector(
    config: Config, encoder: Encoder, d: int, *, bias: bool, more: tuple[Matrix, ...] = ()
) -> Encoder:
    """Two matrices from one layer of the tower, or several side by side, to the text model."""
    layer = config.values.get("vision_feature_layer")
    wide = encoder.hidden * (len(layer) if isinstance(layer, list) and layer else 1)
    joined = (
        *more,
        Matrix(name="projector in", inputs=wide, outputs=d),
        Matrix(name="projector out", inputs=d, outputs=d),
    )
    return vision.added(encoder, joined, 2 * d * bias)


def llava(
    config: Config,
    language: Language,
    usual_tower: str = "clip_vision_model",
    either: bool = True,
) -> Model:
    """LLaVA 1.5: CLIP or SigLIP, two layers of projector with biases."""
    model = language(text_part(config, either))
    encoder = vision.tower(config.inside("vision_config"), usual_tower)
    bias = config.flag("multimodal_projector_bias", default=True)
    return _with(model, _projector(config, encoder, model.hidden, bias=bias))


def llava_next(config: Config, language: Language) -> Model:
    """LLaVA 1.6: a learned line break between rows of tiles."""
    model = llava(config, language, either=False)
    return _with(model, vision.added(model.encoders[0], (), model.hidden))


def llava_onevision(config: Config, language: Language) -> Model:
    """LLaVA-OneVision: SigLIP where the file does not name the tower."""
    model = llava(config, language, "siglip_vision_model")
    return _with(model, vision.added(model.encoders[0], (), model.hidden))


def mistral3(config: Config, language: Language) -> Model:
    """Mistral Small 3.1 and Ministral 3: Pixtral, four patches merged, a norm."""
    model = language(text_part(config))
    encoder = vision.tower(config.inside("vision_config"), "pixtral")
    h, merge = encoder.hidden, config.whole("spatial_merge_size", default=2) ** 2
    encoder = replace(encoder, tokens=max(encoder.positions // merge, 1))
    more = (Matrix(name="merger", inputs=h * merge, outputs=h),)
    made = _projector(
        config, encoder, model.hidden, bias=config.flag("multimodal_projector_bias"), more=more
    )
    return _with(model, vision.added(made, (), h))


def gemma3(config: Config, language: Language) -> Model:
    """Gemma 3: SigLIP, 256 tokens an image, one matrix and a norm."""
    model, encoder = language(text_part(config)), vision.siglip(config.inside("vision_config"))
    tokens = config.whole("mm_tokens_per_image", default=256)
    joined = (Matrix(name="projector", inputs=encoder.hidden, outputs=model.hidden),)
    return _with(model, vision.added(replace(encoder, tokens=tokens), joined, encoder.hidden))


def paligemma(config: Config, language: Language) -> Model:
    """PaliGemma: SigLIP and one matrix with a bias."""
    model, encoder = language(text_part(config)), vision.siglip(config.inside("vision_config"))
    out = config.whole("projection_dim", default=2048)
    if out != model.hidden:
        raise config.wrong("projection_dim", f"is {out}; the text model takes {model.hidden}.")
    joined = (Matrix(name="projector", inputs=encoder.hidden, outputs=out),)
    return _with(model, vision.added(encoder, joined, out))


def llama4(config: Config, language: Language) -> Model:
    """Llama 4: its own tower, one matrix."""
    inner, v = config.part(*TEXT) or config, config.inside("vision_config")
    model = language(inner)  # whether the table is tied, the text part alone decides
    out = v.like("llama4_vision_model").whole("vision_output_dim")
    joined = (Matrix(name="projector", inputs=out, outputs=model.hidden),)
    return _with(model, vision.added(vision.llama4(v), joined))


def kimi_k25(config: Config, language: Language) -> Model:
    """Kimi K2.5: MoonViT, a norm and two matrices with biases."""
    model, encoder = language(text_part(config)), vision.kimi(config.inside("vision_config"))
    wide, d = encoder.hidden * vision.kimi_merge(config.inside("vision_config")), model.hidden
    norm = config.whole("projection_hidden_size", default=encoder.hidden)
    joined = (
        Matrix(name="projector in", inputs=wide, outputs=wide),
        Matrix(name="projector out", inputs=wide, outputs=d),
    )
    return _with(model, vision.added(encoder, joined, 2 * norm + wide + d))


def qwen2_vl(config: Config, language: Language) -> Model:
    """Qwen2-VL: a ViT without positions tables, four patches merged into one token."""
    model, v = language(text_part(config)), config.inside("vision_config").like("qwen2_vl_vision")
    h = v.whole("embed_dim", default=1280)
    out = v.whole("hidden_size", default=3584)
    inner = int(v.number("mlp_ratio", default=4) * h)
    depth, heads = v.layers("depth"), v.whole("num_heads", default=16)
    stacks = vision.standard(v, h, depth, heads, inner)
    return _with(model, vision.merged(v, h, out, stacks, norm=2 * h))


def qwen2_5_vl(config: Config, language: Language) -> Model:
    """Qwen2.5-VL: windows in the ViT, gated feed-forward, RMS norms."""
    model = language(text_part(config))
    v = config.inside("vision_config").like("qwen2_5_vl_vision")
    h, out = v.whole("hidden_size", default=3584), v.whole("out_hidden_size", default=3584)
    depth, heads = v.layers("depth"), v.whole("num_heads", default=16)
    part = feed(h, v.whole("intermediate_size", default=3420), bias=True)
    stacks = vision.layers(depth, vision.mixer(v, h, heads, 4 * h), part, 2 * h)
    return _with(model, vision.merged(v, h, out, stacks, norm=h))


def _qwen3_tower(config: Config, kind: str) -> tuple[Encoder, Config]:
    v = config.inside("vision_config").like(kind)
    h, depth = v.whole("hidden_size", default=1152), v.layers("depth")
    heads, inner = v.whole("num_heads", default=16), v.whole("intermediate_size", default=4304)
    out = v.whole("out_hidden_size", default=3584)
    stacks = vision.standard(v, h, depth, heads, inner)
    encoder = vision.merged(v, h, out, stacks, norm=2 * h, patch_bias=h)
    positions = v.whole("num_position_embeddings", default=2304) * h
    return vision.added(encoder, (), positions), v


def qwen3_vl(config: Config, language: Language) -> Model:
    """Qwen3-VL: learned positions, and mergers that feed several depths of the language model."""
    model = language(text_part(config))
    encoder, v = _qwen3_tower(config, "qwen3_vl_vision")
    wide = encoder.hidden * v.whole("spatial_merge_size", default=2) ** 2
    out = v.whole("out_hidden_size", default=3584)
    deep = v.items("deepstack_visual_indexes")
    count = len(deep) if deep is not None else 3
    if count > v.layers("depth"):
        raise v.wrong("deepstack_visual_indexes", f"has {count} entries, more than layers.")
    more = tuple(
        matrix
        for i in range(count)
        for matrix in (
            Matrix(name=f"deep merger {i} in", inputs=wide, outputs=wide),
            Matrix(name=f"deep merger {i} out", inputs=wide, outputs=out),
        )
    )
    return _with(model, vision.added(encoder, more, count * (3 * wide + out)))


def qwen3_5(config: Config, language: Language) -> Model:
    """Qwen3.5: the tower of Qwen3-VL without its deep mergers."""
    if config.part("vision_config") is None:
        return language(text_part(config))
    model = language(text_part(config))
    return _with(model, _qwen3_tower(config, "qwen3_5_vision")[0])


def mllama(config: Config, language: Language) -> Model:
    """Llama 3.2 Vision: some layers attend to the image instead of the text."""
    text = text_part(config).like("mllama_text_model").changed(tie_word_embeddings=False)
    h = text.hidden()
    own = attention(text)
    cross = replace(attention(text, head_norms="head"), cross=True, causal=False)
    part = feed(h, width(text))
    crossed = text.items("cross_attention_layers") or [3, 8, 13, 18, 23, 28, 33, 38]
    stacks = gather(
        Block(cross=cross, feed=part, vectors=2 * h + 2)
        if i in crossed
        else block(own, part, 2 * h)
        for i in range(text.layers())
    )
    spare = 8 * h  # rows of the table behind the vocabulary, for the image
    model = decoder(text, stacks, table_parameters=spare)
    return _with(model, _mllama_tower(config.inside("vision_config"), h))


def _mllama_tower(config: Config, text_hidden: int) -> Encoder:
    v = config.like("mllama_vision_model")
    h, inner = v.hidden(), v.whole("intermediate_size")
    patch, image = v.whole("patch_size"), v.whole("image_size")
    positions, tiles = (image // patch) ** 2 + 1, v.whole("max_num_tiles", default=4)
    ratios = v.items("supported_aspect_ratios")
    shapes = (len(ratios) if ratios is not None else 8) + 1
    attend = vision.mixer(v, h, v.whole("attention_heads", "num_attention_heads"), 0)
    part = feed(h, inner, gated=False, bias=True)
    depth, whole = v.layers(), v.layers("num_global_layers")
    tables = positions * h + shapes * tiles * positions * h + 2 * shapes * tiles * h
    out = v.whole("vision_output_dim")
    return Encoder(
        kind="image",
        item=f"tile of {image} × {image} pixels",
        hidden=h,
        stacks=(
            *vision.layers(depth, attend, part, 4 * h),
            *vision.layers(whole, attend, part, 4 * h + 2),
        ),
        positions=positions,
        tokens=positions,
        matrices=(
            Matrix(
                name="patches",
                inputs=v.whole("num_channels", default=3) * patch * patch,
                outputs=h,
                per="patch",
            ),
            Matrix(name="projector", inputs=out, outputs=text_hidden),
        ),
        vectors=h + tables + 3 + 4 * h + text_hidden,
    )


# family → how it is built, the text family where text_config does not name its own
WITH_TEXT: dict[str, tuple[Callable[[Config, Language], Model], str]] = {
    "llava": (llava, "llama"),
    "llava_next": (llava_next, "llama"),
    "llava_onevision": (llava_onevision, "qwen2"),
    "mistral3": (mistral3, "mistral"),
    "gemma3": (gemma3, "gemma3_text"),
    "paligemma": (paligemma, "gemma"),
    "llama4": (llama4, "llama4_text"),
    "kimi_k25": (kimi_k25, "deepseek_v3"),
    "qwen2_vl": (qwen2_vl, "qwen2_vl_text"),
    "qwen2_5_vl": (qwen2_5_vl, "qwen2_5_vl_text"),
    "qwen3_vl": (qwen3_vl, "qwen3_vl_text"),
    "qwen3_vl_moe": (qwen3_vl, "qwen3_vl_moe_text"),
    "qwen3_5": (qwen3_5, "qwen3_5_text"),
    "qwen3_5_moe": (qwen3_5, "qwen3_5_moe_text"),
    "mllama": (mllama, "mllama_text_model"),
}
