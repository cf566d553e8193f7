"""Mixtures of experts around ordinary attention: Mixtral, Qwen MoE, GLM, gpt-oss, Llama 4."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from eke.catalog.huggingface.config import Config
from eke.catalog.huggingface.latent import drafts, routed_stacks
from eke.catalog.huggingface.parts import (
    attention,
    block,
    decoder,
    feed,
    gather,
    repeated,
    same_window,
    seen,
    width,
    windows,
)
from eke.types.model import Experts, Feed, Model
from eke.types.record import replace

COUNT = ("num_local_experts", "num_experts", "n_routed_experts")


def experts(config: Config, *, shared: int = 0, gate: bool = False, vectors: int = 0) -> Experts:
    """Routed experts under their usual names; their width is the feed-forward network's own."""
    count = config.whole(*COUNT)
    active = config.whole("num_experts_per_tok", "experts_per_token")
    if active > count:
        raise config.wrong("num_experts_per_tok", f"is {active}; there are only {count} experts.")
    return Experts(
        count=count,
        active=active,
        width=config.maybe("moe_intermediate_size", least=1) or width(config),
        shared=shared,
        shared_gate=gate,
        vectors=vectors,
    )


def mixtral(config: Config) -> Model:
    """Mixtral: every layer routed, no shared expert."""
    stacks = seen(attention(config), experts(config), 2 * config.hidden(), same_window(config))
    return decoder(config, stacks)


def phimoe(config: Config) -> Model:
    """Phi 3.5 MoE: layer norms with bias, biases in attention and on the logits."""
    h, mixer = config.hidden(), attention(config, bias=config.flag("attention_bias"))
    stacks = seen(mixer, experts(config), 4 * h, same_window(config))
    return decoder(config, stacks, vectors=2 * h, logits_bias=config.flag("lm_head_bias"))


def granitemoe(config: Config) -> Model:
    """Granite 3 MoE, with or without a shared expert."""
    mixer = attention(config, bias=config.flag("attention_bias"))
    part = experts(config, shared=config.maybe("shared_intermediate_size") or 0)
    return decoder(config, repeated(config, block(mixer, part, 2 * config.hidden())))


def qwen2_moe(config: Config) -> Model:
    """Qwen 1.5 and 2 MoE: biases, a shared expert with a gate."""
    mixer = attention(config, bias=(config.flag("qkv_bias", default=True), False))
    shared = config.whole("shared_expert_intermediate_size")
    part = experts(config, shared=shared, gate=True)
    return decoder(
        config, gather(block(mixer, each, _norms(config)) for each in sparse(config, part))
    )


def qwen3_moe(config: Config) -> Model:
    """Qwen 3 MoE: norms on heads, no shared expert."""
    mixer = attention(config, bias=config.flag("attention_bias"), head_norms="head")
    parts = sparse(config, experts(config))
    return decoder(config, gather(block(mixer, each, _norms(config)) for each in parts))


def _norms(config: Config) -> int:
    return 2 * config.hidden()


def sparse(config: Config, part: Experts) -> Iterable[Feed | Experts]:
    """Qwen's rule of which layers are routed."""
    plain = config.items("mlp_only_layers") or []
    every = config.whole("decoder_sparse_step", default=1)
    for i in range(config.layers()):
        routed = i not in plain and (i + 1) % every == 0
        yield part if routed else feed(config.hidden(), width(config))


def glm4_moe(config: Config) -> Model:
    """GLM 4.5 to 4.7: grouped-query attention with biases, DeepSeek's experts."""
    norms: bool = config.flag("use_qk_norm")
    h = config.hidden()
    mixer = attention(
        config, bias=(config.flag("attention_bias"), False), head_norms="head" if norms else "none"
    )
    stacks = routed_stacks(config, [mixer] * config.layers(), 2 * h)
    return decoder(config, stacks, drafts=drafts(config, stacks))


def deepseek_moe(config: Config) -> Model:
    """DeepSeekMoE 16B: ordinary attention, shared experts."""
    mixers = [attention(config)] * config.layers()
    return decoder(config, routed_stacks(config, mixers, 2 * config.hidden()))


def dots1(config: Config) -> Model:
    """dots.llm1: norms on heads, DeepSeek's experts."""
    mixer = attention(config, bias=config.flag("attention_bias"), head_norms="head")
    stacks = routed_stacks(config, _by_window(config, mixer), 2 * config.hidden())
    return decoder(config, stacks)


def exaone_moe(config: Config) -> Model:
    """K-EXAONE: norms on heads, windows, DeepSeek's experts."""
    mixer = attention(config, head_norms="head")
    stacks = routed_stacks(config, _by_window(config, mixer, 4), 2 * config.hidden())
    return decoder(config, stacks)


def solar(config: Config) -> Model:
    """Solar Open: every layer routed."""
    mixer = attention(config, bias=(config.flag("attention_bias"), False))
    return decoder(config, routed_stacks(config, [mixer] * config.layers(), 2 * config.hidden()))


def _by_window(config: Config, mixer: object, every: int | None = None) -> list[object]:
    return [replace(mixer, window=near) for near in windows(config, every)]  # type: ignore[type-var]


def gpt_oss(config: Config) -> Model:
    """gpt-oss: biases and sinks in attention, biases in experts and router, windows by turns."""
    h, inner, count = config.hidden(), width(config), config.whole(*COUNT)
    plain = attention(config, bias=config.flag("attention_bias", default=True))
    mixer = replace(plain, vectors=plain.vectors + plain.heads)
    part = experts(config, vectors=count * (2 * inner + h) + count)
    return decoder(config, seen(mixer, part, 2 * h, windows(config, 2)))


