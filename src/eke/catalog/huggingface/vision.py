"""Vision towers: what turns an image into tokens, and the projector that hands them over."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

from eke.catalog.huggingface.config import Config
from eke.catalog.huggingface.parts import feed
from eke.types.model import Attention, Block, Encoder, Feed, Matrix, Stack
from eke.types.record import replace

Tower = Callable[[Config], Encoder]
ABOUT = "image of about one megapixel"


def mixer(config: Config, h: int, heads: int, vectors: int) -> Attention:
    """Attention that sees all positions. vectors: its biases."""
    size = config.divided(h, heads, "hidden_size over heads")
    return Attention(heads=heads, kv_heads=heads, head_size=size, causal=False, vectors=vectors)


def layers(count: int, attend: Attention, part: Feed, vectors: int) -> tuple[Stack, ...]:
    """Equal layers."""
    return (Stack(count=count, block=Block(mixer=attend, feed=part, vectors=vectors)),)


def standard(config: Config, h: int, depth: int, heads: int, inner: int) -> tuple[Stack, ...]:
    """Layers with biases and layer norms everywhere."""
    part = feed(h, inner, gated=False, bias=True)
    return layers(depth, mixer(config, h, heads, 4 * h), part, 4 * h)


def _grid(config: Config, size: str = "image_size") -> tuple[int, int]:
    """Patches along one side, and inputs of one patch."""
    patch, image = config.whole("patch_size"), config.whole(size)
    if image < patch:
        raise config.wrong(size, f"is {image}; less than one patch of {patch}.")
    return image // patch, config.whole("num_channels", default=3) * patch * patch


def _patches(inputs: int, h: int) -> Matrix:
    return Matrix(name="patches", inputs=inputs, outputs=h, per="patch")


def _heads(config: Config) -> int:
    return config.whole("num_attention_heads", "num_heads")


def clip(config: Config) -> Encoder:
    """CLIP: a class token and its position, norms before and behind."""
    v = config.like("clip_vision_model")
    h, (side, inputs) = v.hidden(), _grid(v)
    stacks = standard(v, h, v.layers(), _heads(v), v.whole("intermediate_size"))
    return Encoder(
        kind="image",
        hidden=h,
        stacks=stacks,
        positions=side * side + 1,
        tokens=side * side,
        matrices=(_patches(inputs, h),),
        vectors=(side * side + 1) * h + h + 4 * h,
    )


def siglip(config: Config) -> Encoder:
    """SigLIP: a bias on the patches, one norm behind, a pooling head that no LLM uses."""
    v = config.like("siglip_vision_model")
    h, (side, inputs), inner = v.hidden(), _grid(v), v.whole("intermediate_size")
    stacks = standard(v, h, v.layers(), _heads(v), inner)
    vectors = side * side * h + h + 2 * h
    if v.flag("vision_use_head", default=True):  # in the file, but never run: no matrix here
        vectors += 4 * h * h + 2 * h * inner + inner + 8 * h
    return Encoder(
        kind="image",
        hidden=h,
        stacks=stacks,
        positions=side * side,
        tokens=side * side,
        matrices=(_patches(inputs, h),),
        vectors=vectors,
    )


def pixtral(config: Config) -> Encoder:
    """Pixtral: gated, RMS norms, no biases, positions by rotation."""
    v = config.like("pixtral")
    h, (side, inputs) = v.hidden(), _grid(v)
    attend = mixer(v, h, _heads(v), 0)
    return Encoder(
        kind="image",
        hidden=h,
        stacks=layers(v.layers(), attend, feed(h, v.whole("intermediate_size")), 2 * h),
        positions=side * side,
        tokens=side * side,
        matrices=(_patches(inputs, h),),
        vectors=h,
    )


def llama4(config: Config) -> Encoder:
    """Llama 4: four patches are shuffled into one before a two-matrix adapter."""
    v = config.like("llama4_vision_model")
    h, (side, inputs), inner = v.hidden(), _grid(v), v.whole("intermediate_size")
    first, out = v.whole("projector_input_dim"), v.whole("projector_output_dim")
    ratio = v.number("pixel_shuffle_ratio", default=0.5)
    wide = int(h // ratio**2)
    if wide != inner:
        raise v.wrong("intermediate_size", f"is {inner}; the shuffled patches are {wide} wide.")
    return Encoder(
        kind="image",
        item="tile of 336 × 336 pixels",
        hidden=h,
        stacks=standard(v, h, v.layers(), _heads(v), inner),
        positions=side * side + 1,
        tokens=int(side * side * ratio**2),
        matrices=(
            _patches(inputs, h),
            Matrix(name="adapter in", inputs=inner, outputs=first),
            Matrix(name="adapter out", inputs=out, outputs=out),
        ),
        vectors=(side * side + 1) * h + h + 4 * h,
    )


def kimi_merge(config: Config) -> int:
    """How many patches become one token."""
    sides = config.items("merge_kernel_size") or [2, 2]
    if len(sides) != 2 or any(type(each) is not int or not 0 < each <= 64 for each in sides):
        raise config.wrong("merge_kernel_size", "must be two small whole numbers, such as [2, 2].")
    return int(sides[0] * sides[1])


def kimi(config: Config) -> Encoder:
    """MoonViT of Kimi K2.5: positions on a learned grid."""
    v = config.like("kimi_k25_vision")
    h, patch = v.hidden(), v.whole("patch_size")
    grid = v.whole("pos_emb_height") * v.whole("pos_emb_width")
    count = kimi_merge(v)
    side = max(1036 // patch, isqrt(count) + 1)
    patches = side * side // count * count
    return Encoder(
        kind="image",
        item=ABOUT,
        hidden=h,
        stacks=standard(v, h, v.layers(), _heads(v), v.whole("intermediate_size")),
        positions=patches,
        tokens=patches // count,
        matrices=(_patches(3 * patch * patch, h),),
        vectors=h + grid * h + 2 * h,
    )


def merged(
    v: Config, h: int, out: int, stacks: tuple[Stack, ...], norm: int, patch_bias: int = 0
) -> Encoder:
    """Qwen's: patches over two frames, and the merger of neighbouring patches."""
    patch = v.whole("patch_size", "spatial_patch_size", default=14)
    frames = v.whole("temporal_patch_size", default=2)
    merge = v.whole("spatial_merge_size", default=2) ** 2
    side = max(1036 // patch, isqrt(merge))
    patches = side * side // merge * merge
    wide = h * merge
    inputs = v.whole("in_channels", "in_chans", default=3) * frames * patch * patch
    return Encoder(
        kind="image",
        item=ABOUT,
        hidden=h,
        stacks=stacks,
        positions=patches,
        tokens=patches // merge,
        matrices=(
            _patches(inputs, h),
            Matrix(name="merger in", inputs=wide, outputs=wide),
            Matrix(name="merger out", inputs=wide, outputs=out),
        ),
        vectors=norm + wide + out + patch_bias,
    )


def added(encoder: Encoder, matrices: tuple[Matrix, ...], vectors: int = 0) -> Encoder:
    """With a projector on top."""
    return replace(
        encoder, matrices=(*encoder.matrices, *matrices), vectors=encoder.vectors + vectors
    )


TOWERS: dict[str, Tower] = {
    "clip_vision_model": clip,
    "siglip_vision_model": siglip,
    "pixtral": pixtral,
}


def tower(config: Config, usual: str = "clip_vision_model") -> Encoder:
    """The tower a vision_config describes. Raises BadFile for one eke cannot count."""
    name = config.text("model_type", default=usual)
    if name not in TOWERS:
        raise config.wrong("model_type", f"is {name[:60]!r}; known: {', '.join(TOWERS)}.")
    return TOWERS[name](config)
