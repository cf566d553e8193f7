"""Mixtures of experts, and latent attention: Mixtral, Qwen MoE, DeepSeek, GLM, gpt-oss, Llama 4."""

from __future__ import annotations

from eke.catalog.huggingface.config import Config
from eke.catalog.huggingface.parts import attention, block, decoder, feed, gather, repeated
from eke.types.model import Experts, Feed, LatentAttention, Model, Stack
from eke.types.record import replace


def mixtral(config: Config) -> Model:
    """Mixtral: every layer routed, no shared expert."""
    h = config.whole("hidden_size")
    part = Experts(
        count=config.whole("num_local_experts", default=8),
        active=config.whole("num_experts_per_tok", default=2),
        width=config.whole("intermediate_size"),
    )
    window = config.maybe("sliding_window", least=1)
    stacks = repeated(config, block(attention(config, window=window), part, 2 * h))
    return decoder(config, stacks)


def phimoe(config: Config) -> Model:
    """Phi 3.5 MoE: layer norms with bias, biases in attention and on the logits."""
    h, bias = config.whole("hidden_size"), config.flag("attention_bias")
    part = Experts(
        count=config.whole("num_local_experts", default=16),
        active=config.whole("num_experts_per_tok", default=2),
        width=config.whole("intermediate_size"),
    )
    window = config.maybe("sliding_window", least=1)
    stacks = repeated(config, block(attention(config, bias=bias, window=window), part, 4 * h))
    return decoder(config, stacks, vectors=2 * h, logits_bias=config.flag("lm_head_bias"))


def qwen_moe(config: Config) -> Model:
    """Qwen 2 MoE (biases, shared expert with a gate) and Qwen 3 MoE (norms on heads)."""
    h = config.whole("hidden_size")
    second = config.text("model_type", default="qwen3_moe").startswith("qwen2")
    size = config.maybe("head_dim", least=1)
    if second:
        mixer = attention(config, bias=(config.flag("qkv_bias", default=True), False))
    else:
        mixer = attention(config, bias=config.flag("attention_bias"))
        mixer = replace(mixer, vectors=mixer.vectors + 2 * (size or mixer.head_size))
    part = Experts(
        count=config.whole("num_experts"),
        active=config.whole("num_experts_per_tok"),
        width=config.whole("moe_intermediate_size"),
        shared=config.whole("shared_expert_intermediate_size") if second else 0,
        shared_gate=second,
    )
    plain = config.items("mlp_only_layers") or []
    every = config.whole("decoder_sparse_step", default=1)
    stacks = gather(
        block(
            mixer,
            feed(h, config.whole("intermediate_size")) if i in plain or (i + 1) % every else part,
            2 * h,
        )
        for i in range(config.layers())
    )
    return decoder(config, stacks)


