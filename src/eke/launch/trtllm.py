"""TensorRT-LLM: options for `trtllm-serve --extra_llm_api_options`, and its scripts.

Names of its options: tests/oracles/record/trtllm_fields.json, from the public sources.
"""

from __future__ import annotations

import math
from typing import Any

from eke.errors import BadInput
from eke.launch import yaml
from eke.launch.routing import in_parts
from eke.launch.servers import PORT, Placement, placements, quoted, script
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
    serve_job,
)
from eke.launch.start import Start

MAKERS = {"NVIDIA": "gpu"}
WEIGHTS = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
WEIGHTS |= dict.fromkeys(("fp8", "int8", "int4", "fp4"), "auto")
CACHES = {"bf16": "auto", "fp16": "auto", "fp8": "fp8", "fp4": "nvfp4"}
MEMORY = 0.9  # share of what is free once the weights are loaded


def files(start: Start) -> dict[str, str]:
    """One file of options and one script per part, and the server in front of two parts."""
    return in_parts(
        placements(halves(start, "trtllm"), "trtllm"),
        lambda half: yaml.text(arguments(start, half), notes(start, half)),
        lambda half, placed: _script(start, half, placed),
        lambda parts: _front(start, parts),
    )


def arguments(start: Start, half: Half) -> dict[str, Any]:
    """Field → value of LlmArgs. Raises BadInput for what it cannot do."""
    job, plan = serve_job(start, "trtllm"), half.plan
    _check(start, half)
    more = extras(start, plan)
    return {
        "backend": "pytorch",
        **_parallel(half),
        "max_seq_len": longest(job),
        "max_batch_size": math.ceil(plan.batch / plan.data),
        "max_num_tokens": plan.token_budget,
        "enable_chunked_prefill": True,
        "dtype": format_for(WEIGHTS, plan.weights, "weights", "trtllm"),
        "kv_cache_config": _cache(half, job.reuse > 0, more),
        **_drafts(start, half),
        **_adapters(more),
        **_role(half, longest(job)),
    }


def notes(start: Start, half: Half) -> tuple[str, ...]:
    """Comments on top: the command, the machines, and what the checkpoint must hold."""
    told = [f"TensorRT-LLM 1.2 or later, PyTorch backend, on {expects(half)}"]
    if half.plan.weights not in ("bf16", "fp16", "fp32"):
        told.append(f"The checkpoint must hold {half.plan.weights} weights (ModelOpt).")
    if extras(start, half.plan).adapters:
        told.append("A request names its adapter and where it lies (lora_request).")
    return header(start, *told)


def _check(start: Start, half: Half) -> None:
    plan = half.plan
    check_vendor(half, MAKERS, "TensorRT-LLM")
    check_arithmetic(half, "trtllm")
    check_checkpoint(start, plan, ("fp16", "fp32"))
    check_spread(half, serve_job(start, "trtllm"), "trtllm")
    if plan.context > 1:
        raise BadInput(
            f"context is {plan.context}; TensorRT-LLM cuts contexts only while decoding, in a "
            "prototype. Plan with --context 1."
        )
    if plan.data > 1 and plan.tensor > 1:
        raise BadInput(
            f"data is {plan.data} and tensor {plan.tensor}; TensorRT-LLM has either all ranks of a "
            "replica data-parallel in attention or none. Plan with --tensor 1 or --data 1."
        )
    same = plan.cache == plan.weights or plan.cache not in ("bf16", "fp16")
    if not same and plan.weights in ("bf16", "fp16", "fp32"):
        raise BadInput(
            f"TensorRT-LLM keeps a 16-bit cache in the format of the weights, {plan.weights}, not "
            f"{plan.cache}. Plan with --cache {plan.weights} or fp8."
        )


def _parallel(half: Half) -> dict[str, Any]:
    """Degrees: ranks of a replica, and how they share the experts."""
    plan = half.plan
    ranks = plan.tensor * plan.data
    degrees: dict[str, Any] = {
        "tensor_parallel_size": ranks,
        "pipeline_parallel_size": plan.pipeline,
    }
    if plan.data > 1:
        degrees["enable_attention_dp"] = True
    if plan.expert > 1:
        degrees["moe_expert_parallel_size"] = plan.expert
        degrees["moe_tensor_parallel_size"] = ranks // plan.expert
    return degrees


