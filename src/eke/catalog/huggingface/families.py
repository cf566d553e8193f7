"""Every architecture eke knows, by the name config.json gives it."""

from __future__ import annotations

from collections.abc import Callable

from eke.catalog.huggingface import audio, dense, early, hybrid, latent, linear, routed, uneven
from eke.catalog.huggingface.config import Config
from eke.catalog.huggingface.multimodal import WITH_TEXT
from eke.errors import UnknownArchitecture, closest
from eke.types.model import Model

FAMILIES: dict[str, Callable[[Config], Model]] = {
    **dense.FAMILIES,
    **early.FAMILIES,
    **routed.FAMILIES,
    **latent.FAMILIES,
    **hybrid.FAMILIES,
    **linear.FAMILIES,
    **audio.FAMILIES,
    **uneven.FAMILIES,
}
# text models that only stand inside others, and are built like these
_INSIDE: dict[str, Callable[[Config], Model]] = {
    "qwen2_vl_text": dense.qwen2,
    "qwen2_5_vl_text": dense.qwen2,
    "qwen3_vl_text": dense.qwen3,
    "qwen3_vl_moe_text": routed.qwen3_moe,
}
_INSIDE |= {"qwen2_vl": dense.qwen2, "qwen2_5_vl": dense.qwen2}  # as old files name them
KNOWN = sorted({*FAMILIES, *WITH_TEXT})
# Files too old to say model_type name only a class.
CLASSES = {
    "LlamaForCausalLM": "llama",
    "LLaMAForCausalLM": "llama",
    "YiForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "MixtralForCausalLM": "mixtral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "Qwen3MoeForCausalLM": "qwen3_moe",
    "DeepseekV2ForCausalLM": "deepseek_v2",
    "DeepseekV3ForCausalLM": "deepseek_v3",
    "GPT2LMHeadModel": "gpt2",
    "GPTNeoXForCausalLM": "gpt_neox",
    "GPTJForCausalLM": "gptj",
    "OPTForCausalLM": "opt",
    "BloomForCausalLM": "bloom",
    "FalconForCausalLM": "falcon",
    "MambaForCausalLM": "mamba",
}


def build(config: Config, name: str) -> Model:
    """The model of a family."""
    if name not in WITH_TEXT:
        return FAMILIES[name](config.like(name))
    make, text = WITH_TEXT[name]

    def language(inner: Config) -> Model:
        one_table = inner.values.get("model_type") == name
        said = text if one_table else inner.text("model_type", default=text)
        made = FAMILIES.get(said) or _INSIDE.get(said)
        if made is not None:
            return made(inner.like(said))
        raise unknown(inner, said)

    return make(config.like(name), language)


def family(config: Config) -> str:
    """Which family a configuration names. Raises BadFile, UnknownArchitecture."""
    name = config.text("model_type", default="")
    listed = config.items("architectures") or []
    first = listed[0] if listed and isinstance(listed[0], str) else ""
    if name in KNOWN:
        return name
    if not name and first in CLASSES:
        return CLASSES[first]
    if not name and not first:
        raise config.wrong("model_type", "is missing; it names the architecture.")
    raise unknown(config, name or first)


def unknown(config: Config, name: str) -> UnknownArchitecture:
    """The error that names the architecture, the closest ones and the list."""
    near = closest(name[:60], [*KNOWN, *CLASSES])
    hint = f" Closest: {near}." if near else ""
    return UnknownArchitecture(
        f"{config.where}: eke cannot count the parameters of {name[:60]!r} exactly, so it does "
        f"not guess: how its layers are built is missing.{hint} If they are those of a known "
        f"architecture, give that as model_type. Known: {', '.join(KNOWN)}."
    )
