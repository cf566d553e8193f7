"""llama.cpp: the arguments of `llama-server`, one process per replica.

Names and values of its options: tests/oracles/record/llama_cpp_arguments.json.
"""

from __future__ import annotations

import math

from eke.errors import BadInput
from eke.launch.servers import Placement, placement, quoted, script
from eke.launch.serving import (
    Half,
    check_vendor,
    drafting,
    expects,
    extras,
    format_for,
    halves,
    header,
    host_room,
    longest,
    serve_job,
)
from eke.launch.start import Start
from eke.types.plan import Width

WEIGHTS: dict[str, str] = {  # as the files of quantised models are named
    "bf16": "BF16",
    "fp16": "F16",
    "fp32": "F32",
    "q8_0": "Q8_0",
    "q6_k": "Q6_K",
    "q5_k": "Q5_K_M",
    "q4_k": "Q4_K_M",
    "q4_0": "Q4_0",
    "q3_k": "Q3_K_M",
    "q2_k": "Q2_K",
    "fp4": "MXFP4",
}
CACHES = {"fp16": "f16", "bf16": "bf16", "fp32": "f32", "q8_0": "q8_0", "q4_0": "q4_0"}
KINDS = {"NVIDIA": "gpu", "AMD": "gpu", "Intel": "gpu", "Apple": "gpu"}
MOST = 256  # slots of a server
UNPACKED: tuple[Width, ...] = ("bf16", "fp16", "fp32")


def files(start: Start) -> dict[str, str]:
    """The script that starts a server."""
    (half,) = _parts(start)
    placed = placement(half, "llama.cpp")
    _check(start, half, placed)
    words = " \\\n    ".join(_lines(arguments(start, half)))
    run = f"llama-server {_weights(start, half)} \\\n    {words}"
    text = script(half, placed, run, notes(start, half), engine="llama.cpp")
    return {"start-llama.cpp.sh": text}


def arguments(start: Start, half: Half) -> dict[str, str]:
    """Option → value; "" for a switch."""
    job, plan = serve_job(start, "llama.cpp"), half.plan
    cache = format_for(CACHES, plan.cache, "cache", "llama.cpp")
    return {
        "--ctx-size": str(longest(job, tail=False) * plan.batch),  # shared out evenly to the slots
        "--parallel": str(plan.batch),
        "--no-kv-unified": "",
        "--batch-size": str(plan.token_budget),
        "--ubatch-size": str(plan.token_budget),
        "--cache-type-k": cache,
        "--cache-type-v": cache,
        "--flash-attn": "on" if cache.startswith("q") else "auto",
        "--gpu-layers": "0" if half.pool.chip.kind == "cpu" else "all",
        "--split-mode": _split(half),
        "--cache-ram": _host(start, half),
        "--cache-prompt" if job.reuse > 0 else "--no-cache-prompt": "",
        **_drafts(start, half),
        "--metrics": "",
        "--host": "0.0.0.0",
    }


def notes(start: Start, half: Half) -> tuple[str, ...]:
    """Comments on top: the command, the machines, and where the file comes from."""
    told = [f"llama.cpp on {expects(half)}"]
    if "gguf" not in start.checkpoint.lower():
        told.append(
            f"{_file(start, half)} is made by convert_hf_to_gguf.py from {start.checkpoint}"
            + ("." if half.plan.weights in UNPACKED else " and llama-quantize.")
        )
    return header(start, *told)


def _parts(start: Start) -> tuple[Half, ...]:
    if start.plan.prefill is not None:
        raise BadInput(
            "llama.cpp does not hand keys and values from one server to another; plan without "
            "--prefill-on, or write vllm, sglang, trtllm or dynamo."
        )
    return halves(start, "llama.cpp")


def _check(start: Start, half: Half, placed: Placement) -> None:
    plan = half.plan
    check_vendor(half, KINDS, "llama.cpp")
    if plan.batch > MOST:
        raise BadInput(
            f"{plan.batch} sequences are in flight; llama.cpp has at most {MOST} slots. Plan with "
            f"--max-batch {MOST} or less and more replicas."
        )
    if plan.compute not in (*UNPACKED, "int8", plan.weights):
        raise BadInput(
            f"the plan computes in {plan.compute}; llama.cpp multiplies quantised blocks in 8 bits "
            "or unpacks them to 16. Plan with --compute int8 or fp16."
        )
    if placed.nodes > 1 or (half.pool.chip.kind == "cpu" and plan.group > 1):
        raise BadInput(
            f"a replica takes {plan.group} × {plan.chip}, which is more than one server; "
            "eke writes llama.cpp for replicas inside one. Plan with fewer chips per replica."
        )
    for name in ("context", "data", "expert"):
        size = getattr(plan, name)
        if size > 1:
            raise BadInput(f"{name} is {size}; llama.cpp has none. Plan with --{name} 1.")
    if plan.tensor > 1 and plan.pipeline > 1:
        raise BadInput(
            f"tensor is {plan.tensor} and pipeline {plan.pipeline}; llama.cpp splits by layers or "
            "inside layers, not both. Plan with one of them 1."
        )
    if half.pages:
        raise BadInput(f"block is {half.pages}; llama.cpp keeps its cache without pages.")
    if extras(start, plan).adapters:
        raise BadInput("llama.cpp loads adapters by file name at its start; write vllm or sglang.")


def _split(half: Half) -> str:
    if half.plan.group == 1:
        return "none"
    return "tensor" if half.plan.tensor > 1 else "layer"


def _host(start: Start, half: Half) -> str:
    """Room for conversations that pause, in host memory [MiB]."""
    room = host_room(half) if extras(start, half.plan).offload else 0.0
    return str(math.floor(room / 2**20))


def _drafts(start: Start, half: Half) -> dict[str, str]:
    how = drafting(start, half.plan, "llama.cpp")
    if not how:
        return {}
    kind = {"own": "draft-mtp", "lookup": "ngram-simple"}[how]
    count = {"own": "--spec-draft-n-max", "lookup": "--spec-ngram-simple-size-m"}[how]
    return {"--spec-type": kind, count: str(half.plan.drafts)}


def _weights(start: Start, half: Half) -> str:
    """The file of the weights, or the repository on the hub that has them."""
    given = start.checkpoint
    width = format_for(WEIGHTS, half.plan.weights, "weights", "llama.cpp")
    if given.lower().endswith(".gguf"):
        return f"--model {quoted(given)}"
    if "gguf" in given.lower() and not given.startswith((".", "/")):
        return f"--hf-repo {quoted(f'{given}:{width}')}"
    return f"--model {quoted(_file(start, half))}"


def _file(start: Start, half: Half) -> str:
    width = format_for(WEIGHTS, half.plan.weights, "weights", "llama.cpp")
    return f"{start.checkpoint.rstrip('/').rsplit('/', 1)[-1]}-{width}.gguf"


def _lines(values: dict[str, str]) -> list[str]:
    return [f"{name} {value}".strip() for name, value in values.items()]
