"""Any Hugging Face config.json as a Model, counted exactly or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from eke.catalog.huggingface import dense, early, hybrid, multimodal, routed
from eke.catalog.huggingface.config import Config, load
from eke.errors import BadFile, BadInput, UnknownArchitecture, closest
from eke.types.model import Model
from eke.types.record import replace

FAMILIES: dict[str, Callable[[Config], Model]] = {
    **dense.FAMILIES,
    **early.FAMILIES,
    **routed.FAMILIES,
    **hybrid.FAMILIES,
    **multimodal.FAMILIES,
}
KNOWN = sorted({*FAMILIES, *multimodal.WITH_TEXT, *multimodal.TEXT_ONLY})


def model_from_config(values: dict[str, Any], id: str, where: str = "config.json") -> Model:
    """The model a configuration describes.

    Raises BadFile for a missing or absurd value, UnknownArchitecture for a family eke cannot
    count exactly: a guess would be worse than no answer.
    """
    config = Config(values, where)
    try:
        found = _build(config, _family(config))
    except BadInput as error:
        raise BadFile(f"{where}: {error}") from None
    listed = config.items("architectures") or []
    return replace(
        found,
        id=id,
        name=id,
        architecture=str(listed[0]) if listed else config.text("model_type"),
        weight_format=_weight_format(config),
        source=where,
    )


def _build(config: Config, family: str) -> Model:
    if family in FAMILIES:
        return FAMILIES[family](config)
    if family in multimodal.WITH_TEXT:
        build, text = multimodal.WITH_TEXT[family]
        inner = config.part("text_config")
        named = inner.values.get("model_type") if inner else None
        return build(config, FAMILIES[named if named in FAMILIES else text])
    inner = config.part("text_config") or config
    return FAMILIES[multimodal.TEXT_ONLY[family]](inner)


def _family(config: Config) -> str:
    name = config.text("model_type", default="")
    if name in KNOWN:
        return name
    listed = config.items("architectures") or []
    shown = name or (str(listed[0]) if listed else "")
    if not shown:
        raise BadFile(f"{config.where}: model_type is missing; it names the architecture.")
    near = closest(shown, KNOWN)
    hint = f" Closest: {near}." if near else ""
    raise UnknownArchitecture(
        f"{config.where}: eke cannot count the parameters of {shown[:60]!r} exactly, so it does "
        f"not guess.{hint} Known: {', '.join(KNOWN)}."
    )


_WIDTHS = {"fp8": "fp8", "mxfp4": "fp4", "nvfp4": "fp4", "gptq": "int4", "awq": "int4"}
_TYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "float8_e4m3fn": "fp8"}


def _weight_format(config: Config) -> str:
    """The format the weights are published in; 16 bits where the file does not say."""
    quantised = config.part("quantization_config")
    if quantised is not None:
        method = quantised.text("quant_method", default="")
        bits = quantised.maybe("bits") or (4 if quantised.values.get("load_in_4bit") else None)
        if method in ("gptq", "awq", "bitsandbytes") and bits == 8:
            return "int8"
        if bits == 4 or quantised.values.get("load_in_4bit") is True:
            return "int4"
        if method in _WIDTHS:
            return _WIDTHS[method]
    named = config.values.get("torch_dtype", config.values.get("dtype"))
    return _TYPES.get(str(named), "bf16")


def read_config(name: str) -> Model:
    """A config.json on disk (or the folder it stands in), or a hub id such as "org/name"."""
    path = Path(name)
    if path.is_dir():
        path = path / "config.json"
    if path.exists() or name.endswith(".json") or name.startswith((".", "/", "~")):
        path = path.expanduser()
        return model_from_config(load(path), path.parent.name or path.stem, str(path))
    return model_from_config(fetch(name), name, f"{name} on the hub")


def fetch(name: str) -> dict[str, Any]:
    """The config.json of a hub id. Raises BadInput without a network or such a model."""
    import json
    import re
    from urllib.error import URLError
    from urllib.request import urlopen

    if not re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", name):
        raise BadInput(f"{name[:60]!r} is neither a file nor a hub id such as org/name.")
    try:
        with urlopen(f"https://huggingface.co/{name}/resolve/main/config.json", timeout=20) as got:
            found = json.loads(got.read(10_000_000))
    except (URLError, OSError, ValueError) as error:
        raise BadInput(
            f"{name}: the hub did not hand over its config.json ({error}). Download the file "
            "where there is a network and give its path instead."
        ) from None
    if not isinstance(found, dict):
        raise BadFile(f"{name} on the hub: holds no table of settings.")
    return found
