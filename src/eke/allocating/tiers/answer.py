"""The verb: how many users may have a longer context, and what remembering them is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from eke.allocating.tiers.curve import curve, point
from eke.allocating.tiers.keep import keeping, not_kept
from eke.allocating.tiers.layouts import nearest
from eke.allocating.tiers.load import FEW
from eke.allocating.tiers.stage import Stage
from eke.allocating.tiers.ways import Way, Weighed, alone, carried_by, together, weigh
from eke.catalog.efficiencies import efficiencies
from eke.errors import BadInput
from eke.physics.answer import answer, as_share
from eke.physics.scenarios import moves, what_ifs
from eke.planning import plan
from eke.search.base import check_choices, engine_for
from eke.types.fleet import Fleet
from eke.types.job import Serve, Tier
from eke.types.model import Model
from eke.types.need import Change, Ground, Infeasible, Matter, Need
from eke.types.plan import Plan
from eke.types.record import replace
from eke.types.tiers import Demand, KeepCurve, SharePoint, TierCurve, Tiers, TierUse, Where
from eke.verbs import check_job, fleet_of, tables_of

KEY = (1.0, 0.3)  # shares whose best layouts are looked for
Tell = Callable[[int, int, str], None]


def context_tiers(
    model: Model,
    fleet: Fleet | str,
    demand: Demand,
    *,
    choices: Mapping[str, Any] | None = None,
    progress: Tell | None = None,
) -> Tiers | Infeasible:
    """Which share of users may have each longer context beside the base tier for all, what they
    then see and cost, and what it saves to keep conversations between turns.

    fleet: one pool, of which all chips serve.  choices: fields of the plan that are decided, such
    as ``{"weights": "fp8"}``.  progress: is told how much is done, of how much, and what is next.
    Infeasible where not even the base tier for all can be carried. Raises EkeError for input that
    makes no sense.
    """
    where = fleet_of(fleet)
    tell = progress or (lambda done, total, words: None)
    stage = _stage(model, where, demand, choices or {})
    steps = 1 + 2 * len(demand.longer) + 2 * (demand.conversations is not None)
    tell(0, steps, f"layouts for {demand.base.name}")
    stage = stage.learned(stage.base())
    best = together(alone(stage, stage.base()))
    if best is None or best.users < demand.users:
        return _too_many(stage, best)
    stage = stage.narrowed(stage.base(), best.fullest.plan, demand.users)
    for i, longer in enumerate(demand.longer):
        tell(1 + i, steps, f"layouts for {longer.name}")
        stage = _learned(stage, longer)
    base, plans = alone(stage, stage.base()), [best.fullest.plan]
    weighed = [weigh(stage, longer, base) for longer in demand.longer]
    curves: list[TierCurve] = []
    for each in weighed:
        tell(1 + len(weighed) + len(curves), steps, f"{each.use.name} for more users")
        first = curves[0].points[0] if curves else point(each, 0.0, plans)
        curves.append(curve(each, plans, first, curves[-1] if curves else None))
    kept = _keeping(stage, lambda i, words: tell(steps - 2 + i, steps, words))
    tell(steps, steps, "")
    return _answer(weighed[0], where, curves, kept, plans)


def _learned(stage: Stage, longer: TierUse) -> Stage:
    """With layouts for the longer tier alone, and for many who have it."""
    for share in KEY:
        stage = stage.learned(stage.mix(longer, share))
    return stage


def _stage(model: Model, fleet: Fleet, demand: Demand, choices: Mapping[str, Any]) -> Stage:
    """Raises BadInput for what this question is not asked about."""
    check_choices(choices)
    if len(fleet.pools) != 1:
        raise BadInput("context tiers are weighed on one kind of chips; give one pool to --on.")
    if "replicas" in choices or "prefill" in choices or isinstance(choices.get("engine"), tuple):
        raise BadInput("replicas, prefill and several engines are not decided here; drop them.")
    pool = fleet.pools[0]
    blank = Serve(model=model)
    check_job(blank)
    runs = engine_for(blank, pool, choices)
    values = efficiencies(*tables_of(blank, pool, runs.id if runs else ""))
    values = {name: each for name, each in values.items() if "adapter_time" not in name}
    said = {**choices, **({"engine": runs.id} if runs and "engine" in choices else {})}
    return Stage(
        model=model, demand=demand, pool=pool, values=values, choices=said, names=tuple(values)
    )


def _keeping(stage: Stage, tell: Callable[[int, str], None]) -> tuple[KeepCurve, ...]:
    """Conversations kept on the chips and on their hosts, where the demand says how people talk."""
    talks = stage.demand.conversations
    if talks is None:
        return ()
    found, first = [], not_kept(stage, talks)
    places: tuple[Where, ...] = ("chip", "host")
    for i, where in enumerate(places):
        tell(i, f"conversations kept on the {where}")
        found.append(keeping(stage, talks, where, first))
    return tuple(found)


def _too_many(stage: Stage, way: Way | None) -> Infeasible:
    """Not even the base tier for all: by how much, and what would do."""
    demand = stage.demand
    if way is None:
        return _not_one(stage)
    best, chips = way.fullest, way.chips(demand.users)
    changes = (
        Change(
            name=f"chips of {stage.pool.chip.id}",
            now=stage.pool.chips,
            at=chips,
            unit="1",
            plan=replace(best.plan, replicas=chips // best.plan.group),
        ),
    )
    what = "a looser promise" if best.limit not in ("throughput", "memory") else "a shorter prompt"
    return Infeasible(
        limit=f"users with {demand.base.name}",
        need=demand.users,
        have=best.users,
        by=demand.users - best.users,
        unit="1",
        hint=f"more chips, fewer users, {what} (what stops it: {best.limit})",
        plan=best.plan,
        changes=changes,
    )


def _not_one(stage: Stage) -> Infeasible:
    """A single user already breaks a promise, or nothing fits."""
    mixed, demand = stage.base(), stage.demand
    limit, ratio, layout = nearest(mixed, stage.pool, stage.knobs, stage.choices)
    promised = demand.base.ttft if limit.startswith("ttft") else demand.tpot
    if promised is None or not limit.startswith(("ttft", "tpot")):
        return _nothing_fits(stage)
    return Infeasible(
        limit=limit,
        need=ratio * promised.limit,
        have=promised.limit,
        by=(ratio - 1) * promised.limit,
        unit="s",
        hint="a looser promise, faster chips, or narrower weights (--weights fp8)",
        plan=layout,
    )


def _nothing_fits(stage: Stage) -> Infeasible:
    """As `plan` says it of a single request that fills the context."""
    mixed, context = stage.base(), stage.demand.base.context
    whole = (Tier(context=context, share=1.0),)
    job = replace(mixed.job, rate=FEW, ttft=None, tpot=None, tiers=whole)
    found = plan(job, Fleet(pools=(stage.pool,)), choices=stage.choices, disaggregate="never")
    if isinstance(found, Infeasible):
        return found
    return _short(f"users with {stage.demand.base.name}", 1.0, 0.0, found.need.plan)


def _short(limit: str, need: float, have: float, layout: Plan) -> Infeasible:
    return Infeasible(
        limit=limit, need=need, have=have, by=need - have, unit="1", hint="more chips", plan=layout
    )


def _answer(
    shortest: Weighed,
    fleet: Fleet,
    curves: list[TierCurve],
    kept: tuple[KeepCurve, ...],
    plans: list[Plan],
) -> Tiers:
    """shortest: of the longer tiers, at whose largest share is told what would change it."""
    stage, demand, base = shortest.stage, shortest.stage.demand, curves[0].points[0]
    way = shortest.best(curves[0].share.likely)
    users = carried_by(way, stage.pool, stage.varied()) if way is not None else np.zeros(1)
    mixed = stage.base()
    job = replace(mixed.job, rate=0.99 * demand.users * mixed.each, ttft=None, tpot=None)
    needed = answer(job, plans[base.plans[0]], fleet, stage.values, chosen=True)
    grounds = needed.grounds if isinstance(needed, Need) else ()
    return Tiers(
        model=stage.model.id,
        fleet=fleet.name or f"{stage.pool.chips}x{stage.pool.chip.id}",
        chips=stage.pool.chips,
        demand=demand,
        base=base,
        curves=tuple(curves),
        keeping=kept,
        plans=tuple(plans),
        matters=_matters(stage, users),
        grounds=_grounds(demand, grounds),
        remarks=_remarks(stage, curves),
    )


def _grounds(demand: Demand, needed: tuple[Ground, ...]) -> tuple[Ground, ...]:
    """Those of the demand, each once, and those of the physics."""
    said = dict.fromkeys(demand.grounds)
    return (*said, *(each for each in needed if each.kind != "given"))


def _matters(stage: Stage, users: Any) -> tuple[Matter, ...]:
    """What would change the number of users most."""
    found = [
        Matter(name=name, change="+10 %", figure="users", factor=factor)
        for name, factor in what_ifs(users).items()
    ]
    for name, (low, high) in moves(users, list(stage.names)).items():
        farther = abs(np.log(max(high, 1e-9))) >= abs(np.log(max(low, 1e-9)))
        factor, end = (high, "high") if farther else (low, "low")
        value = stage.values[name]
        ends = [as_share(each, value.unit) for each in (value.likely, getattr(value, end))]
        change = f"{ends[0]} → {ends[1]}"
        found.append(Matter(name=name, change=change, figure="users", factor=factor))
    found = [each for each in found if abs(np.log(max(each.factor, 1e-9))) > 0.005]
    found.sort(key=lambda each: -abs(np.log(max(each.factor, 1e-9))))
    return tuple(found[:6])


def _gain(at: SharePoint) -> str:
    """What replicas of their own are worth."""
    if at.together < 1:
        return "on the same ones a promise would be broken"
    return f"on the same ones {1 - at.together / at.apart:.1%} fewer users would be carried"


def _remarks(stage: Stage, curves: list[TierCurve]) -> tuple[str, ...]:
    """What the answer assumes, in words."""
    demand = stage.demand
    found = [
        "each longer tier is weighed alone beside the base tier, not together with the others",
        "a replica serves one tier or both; a request waits in the same line as all others there "
        "and then takes as long as its own prompt does",
        "the mean request of a tier has the length said for it; one that fills its context must "
        "fit, but is not what is served every time",
        "chips are paid all day for the busiest time; what they could do beside it is not counted",
    ]
    if stage.pool.rent is None:
        found.append("energy is that of the busiest time, all day")
    longest = max(tier.context for tier in (demand.base, *demand.longer))
    if stage.model.context and longest > stage.model.context:
        found.append(f"{longest:,} tokens; {stage.model.name} is made for {stage.model.context:,}")
    answers = {tier.answer for tier in (demand.base, *demand.longer)}
    if len(answers) > 1:
        found.append("all answers count as the mean answer of the mix")
    for each in curves:
        at = next(p for p in each.points if p.share == each.share.likely)
        if len(at.plans) > 1:
            found.append(f"{each.tier.name}: each tier has replicas of its own; {_gain(at)}")
    return tuple(found)
