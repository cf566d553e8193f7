"""Kubernetes: a Deployment and a Service that run vLLM.

A replica that spans servers becomes a LeaderWorkerSet, which the cluster must have installed.
"""

from __future__ import annotations

from typing import Any

from eke.errors import BadInput
from eke.launch import vllm, yaml
from eke.launch.pods import (
    IMAGES,
    PORT,
    TOKEN,
    machines,
    name_of,
    resources,
    volumes,
    words,
)
from eke.launch.servers import Placement, placement
from eke.launch.serving import Half, extras, halves
from eke.launch.start import Start

PATIENCE = 360  # times 10 s to load the weights
JOIN = ["--nnodes", "$(LWS_GROUP_SIZE)", "--node-rank", "$(LWS_WORKER_INDEX)"]
JOIN += ["--master-addr", "$(LWS_LEADER_ADDRESS)"]


def files(start: Start) -> dict[str, str]:
    """One file of manifests."""
    if start.plan.prefill is not None:
        raise BadInput(
            "plain Kubernetes has no router between prefill and decode; write dynamo, which has "
            "one, or plan without --prefill-on."
        )
    (half,) = halves(start, "k8s")
    placed = placement(half, "vllm")
    if placed.nodes == 1:
        told = f"Apply with: kubectl apply -f {name_of(start)}.yaml"
        manifests = [_service(start, {}), _deployment(start, half, placed)]
    else:
        told = (
            f"A replica spans {placed.nodes} servers: it needs LeaderWorkerSet "
            "(leaderworkerset.x-k8s.io) in the cluster."
        )
        manifests = [_service(start, {"role": "leader"}), _group(start, half, placed)]
    header = vllm.notes(start, half, told)
    return {f"{name_of(start)}.yaml": yaml.documents(manifests, header)}


def _service(start: Start, more: dict[str, str]) -> dict[str, Any]:
    name = name_of(start)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "selector": {"app": name, **more},
            "ports": [{"name": "http", "port": PORT, "targetPort": "http"}],
        },
    }


def _deployment(start: Start, half: Half, placed: Placement) -> dict[str, Any]:
    name = name_of(start)
    line = [*words(start, half), *vllm.front(start, half)]
    pod = _pod(start, half, placed, line, answers=True)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": placed.replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


def _group(start: Start, half: Half, placed: Placement) -> dict[str, Any]:
    """A leader that answers and workers that only compute."""
    if half.pool.chip.vendor == "Google":
        raise BadInput(
            f"a replica of {half.plan.group} TPUs spans {placed.nodes} hosts, which vLLM does with "
            "Ray only; write ray's cluster yourself or plan with fewer chips per replica."
        )
    name, line = name_of(start), [*words(start, half), *JOIN]
    leader = _pod(start, half, placed, [*line, *vllm.front(start, half)], answers=True)
    worker = _pod(start, half, placed, [*line, "--headless"], answers=False)
    labels = {"app": name, "role": "leader"}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": placed.replicas,
            "leaderWorkerTemplate": {
                "size": placed.nodes,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": {"metadata": {"labels": labels}, "spec": leader},
                "workerTemplate": {"metadata": {"labels": {"app": name}}, "spec": worker},
            },
        },
    }


def _pod(
    start: Start, half: Half, placed: Placement, line: list[str], answers: bool
) -> dict[str, Any]:
    found, mounted = volumes(start)
    container = {
        "name": "vllm",
        "image": _image(half),
        "command": ["vllm", "serve"],
        "args": [*line, "--port", str(PORT)],
        "env": [TOKEN, *_adapters(start, half)],
        "resources": resources(half, placed.each),
        "volumeMounts": mounted,
        **(_probes() if answers else {}),
    }
    return {"containers": [container], "volumes": found, **machines(half, placed.each)}


def _image(half: Half) -> str:
    resources(half, 1)  # says which makers there are
    return IMAGES[half.pool.chip.vendor]


def _adapters(start: Start, half: Half) -> list[dict[str, str]]:
    """The switch that lets adapters be loaded while vLLM runs."""
    wanted = extras(start, half.plan).adapters
    return [{"name": "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "value": "1"}] if wanted else []


def _probes() -> dict[str, Any]:
    """Ports and health: first the weights are loaded, then it must keep answering."""
    asked = {"httpGet": {"path": "/health", "port": "http"}}
    return {
        "ports": [{"name": "http", "containerPort": PORT}],
        "startupProbe": {**asked, "periodSeconds": 10, "failureThreshold": PATIENCE},
        "readinessProbe": {**asked, "periodSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**asked, "periodSeconds": 10, "failureThreshold": 6},
    }
