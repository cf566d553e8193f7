"""From what the physics says of a plan to an answer with spans, parts, grounds and what matters."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics.align import align
from eke.physics.layers import count_parameters
from eke.physics.machine import peak_format
from eke.physics.outcome import Outcome
from eke.physics.scenarios import likely, moves, scenarios, span, what_ifs
from eke.physics.serve import serve
from eke.physics.train import learning_sequence, train
from eke.physics.tune import tune
from eke.types.chip import Fact
from eke.types.efficiency import Efficiency, Knobs
from eke.types.fleet import Fleet, Pool
from eke.types.job import Align, Job, Serve, Train, Tune
from eke.types.model import Model
from eke.types.need import Figure, Ground, GroundKind, Infeasible, Matter, Need, Part
from eke.types.plan import Plan, Plans
from eke.types.record import defaults, fields, replace
from eke.units import show

BASIC = ("chips", "time", "memory", "energy", "money")
LEADING = {"serve": "tpot", "train": "time", "tune": "time", "align": "time"}


def outcome(job: Job, plan: Plan | Plans, fleet: Fleet, knobs: Knobs) -> Outcome:
    """What the physics says of a job on a plan, or on many plans at once."""
    pool = pool_of(fleet, plan.chip)
    match job:
        case Serve():
            half = plan.prefill
            return serve(job, plan, pool, knobs, pool_of(fleet, half.chip) if half else None)
        case Train():
            return train(job, plan, pool, knobs)
        case Tune():
            return tune(job, plan, pool, knobs)
        case Align():
            return align(job, plan, pool, knobs)


def pool_of(fleet: Fleet, chip: str) -> Pool:
    """The pool a plan's chips come from."""
    return next((pool for pool in fleet.pools if pool.chip.id == chip), fleet.pools[0])


def job_kind(job: Job) -> str:
    """The word for a job: "serve", "train", "tune" or "align"."""
    return type(job).__name__.lower()


def answer(
    job: Job, plan: Plan, fleet: Fleet, efficiencies: dict[str, Efficiency], chosen: bool
) -> Need | Infeasible:
    """What a job takes on a plan, or which limit the plan misses and by how much."""
    result = outcome(job, plan, fleet, scenarios(efficiencies))
    missed = shortage(result, plan)
    if missed is not None:
        return missed
    names = list(efficiencies)
    figures = {
        amount.name: Figure(
            span=span(amount.value, len(names)),
            unit=amount.unit,
            means=amount.means,
            how=amount.how,
        )
        for amount in result.amounts
    }
    leading = result[LEADING[job_kind(job)]]
    return Need(
        job=job_kind(job),
        model=job.model.id,
        plan=plan,
        chosen=chosen,
        **{name: figures[name].span if name in figures else None for name in BASIC},  # type: ignore[arg-type]
        figures={name: figure for name, figure in figures.items() if name not in BASIC},
        parts=tuple(
            Part(of=s.of, name=s.name, span=span(s.value, len(names)), unit=s.unit)
            for s in result.shares
            if np.any(np.asarray(s.value) > 0)
        ),
        grounds=(
            *_given(job),
            *(_usual(job, plan) if chosen else ()),
            *_chip_grounds(plan, fleet),
            *_grounds(result, efficiencies),
        ),
        matters=_matters(job, plan, fleet, efficiencies, leading),
        how={a.name: a.how for a in result.amounts if a.name in BASIC and a.how},
        remarks=(*result.remarks, *_close(figures)),
    )


def _close(figures: dict[str, Figure]) -> tuple[str, ...]:
    """A warning where the pessimistic end of the spans is past what the plan can do."""
    used = figures.get("utilisation")
    if used is None or used.span.high <= 1:
        return ()
    return ("at the low end of its spans this plan cannot keep up with the rate; plan one size up",)


def shortage(result: Outcome, plan: Plan) -> Infeasible | None:
    """The limit missed by most, in the likeliest case; None when all are kept.

    What does not fit in memory cannot run at all, so memory goes before everything else.
    """
    short = []
    for limit in result.limits:
        need, have = (float(np.ravel(np.asarray(x, float))[0]) for x in (limit.need, limit.have))
        if not need <= have:
            miss = need / have if have > 0 else float("inf")
            short.append((limit.name == "memory", miss, limit, need, have))
    if not short:
        return None
    *_, limit, need, have = max(short, key=lambda row: row[:2])
    return Infeasible(
        limit=limit.name,
        need=need,
        have=have,
        by=abs(need - have),
        unit=limit.unit,
        hint=limit.hint,
        plan=plan,
    )


def _given(job: Job) -> list[Ground]:
    """The model's shape, and the numbers of the job: as asked, or eke's usual values."""
    units = {"rate": "1/s", "prompt": "token", "answer": "token", "tokens": "token", "pause": "s"}
    idle = {"adapter_rank"} if isinstance(job, Serve) and not job.adapters else set()
    usual = defaults(job)
    found = [_model_ground(job.model)]
    for name, value in fields(job).items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and value and name not in idle:
            alike = value == usual[name]
            kind: GroundKind = "assumed" if alike else "given"
            source, note = ("eke", "the usual value") if alike else ("the job", "")
            unit = units.get(name, "1")
            ground = Ground(name=name, value=value, unit=unit, kind=kind, source=source, note=note)
            found.append(ground)
    return found


def _model_ground(model: Model) -> Ground:
    """Where the shape comes from that every count rests on."""
    own = not model.source or model.source.endswith(".json")
    return Ground(
        name=f"shape of {model.name}",
        value=count_parameters(model).total,
        unit="1",
        kind="given" if own else "published",
        source=model.source or "the job",
        note=f"parameters, counted from the configuration ({model.architecture})",
    )


