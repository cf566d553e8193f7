"""Any Hugging Face config.json as a Model, counted exactly or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eke.catalog.huggingface.config import Config, load
from eke.catalog.huggingface.families import KNOWN, build, family
from eke.errors import BadFile, BadInput
from eke.types.model import Model
from eke.types.record import replace

__all__ = ["KNOWN", "model_from_config", "read_config"]


def model_from_config(
    values: dict[str, Any], id: str, where: str = "config.json", name: str = ""
) -> Model:
    """The model a configuration describes.

    Raises BadFile for a missing or absurd value, UnknownArchitecture for a family eke cannot
    count exactly: a guess would be worse than no answer.
    """
    config = Config(values, where)
    kind = family(config)
    try:
        found = build(config, kind)
    except BadInput as error:  # a record refuses its own values
        raise BadFile(f"{where}: {error}") from None
    listed = config.items("architectures") or []
    return replace(
        found,
        id=id,
        name=name or id,
        architecture=listed[0] if listed and isinstance(listed[0], str) else kind,
        weight_format=_weight_format(config),
        source=where,
    )


_WIDTHS = {"fp8": "fp8", "fbgemm_fp8": "fp8", "mxfp4": "fp4", "nvfp4": "fp4"}
_WIDTHS |= {"gptq": "int4", "awq": "int4", "bitsandbytes": "int4", "auto-round": "int4"}
_TYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "float8_e4m3fn": "fp8"}


def _weight_format(config: Config) -> str:
    """The format the weights are published in; 16 bits where the file does not say."""
    text = config.part("text_config") or config
    quantised = config.part("quantization_config") or text.part("quantization_config")
    if quantised is not None:
        found = _quantised(quantised)
        if found:
            return found
    for each in (config, text):
        named = each.values.get("torch_dtype", each.values.get("dtype"))
        if isinstance(named, str):
            return _TYPES.get(named.removeprefix("torch."), "bf16")
    return "bf16"


def _quantised(config: Config) -> str:
    """What a quantization_config says; "" where eke does not know the method."""
    method = config.text("quant_method", default="").lower()
    if method in ("compressed-tensors", "modelopt"):
        return _grouped(config)
    bits = config.maybe("bits", "w_bit")
    if config.flag("load_in_8bit") or config.flag("_load_in_8bit"):
        bits = 8
    if method in ("gptq", "awq", "auto-round", "bitsandbytes") and bits:
        return {4: "int4", 8: "int8"}.get(bits, "")
    return _WIDTHS.get(method, "")


def _grouped(config: Config) -> str:
    """Formats given as the type and bits of the weights of one group of layers."""
    named = config.text("quant_algo", default="").lower()
    for word, found in (("nvfp4", "fp4"), ("fp4", "fp4"), ("fp8", "fp8"), ("w4a16", "int4")):
        if word in named:
            return found
    groups = config.part("config_groups")
    for name in groups.values if groups else ():
        group = groups.part(name) if groups else None
        weights = group.part("weights") if group else None
        if weights is not None:
            kind = "fp" if weights.text("type", default="int") == "float" else "int"
            found = f"{kind}{weights.maybe('num_bits') or 0}"
            return found if found in ("fp8", "fp4", "int8", "int4") else ""
    return ""


def read_config(name: str) -> Model:
    """A config.json on disk (or the folder it stands in), or a hub id such as "org/name"."""
    try:
        path = Path(name).expanduser()
        folder, exists = path.is_dir(), path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInput(f"{name[:60]!r} is no path eke can open ({str(error)[:60]}).") from None
    if folder:
        path = path / "config.json"
    if exists or name.endswith(".json") or name.startswith((".", "/", "~")):
        return model_from_config(load(path), path.absolute().parent.name or path.stem, str(path))
    return replace(model_from_config(fetch(name), name, f"{name} on the hub"), hub=name)


def fetch(name: str) -> dict[str, Any]:
    """The config.json of a hub id. Raises BadInput without a network or such a model."""
    import json
    import re
    from http.client import HTTPException
    from urllib.request import urlopen

    if not re.fullmatch(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}", name, re.ASCII):
        raise BadInput(f"{name[:60]!r} is neither a file nor a hub id such as org/name.")
    try:
        with urlopen(f"https://huggingface.co/{name}/resolve/main/config.json", timeout=20) as got:
            found = json.loads(got.read(10_000_000))
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        raise BadInput(
            f"{name}: the hub did not hand over its config.json ({error}). Download the file "
            "where there is a network and give its path instead."
        ) from None
    if not isinstance(found, dict):
        raise BadFile(f"{name} on the hub: holds no table of settings.")
    return found
