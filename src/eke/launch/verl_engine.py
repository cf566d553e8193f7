"""How verl's policy and critic are laid out while they learn: FSDP or Megatron."""

from __future__ import annotations

from math import gcd
from typing import Any

from eke.errors import BadInput
from eke.launch import refusals
from eke.physics.align import sides
from eke.types.job import Align
from eke.types.plan import Plan
from eke.types.record import Record

NAME = "verl"
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


class Apart(Record):
    """Chips that learn and chips that write answers, where they are not the same, in equal pieces
    of servers."""

    learn: int
    write: int
    piece: int
    data: int  # data-parallel ranks that learn


def apart(job: Align, plan: Plan, each: int) -> Apart | None:
    """The two sides of a plan that is split; None where all chips take turns."""
    if job.split is None:
        return None
    own = sides(job, plan)[0]
    learn, write = int(own.chips), int(plan.chips - own.chips)
    if job.feedback != "rule":
        raise BadInput(
            "split is set and a model judges the answers; verl gives that model chips of its own "
            "then, which the plan does not have: plan without split, or with --feedback rule."
        )
    if write < 1:
        raise BadInput(f"split is {job.split:g}; no rank is left to write answers.")
    return Apart(learn=learn, write=write, piece=gcd(each, learn, write), data=int(own.data))


def sharded(plan: Plan) -> bool:
    """Whether FSDP does it; Megatron does the others."""
    return plan.shard >= 2


def trained(plan: Plan, answers: int, critic: bool = False) -> dict[str, Any]:
    """Of a model that learns: batches and layout. The state waits in host memory while answers
    are written, as eke counts it."""
    found: dict[str, Any] = {
        "ppo_mini_batch_size": plan.batch // answers,  # verl counts prompts
        "ppo_micro_batch_size_per_gpu": plan.micro_batch,
        "use_dynamic_bsz": False,
    }
    if sharded(plan):
        key = "fsdp" if critic else "fsdp_config"
        ranks = {"ulysses_sequence_parallel_size": plan.context}
        return {**found, "strategy": "fsdp2", **ranks, key: {**_fsdp(plan), **ranks}}
    return {**found, "megatron": _megatron(plan), "optim": {"optimizer": plan.optimizer}}


def _fsdp(plan: Plan) -> dict[str, Any]:
    """Shard 2 keeps the gathered weights until the backward pass has used them."""
    return {
        "fsdp_size": plan.shard_ranks or -1,
        "reshard_after_forward": plan.shard == 3,
        "model_dtype": "fp32",
        "dtype": DTYPES[plan.compute],
        "param_offload": True,
        "optimizer_offload": True,
    }


def _megatron(plan: Plan) -> dict[str, Any]:
    return {
        "tensor_model_parallel_size": plan.tensor,
        "sequence_parallel": plan.sequence and plan.tensor > 1,
        "pipeline_model_parallel_size": plan.pipeline,
        "virtual_pipeline_model_parallel_size": plan.virtual if plan.virtual > 1 else None,
        "context_parallel_size": plan.context,
        "expert_model_parallel_size": plan.expert,
        "expert_tensor_parallel_size": max(plan.tensor // plan.expert, 1),
        "use_distributed_optimizer": plan.shard == 1,
        "dtype": DTYPES[plan.compute],
        "param_offload": True,
        "optimizer_offload": True,
        "override_transformer_config": _recompute(plan),
    }


def _recompute(plan: Plan) -> dict[str, Any]:
    if plan.recompute == "full":
        return {
            "recompute_granularity": "full",
            "recompute_method": "uniform",
            "recompute_num_layers": 1,
        }
    return {"recompute_granularity": "selective" if plan.recompute == "selective" else None}


def refuse_engine(plan: Plan) -> None:
    """Refuse layouts that neither has."""
    refusals.one_of(NAME, plan, "gradients", ("fp32",))
    if sharded(plan):
        for field in ("tensor", "pipeline", "virtual", "expert"):
            if getattr(plan, field) > 1:
                raise BadInput(
                    f"{field} is {getattr(plan, field)} with shard {plan.shard}; verl's FSDP has "
                    "data and context ranks only: plan with --shard 1 for Megatron."
                )
        refusals.one_of(NAME, plan, "optimizer", ("adam",))
        refusals.one_of(NAME, plan, "compute", DTYPES)
        return
    refusals.one_of(NAME, plan, "optimizer", ("adam", "sgd", "muon"))
    refusals.one_of(NAME, plan, "compute", ("bf16", "fp16"))
    if plan.pipeline > 1:
        refusals.one_of(NAME, plan, "schedule", ("1f1b", "interleaved"))
    if plan.tensor > plan.expert and plan.tensor % plan.expert:
        raise BadInput(f"expert is {plan.expert}; verl needs a divisor of tensor {plan.tensor}.")