def latent(config: Config) -> LatentAttention:
    """Multi-head latent attention, with norms on the compressed parts."""
    named = "q_lora_rank" in config.values  # null means uncompressed, missing the usual rank
    rank, kept = config.maybe("q_lora_rank") if named else 1536, config.whole("kv_lora_rank")
    bias = config.flag("attention_bias")
    rope = config.whole("qk_rope_head_dim")
    index = config.maybe("index_n_heads") or 0
    size = config.maybe("index_head_dim") or 0
    vectors = (rank or 0) + kept + (2 * size if index else 0)
    if bias:
        vectors += (rank or 0) + kept + rope + config.whole("hidden_size")
    return LatentAttention(
        heads=config.whole("num_attention_heads"),
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


def deepseek(config: Config) -> Model:
    """DeepSeek V2, V3, R1, V3.2 and Kimi K2: latent attention, shared experts."""
    h, mixer = config.whole("hidden_size"), latent(config)
    return decoder(config, _routed_stacks(config, mixer, 2 * h), drafts=_drafts(config))


def _routed_stacks(config: Config, mixer: object, norms: int) -> tuple[Stack, ...]:
    """Some dense layers first, then routed ones."""
    h = config.whole("hidden_size")
    width = config.whole("moe_intermediate_size")
    count = config.maybe("n_routed_experts", "num_experts") or 0
    first = config.maybe("first_k_dense_replace") or 0
    every = config.whole("moe_layer_freq", default=1)
    dense = feed(h, config.whole("intermediate_size"))
    part: Feed | Experts = dense
    if count:
        part = Experts(
            count=count,
            active=config.whole("num_experts_per_tok"),
            width=width,
            shared=width * (config.maybe("n_shared_experts", "num_shared_experts") or 0),
        )
    return gather(
        block(mixer, part if i >= first and i % every == 0 else dense, norms)  # type: ignore[arg-type]
        for i in range(config.layers())
    )


def _drafts(config: Config) -> tuple[Stack, ...]:
    """Blocks for multi-token prediction; their parameters are not in the model's count."""
    count = config.maybe("num_nextn_predict_layers") or 0
    if not count:
        return ()
    mixer, h = (
        latent(config) if "kv_lora_rank" in config else attention(config),
        config.whole("hidden_size"),
    )
    last = _routed_stacks(config, mixer, 2 * h)[-1].block
    return (Stack(count=count, block=last),)


def glm_moe(config: Config) -> Model:
    """GLM 4.5 and 4.6: grouped-query attention with biases, DeepSeek's experts."""
    h = config.whole("hidden_size")
    mixer = attention(config, bias=(config.flag("attention_bias"), False))
    if config.flag("use_qk_norm"):
        mixer = replace(mixer, vectors=mixer.vectors + 2 * mixer.head_size)
    stacks = _routed_stacks(config, mixer, 2 * h)
    return decoder(config, stacks, drafts=_drafts(config))


def gpt_oss(config: Config) -> Model:
    """gpt-oss: biases and sinks in attention, biases in experts and router, windows by turns."""
    h, width = config.whole("hidden_size"), config.whole("intermediate_size")
    count = config.whole("num_local_experts")
    plain = attention(config, bias=config.flag("attention_bias", default=True))
    mixer = replace(plain, vectors=plain.vectors + plain.heads)
    near = replace(mixer, window=config.whole("sliding_window", default=128))
    part = Experts(
        count=count,
        active=config.whole("num_experts_per_tok", "experts_per_token", default=4),
        width=width,
        vectors=count * (2 * width + h) + count,
    )
    kinds = config.items("layer_types")
    windows = (
        [kind == "sliding_attention" for kind in kinds]
        if kinds
        else [i % 2 == 0 for i in range(config.layers())]
    )
    stacks = gather(
        block(near if windowed else mixer, part, 2 * h) for windowed in windows[: config.layers()]
    )
    return decoder(config, stacks)


def llama4(config: Config) -> Model:
    """Llama 4 text: chunked attention in three of four layers, one shared expert."""
    h = config.whole("hidden_size")
    plain = attention(config, bias=config.flag("attention_bias"))
    near = replace(plain, window=config.whole("attention_chunk_size", default=8192))
    width = config.whole("intermediate_size")
    part = Experts(
        count=config.whole("num_local_experts"),
        active=config.whole("num_experts_per_tok", default=1),
        width=width,
        shared=width,
    )
    dense = feed(h, config.whole("intermediate_size_mlp"))
    layers, step = config.layers(), config.whole("interleave_moe_layer_step", default=1)
    routed = config.items("moe_layers") or list(range(step - 1, layers, step))
    full = config.items("no_rope_layers") or [int((i + 1) % 4 != 0) for i in range(layers)]
    stacks = gather(
        block(near if full[i] else plain, part if i in routed else dense, 2 * h)
        for i in range(min(layers, len(full)))
    )
    return decoder(config, stacks)


def olmoe(config: Config) -> Model:
    """OLMoE: norms on all queries and keys."""
    h, plain = config.whole("hidden_size"), attention(config, bias=config.flag("attention_bias"))
    norms = (plain.heads + plain.kv_heads) * plain.head_size
    part = Experts(
        count=config.whole("num_experts", default=64),
        active=config.whole("num_experts_per_tok", default=8),
        width=config.whole("intermediate_size"),
    )
    mixer = replace(plain, vectors=plain.vectors + norms)
    return decoder(config, repeated(config, block(mixer, part, 2 * h)))


def minimax_m2(config: Config) -> Model:
    """MiniMax M2: norms on all queries and keys."""
    h, plain = config.whole("hidden_size"), attention(config)
    norms = (plain.heads + plain.kv_heads) * plain.head_size
    part = Experts(
        count=config.whole("num_local_experts"),
        active=config.whole("num_experts_per_tok"),
        width=config.whole("intermediate_size"),
    )
    mixer = replace(plain, vectors=plain.vectors + norms)
    return decoder(config, repeated(config, block(mixer, part, 2 * h)))


FAMILIES = {
    "mixtral": mixtral,
    "phimoe": phimoe,
    "qwen2_moe": qwen_moe,
    "qwen3_moe": qwen_moe,
    **dict.fromkeys(("deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2"), deepseek),
    "glm_moe_dsa": deepseek,
    "glm4_moe": glm_moe,
    "gpt_oss": gpt_oss,
    "llama4_text": llama4,
    "olmoe": olmoe,
    "minimax_m2": minimax_m2,
}
