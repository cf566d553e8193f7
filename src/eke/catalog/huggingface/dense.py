"""Dense decoders: Llama and its relatives, Qwen, Gemma, Phi, GLM and others of that build."""

from __future__ import annotations

from collections.abc import Callable

from eke.catalog.huggingface.config import HEADS, Config
from eke.catalog.huggingface.parts import (
    attention,
    block,
    decoder,
    dense,
    feed,
    qwen_windows,
    repeated,
    same_window,
    width,
    windows,
)
from eke.types.model import Attention, Model
from eke.types.record import replace


def llama(config: Config) -> Model:
    """Llama 1 to 3, Yi, Granite and all that share the class."""
    bias, inner = config.flag("attention_bias"), config.flag("mlp_bias")
    return dense(config, bias=bias, inner_bias=inner)


def mistral(config: Config) -> Model:
    """Mistral and Ministral: one window in all layers, or the kinds that are listed.

    Where the file is silent there is no window: transformers would assume the 4,096 of the very
    first Mistral 7B, whose own file says so.
    """
    listed = "layer_types" in config
    return dense(config, each=windows(config) if listed else same_window(config))


def qwen2(config: Config) -> Model:
    """Qwen 1.5, 2 and 2.5: biases on query, key and value."""
    return dense(config, bias=(True, False), each=qwen_windows(config))


def qwen3(config: Config) -> Model:
    """Qwen 3: a norm on the queries and on the keys of each head."""
    bias = config.flag("attention_bias")
    return dense(config, bias=bias, head_norms="head", each=qwen_windows(config))


def gemma2(config: Config) -> Model:
    """Gemma 2: four norms a layer, every other layer sees a window."""
    return dense(config, bias=config.flag("attention_bias"), norms=4, each=windows(config, 2))


def gemma3(config: Config) -> Model:
    """Gemma 3 text: five windowed layers to one full, norms on queries and keys."""
    bias, each = config.flag("attention_bias"), windows(config, 6)
    return dense(config, bias=bias, head_norms="head", norms=4, each=each)


def phi(config: Config) -> Model:
    """Phi 1 to 2: one norm a layer, biases everywhere."""
    h = config.hidden()
    size = config.divided(h, config.whole(*HEADS), "hidden_size over heads")
    more = 4 * size * config.flag("qk_layernorm")
    each = [None] * config.layers()
    return dense(
        config,
        bias=True,
        inner_bias=True,
        gated=False,
        norms=1,
        affine=2,
        more=more,
        each=each,
        logits_bias=True,
    )


def phi3(config: Config) -> Model:
    """Phi 3, 3.5 and 4."""
    return dense(config, each=same_window(config))


def glm(config: Config) -> Model:
    """GLM-4 (transformers' own class): biases on query, key and value."""
    return dense(config, bias=(config.flag("attention_bias", default=True), False))


def glm4(config: Config) -> Model:
    """GLM-4-0414: two more norms a layer."""
    return dense(config, bias=(config.flag("attention_bias", default=True), False), norms=4)


def chatglm(config: Config) -> Model:
    """ChatGLM 2, 3 and GLM-4-9B in their first format."""
    h, heads = config.hidden(), config.whole(*HEADS)
    size = config.maybe("kv_channels", least=1) or config.divided(h, heads, "hidden_size")
    grouped = config.flag("multi_query_attention", default="multi_query_group_num" in config)
    kv = config.whole("multi_query_group_num") if grouped else heads
    every = config.flag("add_bias_linear")
    bias = (every or config.flag("add_qkv_bias")) * (heads + 2 * kv) * size + every * h
    mixer = Attention(heads=heads, kv_heads=kv, head_size=size, vectors=bias)
    part = feed(h, config.whole("ffn_hidden_size"), bias=every)
    words = config.changed(vocab_size=config.whole("padded_vocab_size", "vocab_size"))
    return decoder(words, repeated(config, block(mixer, part, 2 * h)))


def stablelm(config: Config) -> Model:
    """StableLM 2 and 3: layer norms with bias; a norm of its own for every head."""
    plain = attention(config)
    own = (plain.heads + plain.kv_heads) * plain.head_size * config.flag("qk_layernorm")
    norms = 1 if config.flag("use_parallel_residual") else 2
    bias = (config.flag("use_qkv_bias"), False)
    return dense(config, bias=bias, norms=norms, affine=2, more=own)


def starcoder2(config: Config) -> Model:
    """StarCoder 2: plain feed-forward, biases and layer norms."""
    bias, each = config.flag("use_bias", default=True), same_window(config)
    return dense(config, bias=bias, inner_bias=bias, gated=False, affine=2, each=each)


def olmo2(config: Config) -> Model:
    """OLMo 2 and 3: norms on all queries and all keys; OLMo 3 has three windows to one full."""
    each = windows(config, 4 if config.values.get("model_type") == "olmo3" else None)
    return dense(config, bias=config.flag("attention_bias"), head_norms="all", each=each)


def olmo(config: Config) -> Model:
    """OLMo 1: norms without parameters."""
    return dense(config, bias=config.flag("attention_bias"), norms=2, affine=0)


