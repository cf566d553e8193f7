"""The verbs people call: the same in Python, on the command line and over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eke.calibrate.measured import Measured
from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import fleet as named_fleet
from eke.errors import BadInput
from eke.physics.answer import answer, outcome, pool_of, settled
from eke.physics.formula import Call, recording
from eke.physics.layers import attention_heads
from eke.physics.scenarios import likely, with_other
from eke.search.base import engine_for
from eke.search.smallest import smallest
from eke.types.efficiency import Efficiency
from eke.types.fleet import Fleet, Pool
from eke.types.job import Job, Serve, Tier, Train, Tune
from eke.types.model import Model
from eke.types.need import Infeasible, Need
from eke.types.plan import Plan, check_plan, later_stages
from eke.types.record import replace
from eke.units import show


def need(
    job: Job,
    plan: Plan | None = None,
    fleet: Fleet | str | None = None,
    *,
    choices: Mapping[str, Any] | None = None,
    measured: Sequence[Measured] = (),
) -> Need | Infeasible:
    """What a job takes on a plan; without a plan, on the smallest layout that fits the fleet.

    fleet: a record, or its name such as "8xh100-sxm".  choices: fields of the plan that are
    decided while eke picks the rest, such as ``{"tensor": 8, "weights": "fp8"}``.
    measured: numbers of one's own for this stack, which every prediction then follows. Raises
    EkeError for input that makes no sense.
    """
    check_job(job)
    where = fleet_of(fleet, plan)
    picked = plan if plan is not None else _smallest(job, where, choices)
    if isinstance(picked, Infeasible):
        return picked
    check_fits(picked, job, where)
    check_uses(job, picked)
    if picked.rear is not None:
        picked = settled(job, picked, where, likely(values_of(job, picked, where)))
    values = values_of(job, picked, where, measured)
    found = answer(job, picked, where, values, chosen=plan is None)
    if isinstance(found, Need) and isinstance(job, Serve) and len(job.tiers) > 1:
        said = (*found.remarks, _for_everyone(job, picked, where))
        return replace(found, remarks=said)
    return found


def values_of(
    job: Job, plan: Plan, fleet: Fleet, measured: Sequence[Measured] = ()
) -> dict[str, Efficiency]:
    """The efficiencies of a plan, after own measurements of it."""
    values = efficiencies(*tables_of(job, pool_of(fleet, plan.chip), plan.engine))
    other = plan.other
    if other is not None and other.chip != plan.chip:
        half = tables_of(job, pool_of(fleet, other.chip), other.engine)
        values = with_other(values, efficiencies(*half))
    if not (isinstance(job, Serve) and job.adapters):  # nothing to vary: a case less
        values = {name: each for name, each in values.items() if "adapter_time" not in name}
    if not measured:
        return values
    from eke.calibrate.own import conditioned

    return conditioned(job, plan, fleet, values, measured)


def tables_of(job: Job, pool: Pool, engine: str) -> tuple[str, str]:
    """The tables a job rests on: of the chip's family, and of the engine, where none is named of
    what training frameworks reach."""
    return pool.chip.family, engine or ("" if isinstance(job, Serve) else "training")


def _smallest(job: Job, fleet: Fleet, choices: Mapping[str, Any] | None) -> Plan | Infeasible:
    pools = []
    for pool in fleet.pools:
        runs = engine_for(job, pool, choices or {})
        tables = tables_of(job, pool, runs.id if runs else "")
        pools.append((pool, likely(efficiencies(*tables))))
    return smallest(job, pools, choices)


def _for_everyone(job: Serve, plan: Plan, fleet: Fleet) -> str:
    """What the longest context tier would take if everybody had it."""
    longest = max(tier.context for tier in job.tiers)
    pool = pool_of(fleet, plan.chip)
    more = replace(pool, chips=max(pool.chips, 64 * plan.chips))
    alike = ("tensor", "pipeline", "weights", "offload", "adapter_slots")
    same = {name: getattr(plan, name) for name in alike}
    wider = replace(job, tiers=(Tier(context=longest, share=1.0),))
    found = _smallest(wider, Fleet(pools=(more,)), same)
    if isinstance(found, Infeasible):
        return (
            f"{longest:,} tokens for everyone: not feasible even on {more.chips:,} chips, "
            f"{found.limit} is short by {show(found.by, found.unit)} "
            f"({show(found.need, found.unit)} needed, {show(found.have, found.unit)} there)"
        )
    times = found.chips / plan.chips
    return f"{longest:,} tokens for everyone would take {found.chips:,} chips, ×{times:.3g}"


def working(
    job: Job, plan: Plan, fleet: Fleet | str, *, measured: Sequence[Measured] = ()
) -> list[Call]:
    """Every formula at work behind the likeliest figures of an answer, in order."""
    where = fleet_of(fleet)
    values = values_of(job, plan, where, measured)
    with recording() as tape:
        outcome(job, plan, where, likely(values))
    return tape


def check_job(job: Any) -> None:
    """Refuse what type checkers would have caught. Raises BadInput."""
    if not isinstance(job, Job):
        raise BadInput(f"the job is {job!r:.60}; expected Train, Tune, Align or Serve.")
    if not isinstance(job.model, Model):
        raise BadInput(f'the model is {job.model!r:.60}; expected model("llama-3.1-8b") or such.')


def fleet_of(fleet: Any, plan: Any = None) -> Fleet:
    if plan is not None and not isinstance(plan, Plan):
        raise BadInput(f"the plan is {plan!r:.60}; expected a Plan. Chips are given as fleet=….")
    if fleet is None:
        raise BadInput('no chips given; say which and how many, such as fleet="8xh100-sxm".')
    if isinstance(fleet, str):
        return named_fleet(fleet)
    if not isinstance(fleet, Fleet) or not fleet.pools:
        raise BadInput(f'the fleet is {fleet!r:.60}; expected fleet("8xh100-sxm") or its name.')
    return fleet


# Families whose matrix units skip two of four weights, by their makers' data sheets.
SPARSE = ("ampere", "ampere-rtx", "ada", "hopper", "blackwell", "blackwell-rtx", "cdna3", "cdna4")


def check_uses(job: Job, plan: Plan) -> None:
    """Refuse fields of a plan that the job has no use for. Raises BadInput."""
    if plan.offload and not (isinstance(job, Serve) and job.reuse):
        raise BadInput(
            "offload keeps what prompts reuse in the host's memory, but nothing is reused; say how "
            "much is, such as --reuse 60%, or drop --offload."
        )
    if plan.adapter_slots and not (isinstance(job, Serve) and job.adapters):
        raise BadInput(
            f"adapter_slots is {plan.adapter_slots}, but no fine-tunes are asked for; say how "
            "many, such as --adapters 50, or drop --adapter-slots."
        )


def check_fits(plan: Plan, job: Job, fleet: Fleet) -> None:
    check_plan(plan)
    _check_half(plan, job.model, fleet)
    if plan.prefill is not None:
        _check_half(plan.prefill, job.model, fleet)
    if plan.rear is not None or plan.stage_layers:
        _check_stages(plan, job, fleet)
    wanted = {plan.chip: plan.own_chips}
    if plan.other is not None:
        wanted[plan.other.chip] = wanted.get(plan.other.chip, 0) + plan.other_chips
    for chip, number in wanted.items():
        have = sum(pool.chips for pool in fleet.pools if pool.chip.id == chip)
        if number > have:
            raise BadInput(f"the plan takes {number:,} {chip}, the fleet has {have:,}.")


def _check_stages(plan: Plan, job: Job, fleet: Fleet) -> None:
    """Stages on other chips, and stages of as many layers as the plan says."""
    if not isinstance(job, Train | Tune):
        raise BadInput("only training and tuning give stages layers, or chips, of their own.")
    layers, stages = job.model.layers, plan.pipeline
    rear = plan.rear
    if rear is not None:
        _check_half(later_stages(plan), job.model, fleet)
        stages += rear.pipeline
        if stages > layers:
            raise BadInput(f"{stages} stages in all; {job.model.name} has only {layers} layers.")
    halves = [plan] if rear is None else [plan, rear]
    if all(half.stage_layers for half in halves):
        held = sum(half.stage_layers * half.pipeline for half in halves)
        if held < layers:
            raise BadInput(f"the stages hold {held} layers; {job.model.name} has {layers}.")
    for half in halves:
        most = layers - (stages - half.pipeline)
        if half.stage_layers * half.pipeline >= most + half.pipeline:
            raise BadInput(
                f"stages of {half.stage_layers} layers on {half.chip} leave too few of {layers} "
                "for the others."
            )


def _check_half(plan: Plan, model: Model, fleet: Fleet) -> None:
    """One half of a plan, or all of it, on its chips."""
    family = pool_of(fleet, plan.chip).chip.family
    if plan.sparse and family not in SPARSE:
        raise BadInput(
            f"{plan.chip} has no 2:4 sparsity; families that have it: {', '.join(SPARSE)}."
        )
    for heads in attention_heads(model):
        if heads % plan.tensor:
            raise BadInput(
                f"tensor is {plan.tensor}; it must divide the {heads} attention heads of "
                f"{model.name}."
            )
    layers = model.layers
    if plan.pipeline * plan.virtual > layers:
        raise BadInput(
            f"pipeline × virtual is {plan.pipeline * plan.virtual}; {model.name} has only "
            f"{layers} layers."
        )
    known = [pool.chip.id for pool in fleet.pools]
    if plan.chip not in known:
        raise BadInput(f"the plan is for {plan.chip}, the fleet has {', '.join(known)}.")
