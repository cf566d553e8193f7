"""Models whose layers a search made unlike: DeciLM and Llama-Nemotron."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eke.catalog.huggingface.config import HEADS, Config
from eke.catalog.huggingface.parts import attention, block, decoder, feed, gather, width
from eke.types.model import Block, Model


def deci(config: Config) -> Model:
    """DeciLM: each layer has its own number of key and value heads."""
    kv = config.items("num_key_value_heads_per_layer")
    if kv is None or len(kv) != config.layers():
        raise config.wrong("num_key_value_heads_per_layer", "must list each layer.")
    part = feed(config.hidden(), width(config))
    mixers = [attention(config.changed(num_key_value_heads=count)) for count in kv]
    return decoder(config, gather(block(mixer, part, 2 * config.hidden()) for mixer in mixers))


def nemotron_nas(config: Config) -> Model:
    """Llama-Nemotron: layers without attention, without a feed-forward network or with less."""
    listed = config.items("block_configs")
    if listed is None or len(listed) != config.layers():
        raise config.wrong("block_configs", "must describe each layer.")
    return decoder(config, gather(_searched(config, each) for each in listed))


def _searched(config: Config, said: Any) -> Block:
    """One layer; a part that is left out takes its norm along."""
    if not isinstance(said, dict):
        raise config.wrong("block_configs", "must hold a table for each layer.")
    each = Config(said, config.where, "block_configs.")
    first, second = each.inside("attention"), each.inside("ffn")
    for part in (first, second):
        if part.flag("replace_with_linear"):
            raise part.wrong("replace_with_linear", "is true; eke cannot count such a layer.")
    mixer = net = None
    if not first.flag("no_op"):
        heads, group = config.whole(*HEADS), first.whole("n_heads_in_group")
        kv = config.divided(heads, group, "num_attention_heads over n_heads_in_group")
        mixer = attention(config.changed(num_key_value_heads=kv))
    if not second.flag("no_op"):
        wide = int(2 * second.number("ffn_mult") * config.hidden() / 3)
        net = feed(config.hidden(), (wide + 255) // 256 * 256)
    return block(mixer, net, config.hidden() * ((mixer is not None) + (net is not None)))


FAMILIES: dict[str, Callable[[Config], Model]] = {"deci": deci, "nemotron-nas": nemotron_nas}