def cohere(config: Config) -> Model:
    """Command R and R+: one norm a layer, attention and feed-forward side by side."""
    norms: bool = config.flag("use_qk_norm")
    bias = config.flag("attention_bias")
    return dense(config, bias=bias, head_norms="all" if norms else "none", norms=1)


def cohere2(config: Config) -> Model:
    """Command R7B and A: three windowed layers to one full."""
    return dense(config, bias=config.flag("attention_bias"), norms=1, each=windows(config, 4))


def nemotron(config: Config) -> Model:
    """Nemotron 4 and Minitron: squared ReLU, layer norms with bias."""
    bias, inner = config.flag("attention_bias"), config.flag("mlp_bias")
    return dense(config, bias=bias, inner_bias=inner, gated=False, affine=2)


def internlm3(config: Config) -> Model:
    """InternLM 3, whose own files name the biases otherwise."""
    bias = (config.flag("qkv_bias", "attention_bias"), config.flag("bias", "attention_bias"))
    return dense(config, bias=bias, inner_bias=config.flag("bias", "mlp_bias"))


def seed_oss(config: Config) -> Model:
    """Seed-OSS: biases on query, key and value."""
    bias = (config.flag("attention_bias", default=True), config.flag("attention_out_bias"))
    return dense(config, bias=bias, inner_bias=config.flag("mlp_bias"))


def helium(config: Config) -> Model:
    """Helium: the output of attention is square and never has a bias."""
    plain = attention(config)
    if plain.heads * plain.head_size != config.hidden():
        raise config.wrong("head_dim", f"is {plain.head_size}; heads must fill the hidden size.")
    bias = (config.flag("attention_bias"), False)
    return dense(config, bias=bias, inner_bias=config.flag("mlp_bias"))


def exaone4(config: Config) -> Model:
    """EXAONE 4: norms behind, norms on heads, windows only where they are stated."""
    return dense(config, head_norms="head", each=windows(config))


def ernie(config: Config) -> Model:
    """ERNIE 4.5: one switch for all biases."""
    bias = config.flag("use_bias")
    return dense(config, bias=bias, inner_bias=bias)


def hunyuan(config: Config) -> Model:
    """Hunyuan dense: norms on heads."""
    return dense(config, bias=config.flag("attention_bias"), head_norms="head")


def apertus(config: Config) -> Model:
    """Apertus: its activation has two learned numbers a layer."""
    learned = config.text("hidden_act", default="xielu") == "xielu"
    bias = config.flag("attention_bias")
    return dense(config, bias=bias, head_norms="head", gated=False, more=2 * learned)


def arcee(config: Config) -> Model:
    """Arcee AFM: squared ReLU."""
    bias, inner = config.flag("attention_bias"), config.flag("mlp_bias")
    return dense(config, bias=bias, inner_bias=inner, gated=False)


def bitnet(config: Config) -> Model:
    """BitNet b1.58: one more norm inside attention and one inside the feed-forward network."""
    more = config.hidden() + width(config)
    return dense(config, bias=config.flag("attention_bias"), more=more)


def remote(config: Config) -> Model:
    """Baichuan 2 and InternLM 2, as their own repositories build them: one switch for biases."""
    bias: bool = config.flag("bias")
    made = dense(config, bias=bias)
    return replace(made, tied=config.flag("tie_word_embeddings"))


def qwen(config: Config) -> Model:
    """The first Qwen: biases on query, key and value; its file counts both halves of the gate."""
    if not config.flag("no_bias", default=True):
        raise config.wrong("no_bias", "is false; eke knows only the published ones, without.")
    inner = config.divided(width(config), 2, "intermediate_size over two halves")
    return dense(config.changed(intermediate_size=inner), bias=(True, False))


def internlm(config: Config) -> Model:
    """InternLM 1: one switch for the biases of attention."""
    return dense(config, bias=config.flag("bias", default=True))


FAMILIES: dict[str, Callable[[Config], Model]] = {
    **dict.fromkeys(("llama", "granite", "smollm3"), llama),
    "qwen": qwen,
    "internlm": internlm,
    **dict.fromkeys(("mistral", "ministral", "ministral3"), mistral),
    **dict.fromkeys(("baichuan", "internlm2"), remote),
    "gemma": llama,
    "qwen2": qwen2,
    "qwen3": qwen3,
    "gemma2": gemma2,
    "gemma3_text": gemma3,
    "phi": phi,
    "phi3": phi3,
    "glm": glm,
    "glm4": glm4,
    "chatglm": chatglm,
    "stablelm": stablelm,
    "starcoder2": starcoder2,
    "olmo": olmo,
    "olmo2": olmo2,
    "olmo3": olmo2,
    "cohere": cohere,
    "cohere2": cohere2,
    "nemotron": nemotron,
    "internlm3": internlm3,
    "seed_oss": seed_oss,
    "helium": helium,
    "exaone4": exaone4,
    "ernie4_5": ernie,
    "hunyuan_v1_dense": hunyuan,
    "apertus": apertus,
    "arcee": arcee,
    "bitnet": bitnet,
}
