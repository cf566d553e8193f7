"""Dense decoders: Llama and its relatives, Qwen, Gemma, Phi, GLM and others of that build."""

from __future__ import annotations

from eke.catalog.huggingface.config import Config
from eke.catalog.huggingface.parts import (
    attention,
    block,
    decoder,
    feed,
    gather,
    repeated,
    window_layers,
)
from eke.types.model import Attention, Model
from eke.types.record import replace


def _width(config: Config) -> int:
    return config.whole("intermediate_size", "n_inner", "ffn_dim")


def llama(config: Config) -> Model:
    """Llama 1 to 3, Mistral, Yi, SmolLM, Granite, InternLM3, and all that share the class."""
    h = config.whole("hidden_size")
    bias, inner = config.flag("attention_bias"), config.flag("mlp_bias")
    window = None if config.values.get("use_sliding_window") is False else _window(config)
    mixer = attention(config, bias=bias, window=window)
    part = feed(h, _width(config), bias=inner)
    return decoder(config, repeated(config, block(mixer, part, 2 * h)))


def _window(config: Config) -> int | None:
    return config.maybe("sliding_window", least=1)


def qwen2(config: Config) -> Model:
    """Qwen 1.5, 2 and 2.5: biases on query, key and value."""
    h = config.whole("hidden_size")
    mixer = attention(config, bias=(True, False))
    return decoder(config, repeated(config, block(mixer, feed(h, _width(config)), 2 * h)))


def qwen3(config: Config) -> Model:
    """Qwen 3: a norm on the queries and on the keys of each head."""
    h, size = config.whole("hidden_size"), config.whole("head_dim", default=128)
    bias = config.flag("attention_bias")
    mixer = attention(config, bias=bias, norms=2 * size, head_default=128)
    return decoder(config, repeated(config, block(mixer, feed(h, _width(config)), 2 * h)))


def gemma(config: Config) -> Model:
    """Gemma 1."""
    h = config.whole("hidden_size")
    mixer = attention(config, head_default=256, bias=config.flag("attention_bias"))
    stacks = repeated(config, block(mixer, feed(h, _width(config)), 2 * h))
    return decoder(config, stacks, tied_default=True, context_default=8192)


def gemma2(config: Config) -> Model:
    """Gemma 2: four norms a layer, every other layer sees a window."""
    return _windowed_gemma(config, pattern=2, norms=0)


def gemma3(config: Config) -> Model:
    """Gemma 3 text: five windowed layers to one full, norms on queries and keys."""
    return _windowed_gemma(config, pattern=6, norms=2)


def _windowed_gemma(config: Config, pattern: int, norms: int) -> Model:
    h = config.whole("hidden_size", default=2304)
    size = config.whole("head_dim", default=256)
    defaulted = {
        "hidden_size": 2304,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "intermediate_size": 9216,
        "vocab_size": 256000 if pattern == 2 else 262208,
        "max_position_embeddings": 8192 if pattern == 2 else 131072,
    }
    whole = Config(defaulted | _given(config), config.where, config.at)
    bias = whole.flag("attention_bias")
    mixer = attention(whole, bias=bias, norms=norms * size)
    near = replace(mixer, window=whole.whole("sliding_window", default=4096))
    part = feed(h, _width(whole))
    stacks = gather(
        block(near if windowed else mixer, part, 4 * h)
        for windowed in window_layers(whole, pattern)
    )
    return decoder(whole, stacks, tied_default=True)


def _given(config: Config) -> dict[str, object]:
    return {name: value for name, value in config.values.items() if value is not None}


def phi(config: Config) -> Model:
    """Phi 1 to 2: one norm a layer, biases everywhere."""
    h = config.whole("hidden_size")
    norms = 2 * config.divided(h, config.whole("num_attention_heads"), "head size")
    mixer = attention(config, bias=True, norms=2 * norms * config.flag("qk_layernorm"))
    part = feed(h, _width(config), gated=False, bias=True)
    stacks = repeated(config, block(mixer, part, 2 * h))
    return decoder(config, stacks, vectors=2 * h, logits_bias=True)


def phi3(config: Config) -> Model:
    """Phi 3, 3.5 and 4."""
    h = config.whole("hidden_size")
    mixer = attention(config, window=_window(config))
    stacks = repeated(config, block(mixer, feed(h, _width(config)), 2 * h))
    return decoder(config, stacks)


