"""Accelerate: how the processes of a Hugging Face trainer share a model.

Keys as accelerate 1.15.0 reads them from the file given to `accelerate launch`.
"""

from __future__ import annotations

from typing import Any

from eke.launch.nodes import nodes
from eke.launch.start import Start
from eke.types.plan import Plan

PRECISION = {"bf16": "bf16", "fp16": "fp16", "fp32": "no"}


def settings(start: Start) -> dict[str, Any]:
    """The whole file: FSDP for shard 3, DeepSpeed for 1 and 2, plain copies for 0."""
    plan, here = start.plan, nodes(start)
    several = plan.chips > 1
    found: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": _kind(plan) if several else "NO",
        "num_machines": here.count,
        "num_processes": plan.chips,
        "machine_rank": 0,
        "same_network": True,
        "rdzv_backend": "static",
        "main_training_function": "main",
        "use_cpu": False,
    }
    if not several:
        return {**found, "mixed_precision": PRECISION[plan.compute]}
    if plan.shard in (1, 2):  # the file of DeepSpeed says the precision
        return {**found, "deepspeed_config": {"deepspeed_config_file": "deepspeed.json"}}
    found["mixed_precision"] = PRECISION[plan.compute]
    return {**found, **(_sharded(plan) if plan.shard == 3 else {})}


def _kind(plan: Plan) -> str:
    return {0: "MULTI_GPU", 1: "DEEPSPEED", 2: "DEEPSPEED", 3: "FSDP"}[plan.shard]


def _sharded(plan: Plan) -> dict[str, Any]:
    """FSDP 2, and over which ranks; context ranks share the shards."""
    found: dict[str, Any] = {
        "fsdp_config": {
            "fsdp_version": 2,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_reshard_after_forward": True,
            "fsdp_cpu_ram_efficient_loading": True,
            "fsdp_offload_params": False,
            "fsdp_activation_checkpointing": False,
            "fsdp_state_dict_type": "SHARDED_STATE_DICT" if plan.context > 1 else "FULL_STATE_DICT",
        }
    }
    inside = (plan.shard_ranks or plan.data * plan.context) // plan.context
    if plan.context > 1 or inside < plan.data:
        found["parallelism_config"] = {
            "parallelism_config_dp_replicate_size": plan.data // inside,
            "parallelism_config_dp_shard_size": inside,
            "parallelism_config_tp_size": 1,
            "parallelism_config_cp_size": plan.context,
        }
    return found
