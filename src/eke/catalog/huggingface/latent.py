"""Latent attention, and the experts that come with it: DeepSeek, Kimi, GLM 4.7 and 5, MiniCPM 3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eke.catalog.huggingface.config import HEADS, Config
from eke.catalog.huggingface.parts import block, decoder, feed, gather, repeated, width
from eke.types.model import Experts, Feed, LatentAttention, Model, Stack


def latent(config: Config) -> LatentAttention:
    """Multi-head latent attention, with norms on the compressed parts."""
    rank, kept = config.maybe("q_lora_rank") or 0, config.whole("kv_lora_rank")
    rope = config.whole("qk_rope_head_dim")
    index = config.maybe("index_n_heads") or 0
    size = config.whole("index_head_dim") if index else 0
    vectors = rank + kept + 2 * size
    if config.flag("attention_bias"):
        vectors += rank + kept + rope + config.hidden()
    return LatentAttention(
        heads=config.whole(*HEADS),
        query_rank=rank or None,
        cache_rank=kept,
        nope_size=config.whole("qk_nope_head_dim"),
        rope_size=rope,
        value_size=config.whole("v_head_dim"),
        top_tokens=config.maybe("index_topk", least=1) if index else None,
        index_heads=index,
        index_size=size,
        vectors=vectors,
    )


def routed_stacks(config: Config, mixers: Sequence[Any], norms: int) -> tuple[Stack, ...]:
    """Some dense layers first, or as listed, and routed ones with shared experts."""
    h, layers = config.hidden(), config.layers()
    first = config.maybe("first_k_dense_replace") or 0
    every = config.whole("moe_layer_freq", default=1)
    kinds = config.kinds(("dense", "sparse"), "mlp_layer_types") or [
        "sparse" if i >= first and i % every == 0 else "dense" for i in range(layers)
    ]
    parts: dict[str, Feed | Experts] = {}
    if "sparse" in kinds:
        parts["sparse"] = _experts(config)
    if "dense" in kinds:
        parts["dense"] = feed(h, width(config))
    return gather(block(mixers[i], parts[kinds[i]], norms) for i in range(layers))


def _experts(config: Config) -> Feed | Experts:
    count = config.maybe("n_routed_experts", "num_experts", "num_local_experts") or 0
    if not count:
        return feed(config.hidden(), width(config))
    inner = config.whole("moe_intermediate_size")
    active = config.whole("num_experts_per_tok")
    if active > count:
        raise config.wrong("num_experts_per_tok", f"is {active}; there are only {count} experts.")
    shared = inner * (config.maybe("n_shared_experts", "num_shared_experts") or 0)
    return Experts(count=count, active=active, width=inner, shared=shared)


def drafts(config: Config, stacks: tuple[Stack, ...]) -> tuple[Stack, ...]:
    """Blocks for multi-token prediction; their parameters are not in the model's count."""
    count = config.maybe("num_nextn_predict_layers") or 0
    return (Stack(count=count, block=stacks[-1].block),) if count else ()


def deepseek(config: Config) -> Model:
    """DeepSeek V2, V3, R1, V3.2, Kimi K2, GLM 4.7 Flash and 5: latent attention, shared experts."""
    mixers = [latent(config)] * config.layers()
    stacks = routed_stacks(config, mixers, 2 * config.hidden())
    return decoder(config, stacks, drafts=drafts(config, stacks))


def deepseek_v2(config: Config) -> Model:
    """DeepSeek V2 and its Coder."""
    if config.flag("mlp_bias"):
        raise config.wrong("mlp_bias", "is true; eke knows only the published ones, without.")
    return deepseek(config)


def glm4_lite(config: Config) -> Model:
    """GLM 4.7 Flash: one dense layer first where the file does not list them."""
    first = config.maybe("first_k_dense_replace")
    return deepseek(config.changed(first_k_dense_replace=1 if first is None else first))


def minicpm3(config: Config) -> Model:
    """MiniCPM 3: latent attention in a dense model."""
    h, bias = config.hidden(), config.flag("mlp_bias")
    part, value = feed(h, width(config), bias=bias), config.maybe("v_head_dim", least=1)
    value = value or config.divided(h, config.whole(*HEADS), "hidden_size over heads")
    mixer = latent(config.changed(v_head_dim=value))
    return decoder(config, repeated(config, block(mixer, part, 2 * h)))


FAMILIES: dict[str, Callable[[Config], Model]] = {
    **dict.fromkeys(("deepseek_v3", "deepseek_v32", "kimi_k2"), deepseek),
    **dict.fromkeys(("glm_moe_dsa", "mistral4"), deepseek),
    "deepseek_v2": deepseek_v2,
    "glm4_moe_lite": glm4_lite,
    "minicpm3": minicpm3,
}
