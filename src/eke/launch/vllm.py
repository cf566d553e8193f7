"""vLLM: a configuration for `vllm serve --config`, and the scripts that start it on each server.

Names and values of its options: tests/oracles/record/vllm_arguments.json, from vLLM 0.32.0.
"""

from __future__ import annotations

import json
import math
from typing import Any

from eke.errors import BadInput
from eke.launch import yaml
from eke.launch.routing import in_parts, router
from eke.launch.servers import PORT, Placement, placements, script
from eke.launch.serving import (
    Extras,
    Half,
    check_arithmetic,
    check_checkpoint,
    check_vendor,
    drafting,
    expects,
    extras,
    format_for,
    halves,
    header,
    host_room,
    longest,
    named,
    serve_job,
)
from eke.launch.start import Start
from eke.types.model import LatentAttention

RELEASE = "0.32.0"
MEMORY = 0.92  # share of a chip's memory it may take; the rest is the runtime's
MAKERS = {"NVIDIA": "gpu", "AMD": "gpu", "Intel": "gpu", "Google": "tpu"}
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
WEIGHTS = {**DTYPES, "fp8": "auto", "int8": "auto", "int4": "auto", "fp4": "auto"}
CACHES = {"bf16": "bfloat16", "fp16": "float16", "fp8": "fp8", "fp4": "nvfp4"}
CACHES |= {"int8": "int8_per_token_head", "int4": "int4_per_token_head"}
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
GIB = 2.0**30
HAND_OVER = 5600  # port on which a replica tells others where its keys and values lie
NODES = "--nnodes $nodes --node-rank $rank --master-addr $head"
LOOKUP = {"prompt_lookup_min": 2, "prompt_lookup_max": 4}  # tokens that must match


def files(start: Start) -> dict[str, str]:
    """One configuration and one script per part, and a router in front of two parts."""
    return in_parts(
        placements(halves(start, "vllm"), "vllm"),
        lambda half: yaml.text(arguments(start, half), notes(start, half)),
        lambda half, placed: _script(start, half, placed),
        lambda parts: router(start, parts, "vllm-router --vllm-pd-disaggregation"),
    )


def arguments(start: Start, half: Half) -> dict[str, Any]:
    """Option → value, as `vllm serve` names them. Raises BadInput for what it cannot do."""
    job, plan = serve_job(start, "vllm"), half.plan
    _check(start, half)
    more = extras(start, plan)
    return {
        "model": start.checkpoint,
        **_parallel(start, half),
        "max-model-len": longest(job),
        "max-num-seqs": sequences(half),
        "max-num-batched-tokens": plan.token_budget,
        "gpu-memory-utilization": MEMORY,
        **_formats(start, half),
        **({"block-size": half.pages} if half.pages else {}),
        "enable-prefix-caching": job.reuse > 0,
        **_drafts(start, half),
        **_adapters(more),
        **_transfer(half, more),
    }


def sequences(half: Half) -> int:
    """Sequences in flight per scheduler: every data-parallel rank has one of its own."""
    return math.ceil(half.plan.batch / half.plan.data)


def notes(
    start: Start, half: Half, *lines: str, runs: str = f"vLLM {RELEASE} or later"
) -> tuple[str, ...]:
    """Comments on top: the command, the machines, and what the checkpoint must hold."""
    told = [f"{runs} on {expects(half)}", *lines]
    if half.plan.weights in ("fp8", "int8", "int4", "fp4"):
        told.append(f"Weights come in {half.plan.weights}: {_origin(start, half)}.")
    if extras(start, half.plan).adapters:
        told.append("Adapters are loaded while it runs, by POST /v1/load_lora_adapter.")
    return header(start, *told)


def _origin(start: Start, half: Half) -> str:
    if "quantization" in _formats(start, half) and half.plan.weights == "fp8":
        return "vLLM rounds the checkpoint to it while loading"
    return "the checkpoint must hold them so, and says itself by which method"


def front(start: Start, half: Half) -> list[str]:
    """Options of the process that answers: adapters can be loaded through a single one only, and
    by default every data rank has its own."""
    several = extras(start, half.plan).adapters and half.plan.data > 1
    return ["--api-server-count", "1"] if several else []


def as_options(values: dict[str, Any]) -> list[str]:
    """Options as words of a command line."""
    words: list[str] = []
    for name, value in values.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        else:
            shown = json.dumps(value) if isinstance(value, dict) else str(value)
            words += [f"--{name}", shown]
    return words


def _check(start: Start, half: Half) -> None:
    plan, chip = half.plan, half.pool.chip
    check_vendor(half, MAKERS, "vLLM")
    if half.role and chip.kind == "tpu":
        raise BadInput("vLLM hands no cache from TPU to TPU by NIXL; plan without --prefill-on.")
    if plan.token_budget < sequences(half):
        raise BadInput(
            f"the token budget of a step is {plan.token_budget:,} and {sequences(half):,} "
            "sequences are in flight; vLLM wants at least one token each. Plan with a larger "
            "--token-budget or a smaller --max-batch."
        )
    check_arithmetic(half, "vllm")
    check_checkpoint(start, plan, ("fp16", "fp32", "fp8"))
    _check_contexts(start, half)