def _cache(half: Half, reuse: bool, more: Extras) -> dict[str, Any]:
    found: dict[str, Any] = {
        "dtype": format_for(CACHES, half.plan.cache, "cache", "trtllm"),
        "enable_block_reuse": reuse,
        "free_gpu_memory_fraction": MEMORY,
    }
    if half.pages:
        found["tokens_per_block"] = half.pages
    if more.offload:  # per rank: as much as the chip's own memory
        found["host_cache_size"] = math.floor(half.pool.chip.memory_size or 0.0)
    return found


def _drafts(start: Start, half: Half) -> dict[str, Any]:
    how, guesses = drafting(start, half.plan, "trtllm"), half.plan.drafts
    if how == "own":
        own = {"decoding_type": "MTP", "num_nextn_predict_layers": guesses}
        return {"speculative_config": own}
    if how == "lookup":
        looked = {"decoding_type": "NGram", "max_draft_len": guesses, "max_matching_ngram_size": 4}
        return {"speculative_config": looked}
    return {}


def _adapters(more: Extras) -> dict[str, Any]:
    if not more.adapters:
        return {}
    settings = {
        "lora_target_modules": ["attn_q", "attn_k", "attn_v"],
        "max_lora_rank": more.rank,
        "max_loras": more.slots,
        "max_cpu_loras": more.adapters,
    }
    return {"enable_lora": True, "lora_config": settings}


def _role(half: Half, most: int) -> dict[str, Any]:
    """The prompts' part does not overlap its steps; both hand over keys and values, of a prompt of
    `most` tokens at once."""
    if not half.role:
        return {}
    hand_over = {"backend": "NIXL", "max_tokens_in_buffer": most}
    overlap = {"disable_overlap_scheduler": True} if half.role == "prefill" else {}
    return {"cache_transceiver_config": hand_over, **overlap}


def _script(start: Start, half: Half, placed: Placement) -> str:
    """Over several servers, MPI starts one rank per chip; the script then runs on each of them."""
    run = f"trtllm-serve {quoted(start.checkpoint)} --extra_llm_api_options {half.name}.yaml"
    run += " --host 0.0.0.0"
    if placed.nodes == 1:
        return script(half, placed, run, notes(start, half), engine="trtllm")
    ranks = placed.nodes * placed.each
    told = (
        f"Run once per replica ({placed.replicas}) with its {placed.nodes} servers.",
        "MPI must be able to start processes on them, with this folder at the same place.",
    )
    return f"""\
#!/usr/bin/env bash
{yaml.comments((*notes(start, half), *told))}set -euo pipefail
servers=${{1:?the {placed.nodes} servers of this replica, a comma between}}
mpirun -n {ranks} --host "${{servers//,/:{placed.each},}}:{placed.each}" \\
    trtllm-llmapi-launch {run} --port {placed.port}
"""


def _front(start: Start, parts: list[tuple[Half, Placement]]) -> str:
    """The server that takes requests, from the addresses of both parts."""
    told = header(
        start,
        "Run on one server, with the addresses of the prefill servers and of the decode servers,",
        "each list with commas; of a replica over several servers, the first.",
    )
    return f"""\
#!/usr/bin/env bash
{yaml.comments(told)}set -euo pipefail
prefill=${{1:?addresses of the prefill servers, a comma between}}
decode=${{2:?addresses of the decode servers, a comma between}}
{{
  echo "hostname: 0.0.0.0"
  echo "port: {PORT}"
{_listed("context_servers", "prefill", parts[0][1])}\
{_listed("generation_servers", "decode", parts[1][1])}\
}} > router.yaml
trtllm-serve disaggregated -c router.yaml
"""


def _listed(field: str, role: str, placed: Placement) -> str:
    return f"""\
  printf '%s:\\n  num_instances: {placed.replicas}\\n  urls:\\n' {field}
  count=0
  for address in ${{{role}//,/ }}; do
    for ((slot = 0; slot < {placed.slots} && count < {placed.replicas}; slot++, count++)); do
      echo "    - \\"$address:$(({placed.port} + slot))\\""
    done
  done
"""
