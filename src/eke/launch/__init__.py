"""Plans as configurations of real engines, trainers and schedulers: one module each."""

from __future__ import annotations

from importlib import import_module

from eke.errors import BadInput, closest
from eke.launch.start import Start

ENGINES = {  # name people type → module under eke.launch
    "vllm": "vllm",
    "megatron": "megatron",
    "torchtitan": "torchtitan",
    "deepspeed": "deepspeed",
    "trl": "trl",
    "verl": "verl",
    "slurm": "slurm",
    "sglang": "sglang",
    "trtllm": "trtllm",
    "llama.cpp": "llama_cpp",
    "dynamo": "dynamo",
    "ray": "ray",
    "k8s": "k8s",
}


def configuration(name: str, start: Start) -> dict[str, str]:
    """File name → text of everything that starts the plan on that engine.

    Raises BadInput for an engine nobody knows, and where the engine cannot do what the plan says.
    """
    if name not in ENGINES:
        near = closest(name, ENGINES)
        hint = f"; closest: {near}" if near else ""
        raise BadInput(f"eke writes no {name[:40]!r}{hint}; it writes {', '.join(ENGINES)}.")
    files: dict[str, str] = import_module(f"eke.launch.{ENGINES[name]}").files(start)
    return files