def _usual(job: Job, plan: Plan) -> list[Ground]:
    """What eke settled because nobody did: usual values, each an assumption."""
    rows: list[tuple[str, Any, str, str]]
    if isinstance(job, Serve):
        rows = [
            ("sequences in flight at most", plan.batch, "1", "default of engines"),
            ("tokens of one engine step at most", plan.token_budget, "token", "default of engines"),
            ("tokens per block of the cache", plan.block, "token", "default of engines"),
        ]
        if plan.engine:
            rows.append(("engine", plan.engine, "", "named, or what most run on these chips"))
    elif isinstance(job, Align):
        rows = []
    else:
        length = learning_sequence(job)
        tokens = plan.batch * length
        rows = [("length of a training sequence", length, "token", "not given")]
        rows = [] if job.sequence else rows
        rows += [] if job.batch else [("tokens per optimizer step", tokens, "token", "not given")]
    return [
        Ground(name=name, value=value, unit=unit, kind="assumed", source="eke", note=note)
        for name, value, unit, note in rows
    ]


def _chip_grounds(plan: Plan, fleet: Fleet) -> list[Ground]:
    """Published figures of the chips and prices the answer rests on."""
    pool = pool_of(fleet, plan.chip)
    peak = f"peak.{peak_format(pool, plan.compute)}"
    wanted = (peak, "memory_size", "memory_speed", "link_speed", "domain", "network_speed", "power")
    hosted = ("host_speed", "host_memory") if plan.offload or plan.adapter_slots else ()
    wanted = (*wanted, "carbon", *hosted)
    facts = {**pool.chip.facts, **pool.facts}
    paid = "buy" if pool.rent is None else "rent"
    found = [facts_ground(pool.chip.id, name, facts) for name in (*wanted, paid)]
    if pool.rent is None and pool.buy is not None:
        life = Fact(value=pool.life, unit="s", source="eke", kind="assumed", note="straight line")
        found.append(facts_ground(pool.chip.id, "life", {"life": life}))
    half = plan.prefill
    other = _chip_grounds(half, fleet) if half and half.chip != plan.chip else []
    return [*(ground for ground in found if ground is not None), *other]


def facts_ground(chip: str, name: str, facts: dict[str, Any]) -> Ground | None:
    """One fact as a ground."""
    fact = facts.get(name)
    if fact is None:
        return None
    return Ground(
        name=f"{chip} {name.replace('_', ' ').replace('.', ' ')}",
        value=fact.value,
        unit=fact.unit,
        kind="given" if fact.source == "you" else fact.kind,
        source=fact.source,
        note=fact.note,
    )


def _grounds(result: Outcome, efficiencies: dict[str, Efficiency]) -> list[Ground]:
    """Efficiencies that change any figure."""
    names = list(efficiencies)
    felt = {
        name
        for amount in result.amounts
        for name, (low, high) in moves(amount.value, names).items()
        if abs(low - 1) > 1e-9 or abs(high - 1) > 1e-9
    }
    return [_efficiency_ground(efficiencies[name]) for name in names if name in felt]


def _efficiency_ground(found: Efficiency) -> Ground:
    kind: GroundKind = found.kind
    return Ground(
        name=found.name,
        value=found.likely,
        unit=found.unit,
        kind=kind,
        source=found.source,
        low=found.low,
        high=found.high,
        note=found.note,
    )


def _matters(
    job: Job, plan: Plan, fleet: Fleet, efficiencies: dict[str, Efficiency], leading: Any
) -> tuple[Matter, ...]:
    """What would change the leading figure most: published figures, efficiencies, formats."""
    figure = LEADING[job_kind(job)]
    found = [
        Matter(name=name, change="+10 %", figure=figure, factor=factor)
        for name, factor in what_ifs(leading).items()
    ]
    for name, (low, high) in moves(leading, list(efficiencies)).items():
        factor = high if abs(np.log(max(high, 1e-9))) >= abs(np.log(max(low, 1e-9))) else low
        end = "high" if factor == high else "low"
        found_at = efficiencies[name]
        value = getattr(found_at, end)
        before, after = (as_share(x, found_at.unit) for x in (found_at.likely, value))
        words = f"{before} → {after}"
        found.append(Matter(name=name, change=words, figure=figure, factor=factor))
    found += _other_formats(job, plan, fleet, likely(efficiencies), figure)
    found = [matter for matter in found if abs(np.log(max(matter.factor, 1e-9))) > 0.005]
    found.sort(key=lambda matter: -abs(np.log(max(matter.factor, 1e-9))))
    return tuple(found[:6])


def as_share(value: float, unit: str) -> str:
    """A value as people read it: shares below one in percent."""
    return f"{100 * value:.3g} %" if unit == "1" and value < 1 else show(value, unit)


def _other_formats(job: Job, plan: Plan, fleet: Fleet, knobs: Knobs, figure: str) -> list[Matter]:
    """The same plan with 8-bit weights, where the chip computes in 8 bits."""
    pool = pool_of(fleet, plan.chip)
    eight = next((name for name in ("fp8", "int8") if name in pool.chip.peak), None)
    if not isinstance(job, Serve) or eight is None or plan.weights != "bf16":
        return []
    narrow = replace(plan, weights=eight, compute=eight)
    before, after = (outcome(job, p, fleet, knobs)[figure] for p in (plan, narrow))
    factor = float(np.ravel(after)[0] / np.ravel(before)[0])
    return [Matter(name=f"{eight} weights", change="instead of bf16", figure=figure, factor=factor)]
