"""Ray Serve LLM: a configuration for `serve run`, whose workers are vLLM.

Fields: tests/oracles/record/ray_fields.json, from Ray 2.60.0.
"""

from __future__ import annotations

from typing import Any

from eke.errors import BadInput
from eke.launch import vllm, yaml
from eke.launch.pods import name_of
from eke.launch.serving import Half, extras, halves, header
from eke.launch.start import Start

RELEASE = "2.60.0"
BUILDERS = {
    "one": "ray.serve.llm:build_openai_app",
    "data": "ray.serve.llm:build_dp_openai_app",
    "parts": "ray.serve.llm:build_pd_openai_app",
}
KINDS = {  # beginning of a chip's id → what Ray calls it
    **{name.lower(): name for name in ("A100", "H100", "H200", "H20", "B200", "B300")},
    **{name.lower(): name for name in ("GB200", "GB300", "L4", "L40S", "A10G")},
    "mi300x": "AMD-Instinct-MI300X-OAM",
    "mi325x": "AMD-Instinct-MI325X-OAM",
    "mi350x": "AMD-Instinct-MI350X-OAM",
    "mi355x": "AMD-Instinct-MI355X-OAM",
}


def files(start: Start) -> dict[str, str]:
    """One configuration."""
    parts = halves(start, "ray")
    runs = f"Ray {RELEASE} or later with vLLM {vllm.RELEASE}"
    told = [line for half in parts for line in vllm.notes(start, half, runs=runs)[1:]]
    application = {
        "name": name_of(start),
        "route_prefix": "/",
        "import_path": _builder(parts),
        "args": _arguments(start, parts),
    }
    lines = header(start, *told, "Run with: serve run ray.yaml")
    return {"ray.yaml": yaml.text({"applications": [application]}, lines)}


def _builder(parts: tuple[Half, ...]) -> str:
    if len(parts) > 1:
        return BUILDERS["parts"]
    return BUILDERS["data" if parts[0].plan.data > 1 else "one"]


def _arguments(start: Start, parts: tuple[Half, ...]) -> dict[str, Any]:
    configurations = [_configuration(start, half) for half in parts]
    if len(parts) > 1:
        return {
            f"{half.role}_config": each for half, each in zip(parts, configurations, strict=True)
        }
    if parts[0].plan.data > 1:
        return {"llm_config": configurations[0]}
    return {"llm_configs": configurations}


def _configuration(start: Start, half: Half) -> dict[str, Any]:
    """An LLMConfig: the model, vLLM's options, the chips and how many copies."""
    _check(start, half)
    values = vllm.arguments(start, half)
    source = values.pop("model")
    kind = KINDS.get(half.pool.chip.id.split("-")[0], "")
    return {
        "model_loading_config": {"model_id": start.job.model.id, "model_source": source},
        "engine_kwargs": {name.replace("-", "_"): value for name, value in values.items()},
        **({"accelerator_type": kind} if kind else {}),
        "deployment_config": {"num_replicas": half.plan.replicas},
    }


def _check(start: Start, half: Half) -> None:
    plan, chip = half.plan, half.pool.chip
    if chip.vendor not in ("NVIDIA", "AMD"):
        raise BadInput(
            f"eke writes ray for chips of NVIDIA and AMD; {chip.name} is of {chip.vendor}. Write "
            "vllm or k8s."
        )
    if plan.context > 1:
        raise BadInput(
            f"context is {plan.context}; Ray places tensor × pipeline chips per copy and no more. "
            "Plan with --context 1."
        )
    if extras(start, plan).adapters:
        raise BadInput(
            "Ray fetches adapters from a bucket that the plan does not name; write vllm or k8s."
        )
