"""SGLang: a configuration for `python -m sglang.launch_server --config`, and its scripts.

Names and values of its options: tests/oracles/record/sglang_arguments.json, from SGLang 0.5.23.
"""

from __future__ import annotations

import math
from typing import Any

from eke.errors import BadInput
from eke.launch import yaml
from eke.launch.routing import in_parts, router
from eke.launch.servers import Placement, placements, script
from eke.launch.serving import (
    Extras,
    Half,
    check_arithmetic,
    check_checkpoint,
    check_spread,
    check_vendor,
    drafting,
    expects,
    extras,
    format_for,
    halves,
    header,
    longest,
    named,
    serve_job,
)
from eke.launch.start import Start

RELEASE = "0.5.23"
MAKERS = {"NVIDIA": "gpu", "AMD": "gpu"}
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
WEIGHTS = {**DTYPES, "fp8": "auto", "int8": "auto", "int4": "auto", "fp4": "auto"}
CACHES = {"bf16": "bfloat16", "fp8": "fp8_e4m3", "fp4": "nvfp4"}
BOOTSTRAP = 8998  # port on which a decode server meets a prefill server
NODES = "--nnodes $nodes --node-rank $rank --dist-init-addr $head:25000"


def files(start: Start) -> dict[str, str]:
    """One configuration and one script per part, and a router in front of two parts."""
    parts = placements(halves(start, "sglang"), "sglang")
    for half, placed in parts:
        _check_ranks(start, half, placed)
    command = "python -m sglang_router.launch_router --pd-disaggregation"
    return in_parts(
        parts,
        lambda half: yaml.text(arguments(start, half), notes(start, half)),
        lambda half, placed: _script(start, half, placed),
        lambda parts: router(start, parts, command, BOOTSTRAP),
    )


def arguments(start: Start, half: Half) -> dict[str, Any]:
    """Option → value, as `sglang.launch_server` names them. Raises BadInput."""
    job, plan = serve_job(start, "sglang"), half.plan
    _check(start, half)
    more = extras(start, plan)
    return {
        "model-path": start.checkpoint,
        **_parallel(start, half),
        "context-length": longest(job),
        "max-running-requests": plan.batch,
        "chunked-prefill-size": plan.token_budget * plan.data,  # it shares this out to data ranks
        **_formats(start, half),
        **({"page-size": half.pages} if half.pages else {}),
        **({} if job.reuse > 0 or more.offload else {"disable-radix-cache": True}),
        **_drafts(start, half),
        **_adapters(more),
        **_host(half, more),
        **_role(half),
    }


def notes(start: Start, half: Half) -> tuple[str, ...]:
    """Comments on top: the command, the machines, and what the checkpoint must hold."""
    told = [f"SGLang {RELEASE} or later on {expects(half)}"]
    if half.plan.weights in ("int8", "int4", "fp4"):
        told.append(f"The checkpoint must hold {half.plan.weights} weights and say how.")
    if extras(start, half.plan).adapters:
        told.append("Adapters are loaded while it runs, by POST /load_lora_adapter.")
    return header(start, *told)


def _check(start: Start, half: Half) -> None:
    check_vendor(half, MAKERS, "SGLang")
    check_arithmetic(half, "sglang")
    check_checkpoint(start, half.plan, ("fp16", "fp32", "fp8"))
    check_spread(half, serve_job(start, "sglang"), "sglang")
    if half.plan.context > 1:
        raise BadInput(
            f"context is {half.plan.context}; SGLang cuts contexts for a few models only, each in "
            "its own way. Plan with --context 1."
        )


def _check_ranks(start: Start, half: Half, placed: Placement) -> None:
    """Refuse what it does not do over data ranks or stages."""
    plan = half.plan
    attention = bool(start.job.model.experts) and plan.data > 1
    if plan.data > 1 and not attention and placed.nodes > 1:
        raise BadInput(
            f"data is {plan.data} over {placed.nodes} servers; SGLang has data ranks of a model "
            "without experts inside one server only. Plan with --data 1 and more replicas."
        )
    if drafting(start, plan, "sglang") == "lookup" and (attention or plan.pipeline > 1):
        raise BadInput(
            "SGLang looks drafts up only without pipeline and data-parallel attention; plan with "
            "--drafts 0."
        )


def _parallel(start: Start, half: Half) -> dict[str, Any]:
    """Degrees; with experts, data ranks share one group whose size it calls tensor-parallel."""
    plan = half.plan
    if start.job.model.experts and plan.data > 1:
        degrees = {"tp-size": plan.tensor * plan.data, "attn-dp-size": plan.data}
    else:
        degrees = {"tp-size": plan.tensor} | ({"dp-size": plan.data} if plan.data > 1 else {})
    degrees["pp-size"] = plan.pipeline
    return degrees | ({"ep-size": plan.expert} if plan.expert > 1 else {})


def _formats(start: Start, half: Half) -> dict[str, str]:
    """Number formats; a checkpoint that is quantised already says so itself."""
    plan = half.plan
    found = {"dtype": format_for(WEIGHTS, plan.weights, "weights", "sglang")}
    same = plan.cache == "fp16" == plan.weights  # "auto" follows the weights
    cache = "auto" if same else format_for(CACHES, plan.cache, "cache", "sglang")
    found["kv-cache-dtype"] = cache
    method = ""
    if plan.weights == "fp8" and start.job.model.weight_format != "fp8":
        method = "" if named(start.checkpoint, "fp8") else "fp8"
    elif plan.weights == "int4":
        method = named(start.checkpoint, "awq", "gptq")
    return found | ({"quantization": method} if method else {})


def _drafts(start: Start, half: Half) -> dict[str, Any]:
    how, guesses = drafting(start, half.plan, "sglang"), half.plan.drafts
    if how == "own":
        return {
            "speculative-algorithm": "NEXTN",
            "speculative-num-steps": guesses,
            "speculative-eagle-topk": 1,
            "speculative-num-draft-tokens": guesses + 1,
        }
    if how == "lookup":
        return {"speculative-algorithm": "NGRAM", "speculative-num-draft-tokens": guesses}
    return {}


def _adapters(more: Extras) -> dict[str, Any]:
    if not more.adapters:
        return {}
    return {
        "enable-lora": True,
        "max-loras-per-batch": more.slots,
        "max-loaded-loras": more.adapters,
        "max-lora-rank": more.rank,
        "lora-target-modules": ["all"],
    }


def _host(half: Half, more: Extras) -> dict[str, Any]:
    """A second level of the cache in host memory, in gigabytes per rank: a chip's own size."""
    size = math.floor((half.pool.chip.memory_size or 0.0) / 1e9)
    return {"enable-hierarchical-cache": True, "hicache-size": size} if more.offload else {}


def _role(half: Half) -> dict[str, Any]:
    if not half.role:
        return {}
    return {"disaggregation-mode": half.role, "disaggregation-transfer-backend": "nixl"}


def _script(start: Start, half: Half, placed: Placement) -> str:
    run = f"python -m sglang.launch_server --config {half.name}.yaml --host 0.0.0.0"
    if half.role == "prefill":
        run += f" --disaggregation-bootstrap-port $(({BOOTSTRAP} + slot))"
    return script(half, placed, run, notes(start, half), joined=NODES, engine="sglang")
