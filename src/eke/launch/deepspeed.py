"""DeepSpeed: its configuration as JSON, and the launch of a training script on every server.

Keys as deepspeed 0.19.8 reads them. JSON has no comments; DeepSpeed reads the keys it knows and
leaves the others, so `written_by` and `expects` are keys.
"""

from __future__ import annotations

import json
from math import ceil
from typing import Any

from eke.errors import BadInput
from eke.launch import refusals
from eke.launch.nodes import nodes
from eke.launch.script import bash, command, expected, needed
from eke.launch.start import Start
from eke.physics.train import learning_sequence
from eke.types.job import Train, Tune
from eke.types.plan import Plan

NAME = "deepspeed"
OPTIMIZERS = {"adam": "AdamW", "muon": "Muon", "sgd": "SGD"}


def files(start: Start) -> dict[str, str]:
    """The configuration and the script that starts it."""
    refusals.for_jobs(NAME, start, "train", "tune", instead="For others: --write trl or verl.")
    plan = start.plan
    _refuse(plan)
    refusals.experts(NAME, start.job.model, plan)
    whole = {**engine(start), **_parallel(plan), "optimizer": _optimizer(plan)}
    return {
        "deepspeed.json": json.dumps(whole, indent=2, ensure_ascii=False) + "\n",
        "deepspeed.sh": bash(start, _lines(start), *_left_to_script(start)),
    }


def engine(start: Start) -> dict[str, Any]:
    """What any trainer on DeepSpeed is told: batches, ZeRO, formats."""
    plan = start.plan
    return {
        "written_by": start.command,
        "expects": expected(start),
        "train_batch_size": plan.batch,
        "train_micro_batch_size_per_gpu": plan.micro_batch,
        "gradient_accumulation_steps": refusals.accumulation(NAME, plan),
        "zero_optimization": zero(plan),
        "bf16": {"enabled": plan.compute == "bf16"},
        "fp16": {"enabled": plan.compute == "fp16"},
        "data_types": {"grad_accum_dtype": plan.gradients},
        "gradient_clipping": 1.0,
        "zero_allow_untested_optimizer": True,
    }


def zero(plan: Plan) -> dict[str, Any]:
    """The stage, exchanging while it computes, as eke counts it."""
    found: dict[str, Any] = {"stage": plan.shard}
    if plan.shard:
        found |= {"overlap_comm": True, "contiguous_gradients": True, "reduce_scatter": True}
    if plan.shard == 3:
        found |= {"stage3_gather_16bit_weights_on_model_save": True}
    return found


def _refuse(plan: Plan) -> None:
    refusals.a_trainer(NAME, plan)
    refusals.alone(NAME, plan, "pipeline", "virtual")
    refusals.one_of(NAME, plan, "compute", ("fp32", "fp16", "bf16"))
    refusals.one_of(NAME, plan, "gradients", ("fp32", "bf16", "fp16"))
    refusals.one_of(NAME, plan, "optimizer", OPTIMIZERS)
    if plan.shard_ranks:
        raise BadInput(
            f"shard_ranks is {plan.shard_ranks}; DeepSpeed spreads its state over all ranks: plan "
            "without, or write for megatron or torchtitan."
        )
    if plan.tensor > 1 and plan.sequence:
        raise BadInput(
            f"tensor is {plan.tensor} with norms split over the sequence; DeepSpeed's tensor ranks "
            "each keep whole norms: plan with sequence off, or with --tensor 1 --shard 3."
        )
    if plan.tensor > 1 and plan.context > 1:
        raise BadInput("DeepSpeed has tensor or context parallelism, not both: give one of them.")
    if plan.optimizer == "muon" and plan.shard == 0:
        raise BadInput("DeepSpeed has muon with ZeRO only: plan with --shard 1, 2 or 3.")


def _parallel(plan: Plan) -> dict[str, Any]:
    """Keys of degrees above one."""
    found: dict[str, Any] = {}
    if plan.tensor > 1:
        found["tensor_parallel"] = {"autotp_size": plan.tensor}
    if plan.context > 1:
        found |= {"sequence_parallel_size": plan.context, "data_parallel_size": plan.data}
    if plan.expert > 1:
        cut = max(plan.tensor // plan.expert, 1)
        found["expert_parallel"] = {
            "enabled": True,
            "autoep_size": plan.expert,
            "expert_tensor_parallel_size": cut,
        }
    if plan.recompute == "full":
        found["activation_checkpointing"] = {"partition_activations": plan.tensor > 1}
    return found


def _optimizer(plan: Plan) -> dict[str, Any]:
    return {"type": OPTIMIZERS[plan.optimizer], "params": {"lr": 3e-4, "weight_decay": 0.1}}


def _lines(start: Start) -> list[str]:
    here = nodes(start)
    asks = [needed("TRAINER", "the training script, which calls deepspeed.initialize")]
    options = {"num_nodes": here.count, "num_gpus": here.each}
    own = "deepspeed"
    if here.count > 1:
        asks.append(needed("HOSTFILE", "a file with a line per server: name slots=chips"))
        own = 'deepspeed --hostfile "$HOSTFILE"'
    rest = '"$TRAINER" --deepspeed --deepspeed_config deepspeed.json "$@"'
    return [*asks, "", command(own, options, rest)]


def _left_to_script(start: Start) -> list[str]:
    """What DeepSpeed leaves to the training script, and the plan counts on."""
    job, plan = start.job, start.plan
    assert isinstance(job, Train | Tune)
    tokens = job.tokens * (job.epochs if isinstance(job, Tune) else 1)
    steps = max(ceil(tokens / (plan.batch * learning_sequence(job))), 1)
    said = f"sequences of {learning_sequence(job):,} tokens, {steps:,} steps"
    if isinstance(job, Tune):
        said += f", objective {job.objective}, method {job.method}"
        said += "" if job.method == "full" else f" of rank {job.rank}"
    kept = {
        "none": "every activation is kept, attention scores too",
        "selective": "attention is fused, so that its scores are not kept; no layer is recomputed",
        "full": "every layer is checkpointed (deepspeed.checkpointing or the model's own)",
    }
    found = [f"The training script itself sets: {said}; {kept[plan.recompute]}."]
    if plan.context > 1:
        found.append("It registers Ulysses attention for the context-parallel ranks.")
    return [*found, "The rate and the decay in deepspeed.json are starting points, not planned."]
