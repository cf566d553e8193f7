"""State-space and hybrid models: Mamba, Jamba, Nemotron-H, Qwen3-Next."""

from __future__ import annotations

from math import ceil

from eke.catalog.huggingface.config import Config
from eke.catalog.huggingface.parts import attention, block, decoder, feed, gather, repeated
from eke.errors import BadFile
from eke.types.model import (
    Block,
    Experts,
    Feed,
    LinearAttention,
    Mixer,
    Model,
    StateSpace,
)
from eke.types.record import replace


def _mamba1(config: Config, prefix: str, hidden: int) -> StateSpace:
    """Mamba 1 with its convolution, step bias, decay and skip."""
    inner = config.maybe("intermediate_size", least=1) if not prefix else None
    expand = config.number(f"{prefix}expand", default=2)
    inner = inner or int(expand * hidden)
    state = config.whole(*_names(prefix, "d_state", "state_size"), default=16)
    kernel = config.whole(*_names(prefix, "d_conv", "conv_kernel"), default=4)
    rank_names = _names(prefix, "dt_rank", "time_step_rank")
    rank = ceil(hidden / 16)
    if any(isinstance(config.values.get(name), int) for name in rank_names):
        rank = config.whole(*rank_names)
    conv_bias = config.flag(f"{prefix}conv_bias", "use_conv_bias", default=True)
    bias = config.flag(f"{prefix}proj_bias", "use_bias")
    vectors = inner * kernel + inner * conv_bias + inner + inner * state + inner
    return StateSpace(
        version=1,
        inner=inner,
        state=state,
        convolution=kernel,
        step_rank=rank,
        vectors=vectors + (2 * inner + hidden) * bias,
    )


def _names(prefix: str, *names: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in names) if prefix else names[::-1]


def mamba(config: Config) -> Model:
    """Mamba 1."""
    h = config.whole("hidden_size", "d_model")
    stacks = repeated(config, block(_mamba1(config, "", h), None, h))
    return decoder(config, stacks, tied_default=True, context_default=1_000_000)


def mamba2(config: Config) -> Model:
    """Mamba 2 as transformers has it."""
    h, kernel = config.whole("hidden_size"), config.whole("conv_kernel", default=4)
    heads, size = config.whole("num_heads", default=128), config.whole("head_dim", default=64)
    groups, state = config.whole("n_groups", default=8), config.whole("state_size", default=128)
    inner = int(config.number("expand", default=2) * h)
    if inner != heads * size:
        raise BadFile(
            f"{config.where}: expand × hidden_size is {inner} and num_heads × head_dim "
            f"{heads * size}; they must be equal."
        )
    mixer = _mamba2(config, h, heads, size, groups, state, kernel)
    return decoder(config, repeated(config, block(mixer, None, h)), context_default=1_000_000)


def _mamba2(
    config: Config, hidden: int, heads: int, size: int, groups: int, state: int, kernel: int
) -> StateSpace:
    inner = heads * size
    wide = inner + 2 * groups * state
    vectors = wide * kernel + wide * config.flag("use_conv_bias", default=True) + 3 * heads + inner
    bias = config.flag("use_bias")
    return StateSpace(
        version=2,
        inner=inner,
        state=state,
        convolution=kernel,
        heads=heads,
        groups=groups,
        vectors=vectors + (inner + wide + heads + hidden) * bias,
    )


def jamba(config: Config) -> Model:
    """Jamba: one attention layer in eight, experts in every other layer."""
    h, layers = config.whole("hidden_size"), config.layers()
    plain = _mamba1(config, "mamba_", h)
    ssm = replace(plain, vectors=plain.vectors + plain.step_rank + 2 * plain.state)
    width = config.whole("intermediate_size")
    routed = Experts(
        count=config.whole("num_experts", default=16),
        active=config.whole("num_experts_per_tok", default=2),
        width=width,
    )
    dense: Feed | Experts = feed(h, width)
    a_period = config.whole("attn_layer_period", default=8)
    a_offset = config.whole("attn_layer_offset", default=4, least=0)
    e_period = config.whole("expert_layer_period", default=2)
    e_offset = config.whole("expert_layer_offset", default=1, least=0)
    softmax = attention(config)
    if routed.count == 1:
        routed_part: Feed | Experts = dense
    else:
        routed_part = routed
    stacks = gather(
        block(
            softmax if i % a_period == a_offset else ssm,
            routed_part if i % e_period == e_offset else dense,
            2 * h,
        )
        for i in range(layers)
    )
    return decoder(config, stacks, context_default=262_144)