def _check_contexts(start: Start, half: Half) -> None:
    """Contexts are cut for latent attention only, and handed over only where all ranks cut them."""
    plan, model = half.plan, start.job.model
    if plan.context == 1:
        return
    if not all(isinstance(stack.block.mixer, LatentAttention) for stack in model.stacks):
        raise BadInput(
            f"context is {plan.context}; vLLM cuts contexts only for latent attention, which "
            f"{model.name} has not. Plan with --context 1."
        )
    if half.role and plan.context < plan.tensor:
        raise BadInput(
            f"context is {plan.context} below tensor {plan.tensor}; vLLM hands caches over only "
            "from and to ranks that all cut contexts. Plan with --context 1."
        )


def _parallel(start: Start, half: Half) -> dict[str, Any]:
    """Degrees; experts are spread over all ranks of a replica or, without data ranks, none."""
    plan = half.plan
    degrees = {"tensor-parallel-size": plan.tensor, "pipeline-parallel-size": plan.pipeline}
    if plan.data > 1:
        degrees["data-parallel-size"] = plan.data
    if plan.context > 1:
        degrees |= {"prefill-context-parallel-size": plan.context}
        degrees |= {"decode-context-parallel-size": plan.context}
    ranks = plan.tensor * plan.context * plan.data
    if plan.expert > 1 and plan.expert == ranks:
        return degrees | {"enable-expert-parallel": True}
    cut_by_tensor = plan.expert == 1 and plan.data * plan.context == 1
    if start.job.model.experts and ranks > 1 and not cut_by_tensor:
        raise BadInput(
            f"expert is {plan.expert} over {ranks} ranks; vLLM spreads experts over all tensor × "
            f"context × data ranks. Plan with --expert {ranks}."
        )
    return degrees


def _formats(start: Start, half: Half) -> dict[str, str]:
    """Number formats; a checkpoint that is quantised already says so itself."""
    plan = half.plan
    found = {"dtype": format_for(WEIGHTS, plan.weights, "weights", "vllm")}
    found["kv-cache-dtype"] = format_for(CACHES, plan.cache, "cache", "vllm")
    method = ""
    if plan.weights == "fp8" and start.job.model.weight_format != "fp8":
        method = "" if named(start.checkpoint, "fp8") else "fp8"
    elif plan.weights == "int4":
        method = named(start.checkpoint, "awq", "gptq")
    return found | ({"quantization": method} if method else {})


def _drafts(start: Start, half: Half) -> dict[str, Any]:
    how = drafting(start, half.plan, "vllm")
    if not how:
        return {}
    settings: dict[str, Any] = {"method": "mtp"} if how == "own" else {"method": "ngram"} | LOOKUP
    settings["num_speculative_tokens"] = half.plan.drafts
    return {"speculative-config": settings}


def _adapters(more: Extras) -> dict[str, Any]:
    if not more.adapters:
        return {}
    rank = next((rank for rank in RANKS if rank >= more.rank), None)
    if rank is None:
        raise BadInput(f"adapters of rank {more.rank}; vLLM takes up to {RANKS[-1]}.")
    return {
        "enable-lora": True,
        "max-loras": more.slots,
        "max-lora-rank": rank,
        "max-cpu-loras": more.adapters,
    }


def _transfer(half: Half, more: Extras) -> dict[str, Any]:
    """Where keys and values go besides the chips: to the other part, to the host, or both."""
    room = math.floor(host_room(half) / half.plan.data)
    if not half.role:
        return {"kv-offloading-size": round(room / GIB)} if more.offload else {}
    hand_over = {"kv_connector": "NixlConnector", "kv_role": "kv_both"}
    if not more.offload:
        return {"kv-transfer-config": hand_over}
    host = {
        "kv_connector": "OffloadingConnector",
        "kv_role": "kv_both",
        "kv_connector_extra_config": {"cpu_bytes_to_use": room},
    }
    both = {"connectors": [hand_over, host]}
    joint = {"kv_connector": "MultiConnector", "kv_role": "kv_both"}
    return {"kv-transfer-config": joint | {"kv_connector_extra_config": both}}


def _script(start: Start, half: Half, placed: Placement) -> str:
    settings = []
    if extras(start, half.plan).adapters:
        settings.append("VLLM_ALLOW_RUNTIME_LORA_UPDATING=1")
    if half.role:
        first = HAND_OVER + placed.port - PORT
        port = f"$(({first} + slot * {half.plan.data}))"
        settings.append("VLLM_NIXL_SIDE_CHANNEL_HOST=$(hostname -I | cut -d' ' -f1)")
        settings.append(f"VLLM_NIXL_SIDE_CHANNEL_PORT={port}")
    run, answers = f"vllm serve --config {half.name}.yaml --host 0.0.0.0", front(start, half)
    only = " ".join(["echo", *answers]) if answers else "true"
    return script(
        half,
        placed,
        " ".join([run, *(answers if placed.nodes == 1 else [])]),
        notes(start, half),
        environment=tuple(settings),
        joined=f"{NODES} $(if ((rank > 0)); then echo --headless; else {only}; fi)",
        engine="vllm",
    )