def llama4(config: Config) -> Model:
    """Llama 4 text: chunked attention in three of four layers, one shared expert."""
    h, layers = config.hidden(), config.layers()
    plain = attention(config, bias=config.flag("attention_bias"))
    near = replace(plain, window=config.maybe("attention_chunk_size") or None)
    part, thick = experts(config, shared=width(config)), config.whole("intermediate_size_mlp")
    step = config.whole("interleave_moe_layer_step", default=1)
    routed = config.items("moe_layers")
    routed = list(range(step - 1, layers, step)) if routed is None else routed
    every = config.whole("no_rope_layer_interval", default=4)
    full = config.items("no_rope_layers") or [int((i + 1) % every != 0) for i in range(layers)]
    if len(full) < layers:
        raise config.wrong("no_rope_layers", f"has {len(full)} entries for {layers} layers.")
    stacks = gather(
        block(near if full[i] else plain, part if i in routed else feed(h, thick), 2 * h)
        for i in range(layers)
    )
    return decoder(config, stacks)


def olmoe(config: Config) -> Model:
    """OLMoE, FlexOlmo and MiniMax M2: norms on all queries and keys."""
    mixer = attention(config, bias=config.flag("attention_bias"), head_norms="all")
    return decoder(config, repeated(config, block(mixer, experts(config), 2 * config.hidden())))


def ernie_moe(config: Config) -> Model:
    """ERNIE 4.5 MoE: a correction in the router, shared experts, one switch for biases."""
    h, inner = config.hidden(), config.whole("moe_intermediate_size")
    if config.flag("use_bias"):
        raise config.wrong("use_bias", "is true; eke knows only the published ones, without.")
    count = config.whole("moe_num_experts")
    part = Experts(
        count=count,
        active=config.whole("moe_k"),
        width=inner,
        shared=inner * (config.maybe("moe_num_shared_experts") or 0),
        vectors=count,
    )
    first, step = (
        config.maybe("moe_layer_start_index") or 0,
        config.whole("moe_layer_interval", default=1),
    )
    layers, last = config.layers(), config.values.get("moe_layer_end_index", -1)
    end = layers - 1 if last in (-1, None) else config.whole("moe_layer_end_index", least=0)
    mixer, plain = attention(config), feed(h, width(config))
    stacks = gather(
        block(mixer, part if (i + 1) % step == 0 and first <= i <= end else plain, 2 * h)
        for i in range(layers)
    )
    return decoder(config, stacks)


def hunyuan_moe(config: Config) -> Model:
    """Hunyuan A13B: a shared expert as wide as a routed one, norms on heads."""
    mixer = attention(config, bias=config.flag("attention_bias"), head_norms="head")
    part = Experts(
        count=config.whole("num_experts"),
        active=config.whole("moe_topk", "num_experts_per_tok"),
        width=width(config),
        shared=width(config),
    )
    return decoder(config, repeated(config, block(mixer, part, 2 * config.hidden())))


def dbrx(config: Config) -> Model:
    """DBRX: layer norms without bias, one fused projection."""
    inner, focus = config.inside("ffn_config"), config.inside("attn_config")
    kv = focus.whole("kv_n_heads", default=1)
    part = Experts(
        count=inner.whole("moe_num_experts", default=4),
        active=inner.whole("moe_top_k", default=1),
        width=inner.whole("ffn_hidden_size", default=3584),
    )
    mixer = attention(config.changed(num_key_value_heads=kv))
    return decoder(config, repeated(config, block(mixer, part, 2 * config.hidden())))


def arctic(config: Config) -> Model:
    """Snowflake Arctic: a dense network as wide as the model beside the routed experts."""
    h = config.hidden()
    part = experts(config, shared=h)
    return decoder(config, repeated(config, block(attention(config), part, 3 * h)))


def afmoe(config: Config) -> Model:
    """Trinity: gated attention with norms on heads, windows, four norms, shared experts."""
    h, inner = config.hidden(), config.whole("moe_intermediate_size")
    mixer = attention(config, head_norms="head", gated=True)
    if config.flag("attention_bias"):  # the gate has none
        columns = (mixer.heads + 2 * mixer.kv_heads) * mixer.head_size
        mixer = replace(mixer, vectors=mixer.vectors + columns + h)
    plain, first = feed(h, width(config)), config.maybe("num_dense_layers") or 0
    count = config.whole("num_experts")
    shared = inner * (config.maybe("num_shared_experts") or 0)
    part = experts(config, shared=shared, vectors=count)
    every = config.whole("global_attn_every_n_layers", default=4)
    stacks = gather(
        block(replace(mixer, window=near), plain if i < first else part, 4 * h)
        for i, near in enumerate(windows(config, every))
    )
    return decoder(config, stacks)


FAMILIES: dict[str, Callable[[Config], Model]] = {
    "mixtral": mixtral,
    "phimoe": phimoe,
    **dict.fromkeys(("granitemoe", "granitemoeshared"), granitemoe),
    "qwen2_moe": qwen2_moe,
    "qwen3_moe": qwen3_moe,
    "glm4_moe": glm4_moe,
    "deepseek": deepseek_moe,
    "dots1": dots1,
    "exaone_moe": exaone_moe,
    "solar_open": solar,
    "gpt_oss": gpt_oss,
    "llama4_text": llama4,
    **dict.fromkeys(("olmoe", "flex_olmo", "minimax_m2"), olmoe),
    "ernie4_5_moe": ernie_moe,
    "hunyuan_v1_moe": hunyuan_moe,
    "dbrx": dbrx,
    "arctic": arctic,
    "afmoe": afmoe,
}
