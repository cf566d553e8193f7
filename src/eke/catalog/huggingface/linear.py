"""Linear attention beside softmax attention: Qwen3-Next, Qwen3.5, OLMo Hybrid, MiniMax-01."""

from __future__ import annotations

from collections.abc import Callable

from eke.catalog.huggingface.config import HEADS, Config
from eke.catalog.huggingface.parts import attention, block, decoder, feed, gather, width
from eke.catalog.huggingface.routed import experts, sparse
from eke.types.model import LinearAttention, Model

KINDS = ("full_attention", "linear_attention")


def _kinds(config: Config, every: int = 4) -> list[bool]:
    """For each layer, whether it has softmax attention."""
    kinds = config.kinds(KINDS)
    if kinds is not None:
        return [kind == "full_attention" for kind in kinds]
    return [(i + 1) % every == 0 for i in range(config.layers())]


def qwen3_next(config: Config) -> Model:
    """Qwen3-Next and Qwen3.5: three gated delta rules to one gated attention."""
    h = config.hidden()
    full = _kinds(config, config.whole("full_attention_interval", default=4))
    bias = config.flag("attention_bias")
    softmax = attention(config, bias=bias, head_norms="head", gated=True)
    delta = _delta(config)
    if config.maybe("num_experts"):
        shared = config.whole("shared_expert_intermediate_size")
        parts = list(sparse(config, experts(config, shared=shared, gate=True)))
    else:
        parts = [feed(h, width(config))] * len(full)
    stacks = gather(
        block(softmax if is_full else delta, part, 2 * h)
        for is_full, part in zip(full, parts, strict=True)
    )
    return decoder(config, stacks)


def _delta(config: Config) -> LinearAttention:
    """Gated delta rule: queries, keys, values and gate, and a decay and a step for each head."""
    kh, vh = config.whole("linear_num_key_heads"), config.whole("linear_num_value_heads")
    ks, vs = config.whole("linear_key_head_dim"), config.whole("linear_value_head_dim")
    kernel = config.whole("linear_conv_kernel_dim", default=4)
    convolved = 2 * kh * ks + vh * vs
    return LinearAttention(
        key_heads=kh,
        value_heads=vh,
        key_size=ks,
        value_size=vs,
        convolution=kernel,
        projections=convolved + vh * vs + 2 * vh,
        vectors=convolved * kernel + 2 * vh + vs,
    )


def olmo_hybrid(config: Config) -> Model:
    """OLMo Hybrid: three gated delta rules to one attention with norms on all heads."""
    h = config.hidden()
    softmax = attention(config, bias=config.flag("attention_bias"), head_norms="all")
    delta, part = _delta(config), feed(h, width(config))
    full = _kinds(config)
    if not any(full):  # there is always one
        full[-1] = True
    return decoder(config, gather(block(softmax if i else delta, part, 2 * h) for i in full))


def minimax(config: Config) -> Model:
    """MiniMax-01 and M1: lightning attention with an output gate, some layers softmax."""
    h, softmax = config.hidden(), attention(config)
    heads, size = config.whole(*HEADS), softmax.head_size
    light = LinearAttention(
        key_heads=heads,
        value_heads=heads,
        key_size=size,
        value_size=size,
        projections=4 * heads * size,
        vectors=heads * size,
    )
    kinds = config.kinds(KINDS)
    old = config.items("attn_type_list")  # 1 is softmax, in MiniMax's own files
    if kinds is None and old is not None:
        if len(old) < config.layers() or any(each not in (0, 1) for each in old):
            raise config.wrong("attn_type_list", "must hold 0 or 1 for each layer.")
        full = [each == 1 for each in old[: config.layers()]]
    else:
        full = [
            kind == "full_attention" if kinds else i % 2 == 0
            for i, kind in enumerate(kinds or [""] * config.layers())
        ]
    part = experts(config)
    return decoder(config, gather(block(softmax if i else light, part, 2 * h) for i in full))


FAMILIES: dict[str, Callable[[Config], Model]] = {
    **dict.fromkeys(("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text"), qwen3_next),
    "olmo_hybrid": olmo_hybrid,
    **dict.fromkeys(("minimax", "minimax_text_01"), minimax),
}
