"""What a trainer cannot be told is refused, with what to change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eke.errors import BadInput
from eke.launch.start import Start
from eke.physics.answer import job_kind
from eke.types.plan import Plan

VERBS = {"train": "eke plan train", "tune": "eke plan tune", "align": "eke plan align"}


def for_jobs(engine: str, start: Start, *kinds: str, instead: str = "") -> None:
    """Refuse jobs of a kind the engine is not for."""
    kind = job_kind(start.job)
    if kind not in kinds:
        takes = " or ".join(kinds)
        more = f" {instead}" if instead else ""
        raise BadInput(f"{engine} is written for jobs to {takes}; this one is to {kind}.{more}")


def one_of(engine: str, plan: Plan, field: str, allowed: Iterable[Any]) -> None:
    """Refuse a field of the plan whose value the engine has no word for."""
    value, known = getattr(plan, field), tuple(allowed)
    if value not in known:
        says = ", ".join(str(each) for each in known)
        more = f"give --{field.replace('_', '-')} one of them, or write for another trainer"
        raise BadInput(f"{field} is {value}; {engine} takes {says}: {more}.")


def alone(engine: str, plan: Plan, *fields: str) -> None:
    """Refuse degrees the engine does not have."""
    for field in fields:
        if getattr(plan, field) != 1:
            raise BadInput(
                f"{field} is {getattr(plan, field)}; {engine} has no such parallelism: plan with "
                f"--{field} 1, or write for megatron."
            )


def a_trainer(engine: str, plan: Plan) -> None:
    """Refuse what belongs to serving, and what no trainer does."""
    told = {"replicas": 1, "prefill": None, "drafts": 0, "padded": False, "sparse": False}
    for field, value in {**told, "stream": False}.items():
        if getattr(plan, field) != value:
            raise BadInput(f"{field} means nothing to {engine}; plan without it.")
    if plan.shard_ranks and plan.shard != 3:
        raise BadInput(f"shard_ranks is {plan.shard_ranks}, which only FSDP has: add --shard 3.")
    if plan.shard_ranks and (plan.data * plan.context) % plan.shard_ranks:
        raise BadInput(
            f"shard_ranks is {plan.shard_ranks}; it must divide data × context "
            f"({plan.data} × {plan.context})."
        )
    if plan.weights not in ("fp32", "bf16", "fp16", plan.compute):
        raise BadInput(
            f"weights is {plan.weights} and compute {plan.compute}; {engine} keeps weights that "
            "learn in 16 or 32 bits: plan with --weights bf16."
        )


def accumulation(engine: str, plan: Plan) -> int:
    """Micro-batches a data-parallel rank does per step; the batch must be whole ones."""
    once = plan.data * plan.micro_batch
    if plan.batch % once:
        near = max(round(plan.batch / once), 1) * once
        raise BadInput(
            f"batch is {plan.batch} sequences; {engine} needs a multiple of data × micro_batch "
            f"({plan.data} × {plan.micro_batch}): plan with a batch of {near} sequences."
        )
    return plan.batch // once
