"""What a trainer cannot be told is refused, with what to change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eke.errors import BadInput
from eke.launch.start import Start
from eke.physics.answer import job_kind
from eke.types.model import Experts, Model
from eke.types.plan import Plan, check_plan

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
        more = f"give --{field.replace('_', '-')} one of them"
        raise BadInput(f"{field} is {value}; {engine} takes {says}: {more}.")


def alone(engine: str, plan: Plan, *fields: str) -> None:
    """Refuse degrees the engine does not have."""
    for field in fields:
        if getattr(plan, field) != 1:
            raise BadInput(
                f"{field} is {getattr(plan, field)}; {engine} has no such parallelism: plan with "
                f"--{field} 1."
            )


SERVING = {"replicas": 1, "prefill": None, "drafts": 0, "padded": False, "sparse": False}
SERVING |= {"stream": False, "offload": False, "adapter_slots": 0}
STAGES = {"rear": "later stages on other chips", "stage_layers": "stages of so many layers"}
ENGINE = {"cache": "bf16", "token_budget": 8192, "block": 16}  # of what writes answers
STORED = {"fp16": ("bf16", "fp16"), "fp32": ("bf16", "fp32")}  # compute → weights; else bf16


def a_trainer(engine: str, plan: Plan, writes: bool = False) -> None:
    """Refuse what belongs to serving, and what no trainer does.

    writes: whether it also writes answers, so that settings of an engine mean something.
    """
    check_plan(plan)
    for field, value in (SERVING if writes else {**SERVING, **ENGINE}).items():
        if getattr(plan, field) != value:
            raise BadInput(f"{field} means nothing to {engine}; plan without it.")
    for field, words in STAGES.items():
        if getattr(plan, field):
            raise BadInput(
                f"the plan has {words}, which eke does not write for {engine}; plan on one kind of "
                "chip."
            )
    if plan.shard_ranks and plan.shard != 3:
        raise BadInput(f"shard_ranks is {plan.shard_ranks}, which only FSDP has: add --shard 3.")
    if plan.shard_ranks and (plan.data * plan.context) % plan.shard_ranks:
        raise BadInput(
            f"shard_ranks is {plan.shard_ranks}; it must divide data × context "
            f"({plan.data} × {plan.context})."
        )
    if plan.weights not in STORED.get(plan.compute, ("bf16",)):
        raise BadInput(
            f"weights is {plan.weights} and compute {plan.compute}; {engine} keeps weights that "
            "learn in 16 or 32 bits and turns them as it computes: plan with --weights bf16."
        )


def experts(engine: str, model: Model, plan: Plan) -> None:
    """Refuse to spread experts that the model does not have, or unevenly."""
    feeds = (stack.block.feed for stack in model.stacks)
    counts = [feed.count for feed in feeds if isinstance(feed, Experts)]
    if plan.expert > 1 and not counts:
        raise BadInput(f"expert is {plan.expert}; {model.name} has no experts.")
    for count in counts:
        if count % plan.expert:
            raise BadInput(
                f"expert is {plan.expert}; {engine} needs a divisor of the {count} experts of "
                f"{model.name}."
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
