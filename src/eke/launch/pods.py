"""What Kubernetes needs to know of chips: resources, images, machines, and a container of vLLM."""

from __future__ import annotations

import re
from typing import Any

from eke.errors import BadInput
from eke.launch import vllm
from eke.launch.serving import Half
from eke.launch.start import Start

RESOURCES = {"NVIDIA": "nvidia.com/gpu", "AMD": "amd.com/gpu", "Google": "google.com/tpu"}
IMAGES = {
    "NVIDIA": f"vllm/vllm-openai:v{vllm.RELEASE}",
    "AMD": f"vllm/vllm-openai-rocm:v{vllm.RELEASE}",
    "Google": "vllm/vllm-tpu:latest",
}
SLICES = {  # TPU → accelerator as Google's Kubernetes names it, topology by chips of one host
    "tpu-v4": ("tpu-v4-podslice", {4: "2x2x1"}),
    "tpu-v5e": ("tpu-v5-lite-podslice", {1: "1x1", 4: "2x2", 8: "2x4"}),
    "tpu-v5p": ("tpu-v5p-slice", {4: "2x2x1"}),
    "tpu-v6e": ("tpu-v6e-slice", {1: "1x1", 4: "2x2", 8: "2x4"}),
}
PORT = 8000
TOKEN = {  # of the hub, for weights that ask for one
    "name": "HF_TOKEN",
    "valueFrom": {"secretKeyRef": {"name": "hf-token", "key": "token", "optional": True}},
}


def name_of(start: Start) -> str:
    """The model's id as a name that Kubernetes takes."""
    word = re.sub(r"[^a-z0-9]+", "-", start.job.model.id.lower()).strip("-")[:50].strip("-")
    return word if word[:1].isalpha() else f"model-{word}".strip("-")


def resources(half: Half, chips: int) -> dict[str, Any]:
    """Chips of one pod. Raises BadInput for makers whose resource eke does not know."""
    vendor = half.pool.chip.vendor
    if vendor not in RESOURCES:
        raise BadInput(
            f"eke knows the Kubernetes resources of {', '.join(RESOURCES)}, not of {vendor}; write "
            "vllm instead and wrap it yourself."
        )
    return {"limits": {RESOURCES[vendor]: str(chips)}}


def machines(half: Half, chips: int) -> dict[str, Any]:
    """The node selector that TPUs need; other chips are found by their resource."""
    chip = half.pool.chip
    if chip.vendor != "Google":
        return {}
    accelerator, shapes = SLICES.get(chip.id, ("", {}))
    if chips not in shapes:
        known = ", ".join(
            f"{name} by {sizes}" for name, (_, s) in SLICES.items() if (sizes := [*s])
        )
        raise BadInput(
            f"a replica of {chips} × {chip.id} is no slice of one host that eke knows ({known}); "
            "plan with as many chips per replica."
        )
    selector = {
        "cloud.google.com/gke-tpu-accelerator": accelerator,
        "cloud.google.com/gke-tpu-topology": shapes[chips],
    }
    return {"nodeSelector": selector}


def is_folder(checkpoint: str) -> bool:
    """Whether weights lie on a disk rather than on the hub."""
    return checkpoint.startswith(("/", ".", "~")) or checkpoint.count("/") > 1


def volumes(start: Start) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Volumes and where they are mounted: shared memory, and the folder of the weights.

    Raises BadInput for a folder without its full path.
    """
    found = [{"name": "shared-memory", "emptyDir": {"medium": "Memory"}}]
    mounted: list[dict[str, Any]] = [{"name": "shared-memory", "mountPath": "/dev/shm"}]
    if is_folder(start.checkpoint):
        if not start.checkpoint.startswith("/"):
            raise BadInput(
                f"checkpoint is {start.checkpoint!r}; give the full path that the folder has on "
                "every node, or a hub id."
            )
        weights = {"path": start.checkpoint, "type": "Directory"}
        found.append({"name": "weights", "hostPath": weights})
        mounted.append({"name": "weights", "mountPath": start.checkpoint, "readOnly": True})
    return found, mounted


def words(start: Start, half: Half) -> list[str]:
    """The arguments of `vllm serve`, its model first."""
    values = vllm.arguments(start, half)
    model = str(values.pop("model"))
    return [model, *vllm.as_options(values)]
