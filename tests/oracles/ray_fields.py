"""Check configurations with Ray Serve's own schemas, and record their field names.

Run by `make oracles-engines` where ray[serve] and vLLM are installed: the options of vLLM inside
go through vLLM's own record of arguments.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import ray
import yaml
from launch_cases import cases
from pydantic import BaseModel
from ray.llm._internal.serve.serving_patterns.prefill_decode.builder import PDServingArgs
from ray.serve.llm import LLMConfig
from ray.serve.schema import ServeApplicationSchema, ServeDeploySchema
from ray.util.accelerators import accelerators
from vllm.engine.arg_utils import AsyncEngineArgs

from eke.errors import BadInput
from eke.launch import configuration

HERE = Path(__file__).parent
ARGUMENTS = ("llm_configs", "llm_config", "prefill_config", "decode_config")


def configurations(arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """Every LLMConfig of an application."""
    assert set(arguments) <= set(ARGUMENTS)
    return arguments.get("llm_configs") or list(arguments.values())


def accept(document: dict[str, Any]) -> None:
    """Read a file as Ray reads it, and vLLM's options as vLLM names them."""
    deployed = ServeDeploySchema.model_validate(document)
    (application,) = deployed.applications
    if "prefill_config" in application.args:
        PDServingArgs.model_validate(application.args)
    known = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    for each in configurations(application.args):
        read = LLMConfig.model_validate(each)
        assert set(read.engine_kwargs) <= known, set(read.engine_kwargs) - known


def names(schema: type[BaseModel]) -> list[str]:
    return sorted(schema.model_fields)


def main() -> None:
    accepted = []
    for name, start in cases().items():
        try:
            files = configuration("ray", start)
        except BadInput:
            continue
        for text in files.values():
            accept(yaml.safe_load(text))
        accepted.append(name)
        print(f"{name:28} accepted", file=sys.stderr)
    kinds = [value for key, value in vars(accelerators).items() if key[:1].isupper()]
    record = {
        "release": f"ray {ray.__version__}",
        "accepted": accepted,
        "accelerators": sorted(kinds),
        "fields": {
            "": names(ServeDeploySchema),
            "applications[]": names(ServeApplicationSchema),
            "configuration": names(LLMConfig),
            "engine_kwargs": sorted(f.name for f in dataclasses.fields(AsyncEngineArgs)),
        },
    }
    text = json.dumps(record, indent=1) + "\n"
    (HERE / "record" / "ray_fields.json").write_text(text)


if __name__ == "__main__":
    main()
