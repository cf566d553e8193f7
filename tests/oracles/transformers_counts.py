"""Build every configuration with `transformers` on the meta device and record its parameters.

Run by `make oracles` where torch and transformers are installed. The record is what the light
test `test_parameters.py` compares eke's counts with.
"""

from __future__ import annotations

import json
import sys
import tomllib
import warnings
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

HERE = Path(__file__).parent
MODELS = HERE.parents[1] / "src" / "eke" / "catalog" / "data" / "models"
RECORD = HERE / "record" / "parameters.json"


def catalogue_configs() -> dict[str, dict]:
    """The [config] table of every catalogue model that has one."""
    found = {}
    for path in sorted(MODELS.glob("*.toml")):
        config = tomllib.loads(path.read_text()).get("config")
        if config:
            found[path.stem] = config
    return found


def variations() -> dict[str, dict]:
    """Small odd shapes: biases on and off, tied or not, uneven heads."""
    return json.loads((HERE / "variations.json").read_text())


def build(values: dict) -> torch.nn.Module:
    """The model of a configuration, without memory for its weights."""
    values = {k: v for k, v in values.items() if k not in ("architectures", "quantization_config")}
    kind = values.pop("model_type")
    if values.get("q_lora_rank") == 0:  # TOML has no null
        values["q_lora_rank"] = None
    config = AutoConfig.for_model(kind, **values)
    named = {
        "llava": "LlavaForConditionalGeneration",
        "gemma3": "Gemma3ForConditionalGeneration",
        "qwen2_vl": "Qwen2VLForConditionalGeneration",
        "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
        "qwen3_vl": "Qwen3VLForConditionalGeneration",
        "whisper": "WhisperForConditionalGeneration",
    }
    with torch.device("meta"):
        if kind in named:
            return getattr(transformers, named[kind])(config)
        try:
            return AutoModelForCausalLM.from_config(config)
        except ValueError:
            return AutoModel.from_config(config)


def count(model: torch.nn.Module) -> int:
    """Parameters, tied ones once."""
    return sum(p.numel() for p in model.parameters())


def main() -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    cases, skipped = {}, {}
    for name, config in (catalogue_configs() | variations()).items():
        try:
            cases[name] = {"config": config, "parameters": count(build(config))}
            print(f"{name:32} {cases[name]['parameters']:>20,}", file=sys.stderr)
        except Exception as error:  # families transformers itself does not have
            skipped[name] = f"{type(error).__name__}: {str(error)[:120]}"
            print(f"{name:32} skipped: {skipped[name]}", file=sys.stderr)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    RECORD.parent.mkdir(exist_ok=True)
    text = json.dumps({"versions": versions, "skipped": skipped, "cases": cases}, indent=1)
    RECORD.write_text(text + "\n")


if __name__ == "__main__":
    main()
