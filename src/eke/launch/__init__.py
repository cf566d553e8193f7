"""Plans as configurations of real engines, trainers and schedulers: one module each."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from eke.errors import BadInput, closest
from eke.launch.start import Start

ENGINES = {  # name people type → module under eke.launch
    "vllm": "vllm",
    "sglang": "sglang",
    "trtllm": "trtllm",
    "llama.cpp": "llama_cpp",
    "dynamo": "dynamo",
    "ray": "ray",
    "k8s": "k8s",
    "megatron": "megatron",
    "torchtitan": "torchtitan",
    "deepspeed": "deepspeed",
    "trl": "trl",
    "verl": "verl",
    "slurm": "slurm",
}
SERVES = ("vllm", "sglang", "trtllm", "llama.cpp", "dynamo", "ray", "k8s", "slurm")
DOES = {  # kind of job → who does it
    "serve": SERVES,
    "train": ("megatron", "torchtitan", "deepspeed", "slurm"),
    "tune": ("trl", "deepspeed", "slurm"),
    "align": ("verl", "trl", "slurm"),
}
USUAL = {"serve": "vllm", "train": "megatron", "tune": "trl", "align": "verl"}  # by kind of job
RUNS = {"dynamo": "vllm", "ray": "vllm", "k8s": "vllm"}  # what others start
ONE = (1,)
ABLE: dict[str, dict[str, tuple[Any, ...]]] = {  # fields of a plan that an engine has few words for
    "llama.cpp": {"data": ONE, "expert": ONE, "batch": (8, 16, 32, 64, 128, 256)},
    "megatron": {"shard": (0, 1, 3)},
    "torchtitan": {"shard": (0, 2, 3)},
    "deepspeed": {"pipeline": ONE, "virtual": ONE, "tensor": ONE},
    "trl": dict.fromkeys(("tensor", "pipeline", "virtual", "expert", "context"), ONE),
    "verl": {"virtual": ONE},
}
WHOLE = ("llama.cpp", "k8s")  # which hand no prompts from some chips to others


def known(name: str, kind: str = "") -> str:
    """The name, if eke writes that, and for a kind of job. Raises BadInput."""
    if name not in ENGINES:
        near = closest(name, ENGINES)
        hint = f"; closest: {near}" if near else ""
        raise BadInput(f"eke writes no {name[:40]!r}{hint}; it writes {', '.join(ENGINES)}.")
    if kind and name not in DOES[kind]:
        able = ", ".join(DOES[kind])
        raise BadInput(f"{name} is not for jobs to {kind}; eke writes {able} for those.")
    return name


def runs(name: str, kind: str) -> str:
    """The engine that runs a job of a kind, started so."""
    return USUAL[kind] if name == "slurm" else RUNS.get(name, name)


def configuration(name: str, start: Start) -> dict[str, str]:
    """File name → text of everything that starts the plan on that engine.

    Raises BadInput for an engine nobody knows, and where the engine cannot do what the plan says.
    """
    files: dict[str, str] = import_module(f"eke.launch.{ENGINES[known(name)]}").files(start)
    return files
