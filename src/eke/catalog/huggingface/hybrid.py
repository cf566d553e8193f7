"""State-space and hybrid models: Mamba, Jamba, Nemotron-H, Bamba, Granite 4."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from eke.catalog.huggingface.config import MOST_LAYERS, Config
from eke.catalog.huggingface.parts import attention, block, decoder, feed, gather, repeated, width
from eke.catalog.huggingface.routed import experts
from eke.types.model import Block, Experts, Feed, Model, StateSpace
from eke.types.record import replace

LONG = 1_000_000  # tokens: a constant state has no longest context of its own


def _mamba1(config: Config, prefix: str, hidden: int) -> StateSpace:
    """Mamba 1 with its convolution, step bias, decay and skip."""
    own = None if prefix else config.maybe("intermediate_size", "d_inner", least=1)
    inner = own or int(config.number(f"{prefix}expand", default=2) * hidden)
    state = config.whole(*_names(prefix, "d_state", "state_size"), default=16)
    kernel = config.whole(*_names(prefix, "d_conv", "conv_kernel"), default=4)
    names = _names(prefix, "dt_rank", "time_step_rank")
    said = [name for name in names if config.values.get(name) not in (None, "auto")]
    rank = config.whole(*said) if said else ceil(hidden / 16)
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


def _names(prefix: str, short: str, long: str) -> tuple[str, ...]:
    return (prefix + short, prefix + long) if prefix else (long, short)


def mamba(config: Config) -> Model:
    """Mamba 1 and Falcon Mamba, whose further norms have no parameters."""
    h = config.hidden()
    stacks = repeated(config, block(_mamba1(config, "", h), None, h))
    return decoder(config, stacks, context_default=LONG)


def mamba2(config: Config) -> Model:
    """Mamba 2 as transformers has it."""
    heads, size = config.whole("num_heads"), config.whole("head_dim")
    inner = int(config.number("expand", default=2) * config.hidden())
    if inner != heads * size:
        raise config.wrong("expand", f"makes {inner}, num_heads × head_dim {heads * size}.")
    mixer = _mamba2(
        config,
        (heads, size),
        groups=config.whole("n_groups"),
        state=config.whole("state_size"),
        kernel=config.whole("conv_kernel", default=4),
        bias=config.flag("use_bias"),
        conv_bias=config.flag("use_conv_bias", default=True),
    )
    stacks = repeated(config, block(mixer, None, config.hidden()))
    return decoder(config, stacks, context_default=LONG)


def _mamba2(
    config: Config,
    heads: tuple[int, int],
    *,
    groups: int,
    state: int,
    kernel: int,
    bias: bool,
    conv_bias: bool,
) -> StateSpace:
    """heads: how many and of which size."""
    count, inner = heads[0], heads[0] * heads[1]
    wide = inner + 2 * groups * state
    vectors = wide * kernel + wide * conv_bias + 3 * count + inner
    return StateSpace(
        version=2,
        inner=inner,
        state=state,
        convolution=kernel,
        heads=count,
        groups=groups,
        vectors=vectors + (inner + wide + count + config.hidden()) * bias,
    )


def _bamba_mixer(config: Config) -> StateSpace:
    """Mamba 2 under the names of Bamba and Granite."""
    heads = config.whole("mamba_n_heads")
    inner = int(config.number("mamba_expand", default=2) * config.hidden())
    auto = config.divided(inner, heads, "mamba_expand × hidden_size over mamba_n_heads")
    said = config.values.get("mamba_d_head") not in (None, "auto")
    size = config.whole("mamba_d_head") if said else auto
    if size * heads != inner:
        raise config.wrong("mamba_d_head", f"is {size}; {heads} heads need {auto}.")
    return _mamba2(
        config,
        (heads, size),
        groups=config.whole("mamba_n_groups"),
        state=config.whole("mamba_d_state"),
        kernel=config.whole("mamba_d_conv", default=4),
        bias=config.flag("mamba_proj_bias"),
        conv_bias=config.flag("mamba_conv_bias", default=True),
    )


def bamba(config: Config) -> Model:
    """Bamba: Mamba 2 with a few attention layers, all with a feed-forward network."""
    h = config.hidden()
    full = config.items("attn_layer_indices") or []
    part = feed(h, width(config), bias=config.flag("mlp_bias"))
    softmax = attention(config, bias=config.flag("attention_bias"))
    ssm = _bamba_mixer(config)
    layers = range(config.layers())
    stacks = gather(block(softmax if i in full else ssm, part, 2 * h) for i in layers)
    return decoder(config, stacks)


def granite_hybrid(config: Config) -> Model:
    """Granite 4: Mamba 2 with a few attention layers, a shared and perhaps routed experts."""
    h, shared = config.hidden(), config.whole("shared_intermediate_size")
    routed = config.maybe("num_local_experts") or 0
    part = experts(config, shared=shared) if routed else feed(h, shared)
    softmax = attention(config, bias=config.flag("attention_bias"))
    ssm = _bamba_mixer(config)
    words = ("mamba", "attention", "linear_attention", "full_attention")
    kinds = config.kinds(words, "layer_types", "layers_block_type") or ["mamba"] * config.layers()
    full = ("attention", "full_attention")
    return decoder(
        config, gather(block(softmax if kind in full else ssm, part, 2 * h) for kind in kinds)
    )


def jamba(config: Config) -> Model:
    """Jamba: one attention layer in eight, experts in every other layer."""
    h, layers = config.hidden(), config.layers()
    plain = _mamba1(config, "mamba_", h)
    ssm = replace(plain, vectors=plain.vectors + plain.step_rank + 2 * plain.state)
    dense: Feed | Experts = feed(h, width(config))
    routed = experts(config) if config.whole("num_experts") > 1 else dense
    a_period, a_offset = _turn(config, "attn_layer_period", "attn_layer_offset")
    e_period, e_offset = _turn(config, "expert_layer_period", "expert_layer_offset")
    softmax = attention(config)
    stacks = gather(
        block(
            softmax if i % a_period == a_offset else ssm,
            routed if i % e_period == e_offset else dense,
            2 * h,
        )
        for i in range(layers)
    )
    return decoder(config, stacks)


def _turn(config: Config, every: str, first: str) -> tuple[int, int]:
    period, offset = config.whole(every), config.whole(first, default=0, least=0)
    if offset >= period:
        raise config.wrong(first, f"is {offset}; it must be below the period {period}.")
    return period, offset


_LETTERS = {"mamba": "M", "linear_attention": "M", "mlp": "-", "moe": "E"}
_LETTERS |= {"attention": "*", "full_attention": "*"}


def _pattern(config: Config) -> str:
    """One letter a layer: M, *, - or E."""
    listed = config.items("layers_block_type", "layer_types")
    name = "layers_block_type" if listed else "hybrid_override_pattern"
    if listed:
        pattern = "".join(
            _LETTERS.get(word, "?") if isinstance(word, str) else "?" for word in listed
        )
    else:
        pattern = config.text("hybrid_override_pattern")
    if not pattern or set(pattern) - set("M*-E"):
        raise config.wrong(name, f"must name {', '.join(_LETTERS)} only.")
    if len(pattern) > MOST_LAYERS:
        raise config.wrong(name, f"has {len(pattern):,} layers; no model has.")
    return pattern


def nemotron_h(config: Config) -> Model:
    """Nemotron-H and 3: each layer is a Mamba 2, an attention, a dense or a routed net."""
    h, pattern = config.hidden(), _pattern(config)
    if config.flag("tie_word_embeddings"):
        raise config.wrong("tie_word_embeddings", "is true; eke knows only the published ones.")
    made: dict[str, Block] = {}
    for letter in set(pattern):
        if letter == "M":
            made["M"] = block(_nemotron_mixer(config), None, h)
        elif letter == "*":
            made["*"] = block(attention(config), None, h)
        elif letter == "-":
            part = feed(h, width(config), gated=False, bias=config.flag("mlp_bias"))
            made["-"] = block(None, part, h)
        else:
            made["E"] = block(None, _nemotron_experts(config), h)
    return decoder(config, gather(made[letter] for letter in pattern))


def _nemotron_mixer(config: Config) -> StateSpace:
    return _mamba2(
        config,
        (config.whole("mamba_num_heads"), config.whole("mamba_head_dim")),
        groups=config.whole("n_groups"),
        state=config.whole("ssm_state_size"),
        kernel=config.whole("conv_kernel", default=4),
        bias=config.flag("use_bias"),
        conv_bias=config.flag("use_conv_bias", default=True),
    )


def _nemotron_experts(config: Config) -> Experts:
    shared, inside = (
        config.whole("moe_shared_expert_intermediate_size"),
        config.maybe("moe_latent_size"),
    )
    bias = config.flag("mlp_bias")
    return replace(
        experts(config),
        gated=False,
        shared=shared,
        shared_gated=False,
        latent=inside or None,
        vectors=bias * (shared + config.hidden() + (inside + config.hidden() if inside else 0)),
    )


FAMILIES: dict[str, Callable[[Config], Model]] = {
    **dict.fromkeys(("mamba", "falcon_mamba"), mamba),
    "mamba2": mamba2,
    "bamba": bamba,
    "granitemoehybrid": granite_hybrid,
    "jamba": jamba,
    "nemotron_h": nemotron_h,
}