def nemotron_h(config: Config) -> Model:
    """Nemotron-H: each layer is a Mamba 2 (M), an attention (*), a dense (-) or routed (E) net."""
    h = config.whole("hidden_size")
    pattern = config.text("hybrid_override_pattern", default="")
    if not pattern:
        words = config.items("layers_block_type") or []
        letters = {"mamba": "M", "attention": "*", "mlp": "-", "moe": "E"}
        pattern = "".join(letters.get(str(word), "?") for word in words)
    if not pattern or set(pattern) - set("M*-E"):
        raise BadFile(f"{config.where}: hybrid_override_pattern must be made of M, *, - and E.")
    heads, size = config.whole("mamba_num_heads"), config.whole("mamba_head_dim")
    groups, state = config.whole("n_groups"), config.whole("ssm_state_size")
    mixers: dict[str, Block] = {
        "M": block(
            _mamba2(config, h, heads, size, groups, state, config.whole("conv_kernel", default=4)),
            None,
            h,
        ),
        "*": block(attention(config, bias=config.flag("attention_bias")), None, h),
        "-": block(None, None, h),
    }
    if "-" in pattern:
        bias = config.flag("mlp_bias")
        part = feed(h, config.whole("intermediate_size"), gated=False, bias=bias)
        mixers["-"] = block(None, part, h)
    if "E" in pattern:
        mixers["E"] = block(None, _nemotron_experts(config), h)
    return decoder(config, gather(mixers[letter] for letter in pattern))


def _nemotron_experts(config: Config) -> Experts:
    shared = config.maybe("moe_shared_expert_intermediate_size") or 0
    return Experts(
        count=config.whole("n_routed_experts"),
        active=config.whole("num_experts_per_tok"),
        width=config.whole("moe_intermediate_size"),
        gated=False,
        shared=shared * (config.maybe("n_shared_experts") or 0),
        shared_gated=False,
        latent=config.maybe("moe_latent_size", least=1),
    )


def qwen3_next(config: Config) -> Model:
    """Qwen3-Next and Qwen3.5: three gated delta rules to one gated attention."""
    h, layers = config.whole("hidden_size"), config.layers()
    kinds = config.items("layer_types")
    every = config.whole("full_attention_interval", default=4)
    full = (
        [kind == "full_attention" for kind in kinds[:layers]]
        if kinds
        else [(i + 1) % every == 0 for i in range(layers)]
    )
    plain = attention(config, bias=config.flag("attention_bias"), gated=True, head_default=256)
    softmax = replace(plain, vectors=plain.vectors + 2 * plain.head_size)
    delta = _delta(config, h)
    dense, routed = _next_parts(config, h)
    plain_layers = config.items("mlp_only_layers") or []
    stacks = gather(
        block(softmax if full[i] else delta, dense if i in plain_layers else routed, 2 * h)
        for i in range(len(full))
    )
    return decoder(config, stacks)


def _next_parts(config: Config, h: int) -> tuple[Feed | Experts, Feed | Experts]:
    count = config.maybe("num_experts") or 0
    if not count:
        dense = feed(h, config.whole("intermediate_size"))
        return dense, dense
    dense = feed(h, config.maybe("intermediate_size", least=1) or 1)
    routed = Experts(
        count=count,
        active=config.whole("num_experts_per_tok"),
        width=config.whole("moe_intermediate_size"),
        shared=config.whole("shared_expert_intermediate_size"),
        shared_gate=True,
    )
    return dense, routed


def _delta(config: Config, hidden: int) -> Mixer:
    """Gated delta rule: one matrix for queries, keys, values and gate, one for decay and step."""
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


FAMILIES = {
    "mamba": mamba,
    "mamba2": mamba2,
    "jamba": jamba,
    "nemotron_h": nemotron_h,
    "qwen3_next": qwen3_next,
    "qwen3_5_text": qwen3_next,
    "qwen3_5_moe_text": qwen3_next,
}
