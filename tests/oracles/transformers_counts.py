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
import transformers_usual
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForSpeechSeq2Seq,
)

HERE = Path(__file__).parent
SIZE = ("hidden_size", "n_embd", "d_model", "num_hidden_layers", "n_layer", "num_layers")
SIZE += ("n_layers", "vocab_size", "encoder_layers", "decoder_layers")
SWITCHES = {"tie_word_embeddings", "attention_bias", "mlp_bias", "use_bias", "use_qk_norm"}
SWITCHES |= {"qk_layernorm", "qkv_bias", "attention_out_bias", "bias", "parallel_attn", "alibi"}
SWITCHES |= {"multi_query", "new_decoder_architecture", "use_parallel_residual", "use_qkv_bias"}
SWITCHES |= {"enable_bias", "layer_norm_elementwise_affine", "do_layer_norm_before"}
SWITCHES |= {"use_conv_bias", "mamba_conv_bias", "mamba_proj_bias", "lm_head_bias"}
SWITCHES |= {"multimodal_projector_bias", "use_sliding_window", "_remove_final_layer_norm"}
MODELS = HERE.parents[1] / "src" / "eke" / "catalog" / "data" / "models"
RECORD = HERE / "record" / "parameters.json"
# what a model is loaded as, the richest first
HEADS = (AutoModelForImageTextToText, AutoModelForSpeechSeq2Seq, AutoModelForCausalLM, AutoModel)


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


def flipped(base: dict[str, dict]) -> dict[str, dict]:
    """Every variation with each of its family's switches turned, one at a time."""
    found = {}
    for name, values in base.items():
        kind = CONFIG_MAPPING[values["model_type"]]
        for field in sorted(SWITCHES):
            usual = getattr(kind, field, None)
            if isinstance(usual, bool):
                found[f"{name} {field}"] = values | {field: not values.get(field, usual)}
    return found


def silent() -> dict[str, dict]:
    """Only its size, for every family: what transformers assumes must be what eke assumes."""
    found = {}
    for kind in sorted({values["model_type"] for values in variations().values()}):
        usual = AutoConfig.for_model(kind).to_dict() if kind in CONFIG_MAPPING else {}
        sized = {name: usual[name] for name in SIZE if isinstance(usual.get(name), int)}
        if sized:
            found[f"{kind} by its size"] = {"model_type": kind, **sized}
    return found


def build(values: dict) -> torch.nn.Module:
    """The model of a configuration, without memory for its weights."""
    values = {k: v for k, v in values.items() if k not in ("architectures", "quantization_config")}
    kind = values.pop("model_type")
    if values.get("q_lora_rank") == 0:  # TOML has no null
        values["q_lora_rank"] = None
    config = AutoConfig.for_model(kind, **values)
    with torch.device("meta"):
        for head in HEADS:
            try:
                return head.from_config(config)
            except ValueError as error:
                if "Unrecognized configuration class" not in str(error):
                    raise
    raise ValueError(f"transformers has no head for {kind}")


def count(model: torch.nn.Module) -> int:
    """Parameters, tied ones once."""
    return sum(p.numel() for p in model.parameters())


def main() -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers_usual.main()
    cases, skipped, base = {}, {}, variations()
    for name, config in (catalogue_configs() | base | flipped(base) | silent()).items():
        try:
            cases[name] = {"config": config, "parameters": count(build(config))}
            print(f"{name:32} {cases[name]['parameters']:>20,}", file=sys.stderr)
        except Exception as error:  # families transformers itself does not have
            skipped[name] = f"{type(error).__name__}: {str(error)[:120]}"
            print(f"{name:32} skipped: {skipped[name]}", file=sys.stderr)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    RECORD.parent.mkdir(exist_ok=True)
    lines = [f"  {json.dumps(name)}: {json.dumps(case)}" for name, case in cases.items()]
    head = f' "versions": {json.dumps(versions)},\n "skipped": {json.dumps(skipped, indent=2)},\n'
    RECORD.write_text("{\n" + head + ' "cases": {\n' + ",\n".join(lines) + "\n }\n}\n")


if __name__ == "__main__":
    main()