def glm(config: Config) -> Model:
    """GLM-4 (transformers' own class): biases on query, key and value."""
    h = config.whole("hidden_size")
    mixer = attention(config, bias=(config.flag("attention_bias", default=True), False))
    norms = 4 if config.values.get("model_type") == "glm4" else 2
    stacks = repeated(config, block(mixer, feed(h, _width(config)), norms * h))
    return decoder(config, stacks)


def chatglm(config: Config) -> Model:
    """ChatGLM 2, 3 and GLM-4-9B in their first format."""
    h, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    size = config.whole("kv_channels", default=config.divided(h, heads, "head size"))
    kv = config.whole("multi_query_group_num", default=heads)
    mixer = Attention(heads=heads, kv_heads=kv, head_size=size)
    if config.flag("add_qkv_bias", "add_bias_linear"):
        mixer = replace(mixer, vectors=(heads + 2 * kv) * size)
    part = feed(h, config.whole("ffn_hidden_size"))
    stacks = repeated(config, block(mixer, part, 2 * h))
    words = {"vocab_size": config.whole("padded_vocab_size", "vocab_size")}
    return decoder(Config(config.values | words, config.where, config.at), stacks)


def stablelm(config: Config) -> Model:
    """StableLM 2 and 3: layer norms with bias."""
    h = config.whole("hidden_size")
    mixer = attention(config, bias=(config.flag("use_qkv_bias"), False))
    norms = 2 if config.flag("use_parallel_residual") else 4
    stacks = repeated(config, block(mixer, feed(h, _width(config)), norms * h))
    return decoder(config, stacks, vectors=2 * h)


def starcoder2(config: Config) -> Model:
    """StarCoder 2: plain feed-forward, biases and layer norms."""
    h, bias = config.whole("hidden_size"), config.flag("use_bias", default=True)
    mixer = attention(config, bias=bias, window=_window(config))
    part = feed(h, _width(config), gated=False, bias=bias)
    stacks = repeated(config, block(mixer, part, 4 * h))
    return decoder(config, stacks, vectors=2 * h, tied_default=True)


def olmo2(config: Config) -> Model:
    """OLMo 2: norms on all queries and all keys."""
    h = config.whole("hidden_size")
    plain = attention(config, bias=config.flag("attention_bias"))
    norms = (plain.heads + plain.kv_heads) * plain.head_size
    mixer = replace(plain, vectors=plain.vectors + norms)
    return decoder(config, repeated(config, block(mixer, feed(h, _width(config)), 2 * h)))


def olmo(config: Config) -> Model:
    """OLMo 1: norms without parameters."""
    h = config.whole("hidden_size")
    mixer = attention(config, bias=config.flag("attention_bias"))
    stacks = repeated(config, block(mixer, feed(h, _width(config)), 0))
    return decoder(config, stacks, vectors=0)


def cohere(config: Config) -> Model:
    """Command R and R+: one norm a layer, attention and feed-forward side by side."""
    h = config.whole("hidden_size")
    plain = attention(config, bias=config.flag("attention_bias"))
    norms = plain.head_size * (plain.heads + plain.kv_heads) * config.flag("use_qk_norm")
    mixer = replace(plain, vectors=plain.vectors + norms)
    stacks = repeated(config, block(mixer, feed(h, _width(config)), h))
    return decoder(config, stacks, tied_default=True)


def nemotron(config: Config) -> Model:
    """Nemotron 4 and Minitron: squared ReLU, layer norms with bias."""
    h = config.whole("hidden_size")
    mixer = attention(config, bias=config.flag("attention_bias"))
    part = feed(h, _width(config), gated=False, bias=config.flag("mlp_bias"))
    return decoder(config, repeated(config, block(mixer, part, 4 * h)), vectors=2 * h)


FAMILIES = {
    **dict.fromkeys(("llama", "mistral", "smollm3", "granite", "yi", "helium", "ministral"), llama),
    "ministral3": llama,
    **dict.fromkeys(("baichuan", "internlm2", "internlm3", "seed_oss", "aquila"), llama),
    "qwen2": qwen2,
    "qwen3": qwen3,
    "gemma": gemma,
    "gemma2": gemma2,
    "gemma3_text": gemma3,
    "phi": phi,
    "phi3": phi3,
    "glm": glm,
    "glm4": glm,
    "chatglm": chatglm,
    "stablelm": stablelm,
    "starcoder2": starcoder2,
    "olmo": olmo,
    "olmo2": olmo2,
    "cohere": cohere,
    "nemotron": nemotron,
}
