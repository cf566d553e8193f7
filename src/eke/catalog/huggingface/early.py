"""Decoders of the first generation: GPT-2, GPT-J, GPT-NeoX, OPT, BLOOM, Falcon, MPT, BigCode."""

from __future__ import annotations

from collections.abc import Callable

from eke.catalog.huggingface.config import HEADS, Config
from eke.catalog.huggingface.parts import (
    attention,
    block,
    decoder,
    dense,
    feed,
    repeated,
    seen,
    width,
)
from eke.types.model import Attention, Model
from eke.types.record import replace


def _positions(config: Config) -> int:
    return config.whole("n_positions", "n_ctx", "max_position_embeddings", default=1024)


def gpt2(config: Config) -> Model:
    """GPT-2 and GPT-3: learned positions, biases everywhere."""
    _refuse_cross(config)
    rows = _positions(config)
    return dense(config, bias=True, inner_bias=True, gated=False, affine=2, positions=rows)


def gpt_bigcode(config: Config) -> Model:
    """StarCoder 1: GPT-2 with one key and value for all heads."""
    _refuse_cross(config)
    heads = config.whole(*HEADS)
    one = config.flag("multi_query", default=True)
    return gpt2(config.changed(num_key_value_heads=1 if one else heads))


def _refuse_cross(config: Config) -> None:
    if config.flag("add_cross_attention"):
        raise config.wrong("add_cross_attention", "is true; eke counts it as a decoder only.")


def gptj(config: Config) -> Model:
    """GPT-J and CodeGen: no bias in attention, one norm a layer, a bias on the logits."""
    h = config.hidden()
    part = feed(h, width(config), gated=False, bias=True)
    stacks = repeated(config, block(attention(config), part, 2 * h))
    return decoder(config, stacks, vectors=2 * h, logits_bias=True)


def gpt_neox(config: Config) -> Model:
    """GPT-NeoX and Pythia."""
    bias = config.flag("attention_bias", default=True)
    return dense(config, bias=bias, inner_bias=True, gated=False, affine=2)


def gpt_neo(config: Config) -> Model:
    """GPT-Neo: every other layer sees a window; only the output of attention has a bias."""
    h, layers = config.hidden(), config.layers()
    mixer, part = attention(config, bias=(False, True)), feed(h, width(config), gated=False)
    near = config.whole("window_size", default=256)
    listed = config.kinds(("global", "local"), "attention_layers") or _types(config, layers)
    each = [near if kind == "local" else None for kind in listed]
    stacks = seen(mixer, replace(part, vectors=width(config) + h), 4 * h, each)
    return decoder(config, stacks, vectors=2 * h, positions=_positions(config))


def _types(config: Config, layers: int) -> list[str]:
    """attention_types is a list such as [[["global", "local"], 12]]."""
    listed: list[str] = []
    for item in config.items("attention_types") or [[["global", "local"], layers // 2 + 1]]:
        ok = isinstance(item, list) and len(item) == 2 and isinstance(item[0], list)
        if not ok or type(item[1]) is not int or not 0 < item[1] <= layers:
            raise config.wrong("attention_types", 'must be such as [[["global", "local"], 12]].')
        listed += item[0] * item[1]
    return (
        config.changed(attention_types=listed).kinds(("global", "local"), "attention_types") or []
    )


def opt(config: Config) -> Model:
    """OPT: learned positions with two spare rows; the 350M norms after and projects its table."""
    h = config.hidden()
    bias = config.flag("enable_bias", default=True)
    affine = 2 if config.flag("layer_norm_elementwise_affine", default=True) else 0
    before = config.flag("do_layer_norm_before", default=True)
    final = before and not config.flag("_remove_final_layer_norm")
    table = config.whole("word_embed_proj_dim", default=h)
    rows = config.whole("max_position_embeddings", default=2048) + 2
    made = dense(config, bias=bias, inner_bias=bias, gated=False, affine=affine, positions=rows)
    return replace(made, vectors=affine * h * final, embedding=table if table != h else None)


def bloom(config: Config) -> Model:
    """BLOOM: positions by slopes, a norm behind the table."""
    h = config.hidden()
    made = dense(
        config.changed(intermediate_size=4 * h),
        bias=True,
        inner_bias=True,
        gated=False,
        affine=2,
    )
    return replace(made, vectors=4 * h)


def falcon(config: Config) -> Model:
    """Falcon 7B (one key and value), 40B and 180B (groups and two norms)."""
    h, bias = config.hidden(), config.flag("bias")
    heads = config.whole(*HEADS)
    new = config.flag("new_decoder_architecture")
    one = config.flag("multi_query", default=True)
    kv = config.whole("num_kv_heads", "n_head_kv", default=heads) if new else 1 if one else heads
    size = config.divided(h, heads, "hidden_size over heads")
    vectors = (heads + 2 * kv) * size + h if bias else 0
    mixer = Attention(heads=heads, kv_heads=kv, head_size=size, vectors=vectors)
    part = feed(h, width(config), gated=False, bias=bias)
    side = config.flag("parallel_attn", default=True)
    said = config.maybe("num_ln_in_parallel_attn", least=1) or (2 if new else 1)
    norms = 2 if said == 2 or not side else 1
    return decoder(config, repeated(config, block(mixer, part, 2 * norms * h)), vectors=2 * h)


def mpt(config: Config) -> Model:
    """MPT: no biases, norms without bias, an inner width of four hidden sizes."""
    if config.number("expansion_ratio", default=4) != 4:
        raise config.wrong("expansion_ratio", "is not 4; transformers and MPT's own code differ.")
    return dense(config.changed(intermediate_size=4 * config.hidden()), gated=False)


def persimmon(config: Config) -> Model:
    """Persimmon: layer norms on queries and keys, biases everywhere."""
    size = config.divided(config.hidden(), config.whole(*HEADS), "hidden_size over heads")
    more = 4 * size * config.flag("qk_layernorm", default=True)
    return dense(config, bias=True, inner_bias=True, gated=False, affine=2, more=more)


def xglm(config: Config) -> Model:
    """XGLM: positions by sines, biases everywhere."""
    _refuse_cross(config)
    return dense(config, bias=True, inner_bias=True, gated=False, affine=2)


FAMILIES: dict[str, Callable[[Config], Model]] = {
    "gpt2": gpt2,
    "gpt_bigcode": gpt_bigcode,
    "gptj": gptj,
    "codegen": gptj,
    "gpt_neox": gpt_neox,
    "gpt_neo": gpt_neo,
    "opt": opt,
    "bloom": bloom,
    "falcon": falcon,
    "mpt": mpt,
    "persimmon": persimmon,
    "xglm": xglm,
}
