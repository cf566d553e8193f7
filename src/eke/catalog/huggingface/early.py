"""Decoders of the first generation: GPT-2, GPT-J, GPT-NeoX, OPT, BLOOM, Falcon, MPT, BigCode."""

from __future__ import annotations

from eke.catalog.huggingface.config import Config
from eke.catalog.huggingface.parts import attention, block, decoder, feed, repeated
from eke.types.model import Attention, Model


def gpt2(config: Config) -> Model:
    """GPT-2 and GPT-3: learned positions, biases everywhere."""
    h = config.whole("n_embd", "hidden_size", default=768)
    mixer = attention(config, bias=True)
    part = feed(h, config.maybe("n_inner", least=1) or 4 * h, gated=False, bias=True)
    stacks = repeated(config, block(mixer, part, 4 * h))
    positions = config.whole("n_positions", "n_ctx", default=1024)
    return decoder(config, stacks, vectors=2 * h, tied_default=True, positions=positions)


def gpt_bigcode(config: Config) -> Model:
    """StarCoder 1: GPT-2 with one key and value for all heads."""
    h = config.whole("n_embd", default=768)
    one = config.flag("multi_query", default=True)
    mixer = attention(config, bias=True, kv_default=1 if one else None)
    part = feed(h, config.maybe("n_inner", least=1) or 4 * h, gated=False, bias=True)
    stacks = repeated(config, block(mixer, part, 4 * h))
    positions = config.whole("n_positions", default=1024)
    return decoder(config, stacks, vectors=2 * h, tied_default=True, positions=positions)


def gptj(config: Config) -> Model:
    """GPT-J: no bias in attention, one norm a layer, a bias on the logits."""
    h = config.whole("n_embd")
    part = feed(h, config.maybe("n_inner", least=1) or 4 * h, gated=False, bias=True)
    stacks = repeated(config, block(attention(config), part, 2 * h))
    return decoder(config, stacks, vectors=2 * h, logits_bias=True)


def gpt_neox(config: Config) -> Model:
    """GPT-NeoX and Pythia."""
    h = config.whole("hidden_size")
    mixer = attention(config, bias=config.flag("attention_bias", default=True))
    part = feed(h, config.whole("intermediate_size"), gated=False, bias=True)
    return decoder(config, repeated(config, block(mixer, part, 4 * h)), vectors=2 * h)


def opt(config: Config) -> Model:
    """OPT: learned positions with two spare rows; the 350M norms after and projects its table."""
    h = config.whole("hidden_size")
    bias = config.flag("enable_bias", default=True)
    affine = 1 if config.flag("layer_norm_elementwise_affine", default=True) else 0
    part = feed(h, config.whole("ffn_dim"), gated=False, bias=bias)
    stacks = repeated(config, block(attention(config, bias=bias), part, 4 * h * affine))
    before = config.flag("do_layer_norm_before", default=True)
    final = before and not config.flag("_remove_final_layer_norm")
    table = config.whole("word_embed_proj_dim", default=h)
    return decoder(
        config,
        stacks,
        vectors=2 * h * affine * final,
        tied_default=True,
        positions=config.whole("max_position_embeddings", default=2048) + 2,
        embedding=table if table != h else None,
    )


def bloom(config: Config) -> Model:
    """BLOOM: positions by slopes, a norm behind the table."""
    h = config.whole("hidden_size", "n_embed")
    heads = config.whole("n_head", "num_attention_heads")
    size = config.divided(h, heads, "hidden_size over heads")
    mixer = Attention(heads=heads, kv_heads=heads, head_size=size, vectors=4 * h)
    part = feed(h, 4 * h, gated=False, bias=True)
    stacks = repeated(config, block(mixer, part, 4 * h))
    whole = Config(config.values | {"hidden_size": h}, config.where, config.at)
    return decoder(whole, stacks, vectors=4 * h, tied_default=True)


def falcon(config: Config) -> Model:
    """Falcon 7B (one key and value), 40B and 180B (groups and two norms)."""
    h, bias = config.whole("hidden_size"), config.flag("bias")
    heads = config.whole("num_attention_heads", "n_head")
    new = config.flag("new_decoder_architecture")
    one = config.flag("multi_query", default=True)
    kv = config.whole("num_kv_heads", "n_head_kv", default=heads) if new else 1 if one else heads
    size = config.divided(h, heads, "hidden_size over heads")
    vectors = (heads + 2 * kv) * size + h if bias else 0
    mixer = Attention(heads=heads, kv_heads=kv, head_size=size, vectors=vectors)
    part = feed(h, config.whole("ffn_hidden_size", default=4 * h), gated=False, bias=bias)
    default = 2 if new else 1
    norms = config.maybe("num_ln_in_parallel_attn", least=1) or default
    if not new and not config.flag("parallel_attn", default=True):
        norms = 2
    stacks = repeated(config, block(mixer, part, 2 * norms * h))
    return decoder(config, stacks, vectors=2 * h, tied_default=True)


def mpt(config: Config) -> Model:
    """MPT: no biases, norms without bias."""
    h = config.whole("d_model")
    width = int(config.number("expansion_ratio", default=4) * h)
    stacks = repeated(config, block(attention(config), feed(h, width, gated=False), 2 * h))
    long = config.whole("max_seq_len", default=2048)
    return decoder(config, stacks, vectors=h, tied_default=True, context_default=long)


FAMILIES = {
    "gpt2": gpt2,
    "gpt_bigcode": gpt_bigcode,
    "gptj": gptj,
    "gpt_neox": gpt_neox,
    "opt": opt,
    "bloom": bloom,
    "falcon": falcon,
    "mpt": mpt,
}
