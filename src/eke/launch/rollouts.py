"""How alignment writes its answers: how many per round, and over how many chips each copy."""

from __future__ import annotations

from eke.errors import BadInput
from eke.launch.start import Start
from eke.physics.align import ROLLOUT_SHARE, sides
from eke.physics.answer import pool_of
from eke.physics.footprint import held_parameters
from eke.physics.operations import ACTIVATION
from eke.types.job import Align
from eke.types.plan import Plan
from eke.types.record import replace


def per_round(engine: str, job: Align) -> int:
    """Answers of one iteration."""
    if job.batch != int(job.batch):
        raise BadInput(f"batch is {job.batch:g} prompts; {engine} takes whole prompts.")
    return int(job.batch) * job.answers_each


def rollout_tensor(engine: str, start: Start) -> int:
    """Tensor-parallel degree of the engine: the plan's, or as many times two as it takes for the
    weights to leave room for a cache, as eke prices it."""
    size = ROLLOUT_SHARE * (pool_of(start.fleet, start.plan.chip).chip.memory_size or 0.0)
    plan = Plan(chip=start.plan.chip, tensor=start.plan.tensor)
    chips = _writing(start)
    while held_parameters(start.job.model, plan).total * ACTIVATION > size:
        plan = replace(plan, tensor=plan.tensor * 2)
        if plan.tensor > chips:
            raise BadInput(
                f"{start.job.model.name} leaves no room for a cache on {chips} chips, "
                f"so {engine} cannot write answers there: plan with more chips."
            )
    if chips % plan.tensor:
        raise BadInput(
            f"answers are written on {plan.tensor} chips a copy, which do not divide the "
            f"{chips} that write; plan with a multiple of {plan.tensor}."
        )
    return plan.tensor


def _writing(start: Start) -> int:
    """Chips that write answers: all of them in turns, or a side of their own."""
    assert isinstance(start.job, Align)
    return int(sides(start.job, start.plan)[1])
