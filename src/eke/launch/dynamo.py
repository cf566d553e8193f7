"""NVIDIA Dynamo: one DynamoGraphDeployment with a frontend and workers of vLLM.

Fields: tests/oracles/record/resource_fields.json, from the operator's API (v1beta1).
"""

from __future__ import annotations

from typing import Any

from eke.errors import BadInput
from eke.launch import vllm, yaml
from eke.launch.pods import TOKEN, is_folder, name_of, resources, volumes
from eke.launch.servers import Placement, placement
from eke.launch.serving import Half, extras, halves, header
from eke.launch.start import Start

RELEASE = "1.3.1"
IMAGE = f"nvcr.io/nvidia/ai-dynamo/vllm-runtime:{RELEASE}"
KINDS = {"": "worker", "prefill": "prefill", "decode": "decode"}


def files(start: Start) -> dict[str, str]:
    """One manifest."""
    parts = halves(start, "dynamo")
    runs = f"Dynamo {RELEASE} with its vLLM"
    told = [line for half in parts for line in vllm.notes(start, half, runs=runs)[1:]]
    graph = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": name_of(start)},
        "spec": {
            "backendFramework": "vllm",
            "components": [_frontend(), *(_worker(start, half) for half in parts)],
        },
    }
    lines = header(start, *told, "Needs Dynamo's operator in the cluster.")
    return {f"{name_of(start)}.yaml": yaml.text(graph, lines)}


def _frontend() -> dict[str, Any]:
    pod = {"spec": {"containers": [{"name": "main", "image": IMAGE}]}}
    return {"name": "frontend", "type": "frontend", "replicas": 1, "podTemplate": pod}


def _worker(start: Start, half: Half) -> dict[str, Any]:
    if half.pool.chip.vendor != "NVIDIA":
        raise BadInput(
            f"eke writes dynamo for NVIDIA's chips; {half.pool.chip.name} is of "
            f"{half.pool.chip.vendor}. Write k8s, or vllm."
        )
    placed = placement(half, "dynamo")
    several = {"multinode": {"nodeCount": placed.nodes}} if placed.nodes > 1 else {}
    return {
        "name": half.role or "worker",
        "type": KINDS[half.role],
        "replicas": placed.replicas,
        **several,
        "podTemplate": {"spec": _pod(start, half, placed)},
    }


def _pod(start: Start, half: Half, placed: Placement) -> dict[str, Any]:
    values = vllm.arguments(start, half)
    role = ["--disaggregation-mode", half.role] if half.role else []
    container: dict[str, Any] = {
        "name": "main",
        "image": IMAGE,
        "command": ["python3", "-m", "dynamo.vllm"],
        "args": [*vllm.as_options(values), *role],
        "env": [TOKEN, *_adapters(start, half)],
        "resources": resources(half, placed.each),
    }
    if not is_folder(start.checkpoint):
        return {"containers": [container]}
    found, mounted = volumes(start)  # the operator brings the shared memory
    container["volumeMounts"] = mounted[1:]
    return {"containers": [container], "volumes": found[1:]}


def _adapters(start: Start, half: Half) -> list[dict[str, str]]:
    wanted = extras(start, half.plan).adapters
    return [{"name": "DYN_LORA_ENABLED", "value": "true"}] if wanted else []
