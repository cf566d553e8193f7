"""The verbs that choose: the plan that needs least, and the frontier between several measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eke.calibrate.measured import Measured
from eke.catalog.engines import engine_named
from eke.errors import BadInput
from eke.physics.answer import answer, outcome, shortage
from eke.physics.scenarios import likely, span
from eke.search.base import check_choices, engine_for, published_width, with_build
from eke.search.best import Candidate, Found, Progress, figure_of, search
from eke.search.front import front
from eke.search.place import Place, options
from eke.search.smallest import smallest
from eke.search.why import (
    binds,
    bottleneck,
    changes,
    kept_limits,
    others,
    priced,
    rivals,
    together,
    turns,
)
from eke.types.efficiency import Efficiency
from eke.types.fleet import Fleet, Pool
from eke.types.goal import Front, Goal, Planned
from eke.types.job import Align, Job, Serve
from eke.types.need import Change, Infeasible, Need
from eke.types.record import replace
from eke.verbs import check_fits, check_job, fleet_of, tables_of, values_of

SPLITS = (0.25, 0.375, 0.5, 0.625, 0.75)  # shares of the chips that only generate, in alignment
MARGINS = (1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0)  # below limits, to be surer
MORE = 64  # times as many chips, looked at to say how many it would take


def plan(
    job: Job,
    fleet: Fleet | str,
    goal: Goal | None = None,
    *,
    choices: Mapping[str, Any] | None = None,
    measured: Sequence[Measured] = (),
    progress: Progress | None = None,
) -> Planned | Infeasible:
    """The plan that needs least of what the goal names, with the reasons for it.

    fleet: pools one may use.  goal: None is least cost, or least time for a job that learns
    without a date.  choices: fields of the plan that are decided: a value, or a tuple of values to
    choose from, such as ``{"weights": ("bf16", "fp8")}``.  measured: numbers of one's own for this
    stack.  progress: called with the plans looked at and the best figure so far. Raises EkeError
    for input that makes no sense.
    """
    check_job(job)
    where, said = fleet_of(fleet), dict(choices or {})
    check_choices(said)
    wanted = goal or usual_goal(job, where)
    sites = places(job, where, said, measured)
    whole = not _apart(job, said)
    least_sure: Planned | None = None
    for margin in MARGINS if wanted.sure > 0.5 else MARGINS[:1]:
        found = search(_ways(job), sites, wanted, whole=whole, margin=margin, progress=progress)
        if not found.best:
            break
        planned = _planned(job, where, wanted, said, found, measured)
        if wanted.sure <= 0.5 or _chance(planned) >= wanted.sure:
            return planned
        least_sure = planned
    if least_sure is not None:
        return _not_sure(least_sure)
    return _infeasible(job, where, wanted, said, found)


def _chance(planned: Planned) -> float:
    return min((kept.chance for kept in planned.kept), default=1.0)


def _not_sure(planned: Planned) -> Infeasible:
    """No plan keeps every limit as surely as asked; the one that is found with the widest margin
    says how sure one can be."""
    least = min(planned.kept, key=lambda kept: kept.chance)
    return Infeasible(
        limit=f"chance to keep {least.limit}",
        need=planned.goal.sure,
        have=least.chance,
        by=planned.goal.sure - least.chance,
        unit="",
        hint="a measurement of your own (--measured), more chips, or less sure (--sure)",
        plan=planned.need.plan,
    )


def frontier(
    job: Job,
    fleet: Fleet | str,
    measures: Sequence[str],
    goal: Goal | None = None,
    *,
    choices: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Front | Infeasible:
    """Every plan that no other beats in all of two or three measures, such as cost and ttft.

    goal: its limits hold. The rest is as in `plan`.
    """
    check_job(job)
    if not 2 <= len(set(measures)) == len(measures) <= 3:
        raise BadInput(
            f"a frontier is between two or three different measures, not {', '.join(measures)}."
        )
    where, said = fleet_of(fleet), dict(choices or {})
    check_choices(said)
    wanted = replace(goal or Goal(), least=measures[0])
    sites = places(job, where, said)
    found = front(_ways(job), sites, wanted, tuple(measures), _apart(job, said), progress)
    return found if isinstance(found, Front) else _infeasible(job, where, wanted, said, found)


def usual_goal(job: Job, fleet: Fleet) -> Goal:
    """Least cost; least time where a job that learns has no date; least chips where a chip has no
    price."""
    if not isinstance(job, Serve) and job.within is None:
        return Goal(least="time")
    priced = all(pool.rent is not None or pool.buy is not None for pool in fleet.pools)
    return Goal(least="cost" if priced else "chips")


def places(
    job: Job, fleet: Fleet, choices: Mapping[str, Any], measured: Sequence[Measured] = ()
) -> list[Place]:
    """Every pool under every engine that may run there, with what arrives of its figures."""
    found = []
    for pool in fleet.pools:
        for engine in options(choices, "engine", ("",)):
            said = {**choices, "engine": engine} if engine else dict(choices)
            if engine and engine_named(engine) is None:
                raise BadInput(f"no engine {engine!r} is known.")
            built = with_build(job, pool, said)
            values = _place_values(job, pool, built, measured)
            found.append(Place(pool=pool, knobs=likely(values), efficiencies=values, choices=built))
    return found


def _place_values(
    job: Job, pool: Pool, choices: Mapping[str, Any], measured: Sequence[Measured]
) -> dict[str, Efficiency]:
    """What arrives on one pool; own measurements are taken to be of the smallest plan there."""
    from eke.catalog.efficiencies import efficiencies

    runs = engine_for(job, pool, choices)
    values = efficiencies(*tables_of(job, pool, runs.id if runs else ""))
    if not measured:
        return values
    one = {name: value for name, value in choices.items() if not isinstance(value, tuple)}
    small = smallest(job, [(pool, likely(values))], one)
    if isinstance(small, Infeasible):
        return values
    return values_of(job, small, Fleet(pools=(pool,)), measured)


def _ways(job: Job) -> list[Job]:
    """The ways in which a job may be asked: alignment with chips of their own for generation."""
    if not isinstance(job, Align) or job.split is not None or job.method == "dpo":
        return [job]
    return [job, *(replace(job, split=split) for split in SPLITS)]


def _apart(job: Job, choices: Mapping[str, Any]) -> bool:
    """Whether plans whose prompts and answers run apart are looked at."""
    return isinstance(job, Serve) and "prefill" not in choices


def _planned(
    job: Job,
    fleet: Fleet,
    goal: Goal,
    choices: Mapping[str, Any],
    found: Found,
    measured: Sequence[Measured],
) -> Planned:
    best = found.best[0]
    shown = [best, *others(found)]
    values = {
        id(kept): values_of(kept.block.job, kept.plan, kept.block.fleet, measured) for kept in shown
    }
    check_fits(best.plan, job.model, best.block.fleet)
    need = answer(best.block.job, best.plan, best.block.fleet, values[id(best)], chosen=True)
    if isinstance(need, Infeasible):
        raise AssertionError(f"the search took a plan that misses {need.limit}")
    amounts = priced(best, goal, values[id(best)])
    return Planned(
        goal=goal,
        job=best.block.job,
        need=need,
        value=span(amounts, len(values[id(best)])),
        unit=_unit(need, goal),
        considered=found.considered,
        priced=found.priced,
        bottleneck=bottleneck(need),
        kept=kept_limits(best, goal, values[id(best)]),
        binds=binds(found),
        rivals=rivals(found, goal, values),
        turns=turns(found, goal),
        remarks=(*_split_remark(best.block.job, job), *_narrower(job, fleet, goal, choices, best)),
    )


def _unit(need: Need, goal: Goal) -> str:
    basic = {"chips": "1", "time": "s", "energy": "J", "money": "USD", "memory": "B"}
    name = figure_of(goal.least)
    return basic.get(name) or need.figures[name].unit


def _split_remark(planned: Job, asked: Job) -> tuple[str, ...]:
    if planned == asked or not isinstance(planned, Align):
        return ()
    return (f"{planned.split:.1%} of the chips only generate (--split {planned.split:.1%})",)


def _narrower(
    job: Job, fleet: Fleet, goal: Goal, choices: Mapping[str, Any], best: Candidate
) -> tuple[str, ...]:
    """What 8-bit weights would save, where they are not what the maker publishes: whether answers
    stay good enough is for the user to say."""
    if not isinstance(job, Serve) or "weights" in choices or published_width(job.model) != "bf16":
        return ()
    eight = next((w for w in ("fp8", "int8") if w in best.block.place.pool.chip.peak), None)
    if eight is None or best.plan.weights == eight:
        return ()
    said = {**choices, "weights": eight}
    found = search([job], places(job, fleet, said), goal, whole=best.plan.prefill is None)
    if not found.best or found.best[0].value >= best.value:
        return ()
    less = found.best[0]
    saved = 1 - less.value / best.value
    return (
        f"{eight} weights would take {saved:.0%} less {goal.least} on {less.plan.chips:,} "
        f"{less.plan.chip}; whether answers stay good enough is yours to judge: "
        f"--weights {best.plan.weights},{eight} lets the search choose",
    )


def _infeasible(
    job: Job, fleet: Fleet, goal: Goal, choices: Mapping[str, Any], found: Found
) -> Infeasible:
    """Which limit is missed by most in the plan that misses least, and what alone would do."""
    near = found.nearest
    if near is None:
        said = ", ".join(f"{name} {value}" for name, value in choices.items())
        raise BadInput(
            f"no layout of {job.model.name} on {fleet.name or fleet.chips} has {said or 'any'}; "
            "give more chips, or decide less."
        )
    name = max(near.ratios, key=lambda limit: near.ratios[limit])
    have, unit = near.haves[name]
    result = outcome(near.block.job, near.plan, near.block.fleet, near.block.knobs)
    usual = shortage(result, near.plan)
    hint = usual.hint if usual is not None and usual.limit == name else "a looser limit"
    return Infeasible(
        limit=name,
        need=have * near.ratios[name],
        have=have,
        by=abs(have * near.ratios[name] - have),
        unit=unit,
        hint=hint,
        plan=near.plan,
        changes=(*changes(found), *_more_chips(job, fleet, goal, choices)),
        together=together(near),
    )


def _more_chips(
    job: Job, fleet: Fleet, goal: Goal, choices: Mapping[str, Any]
) -> tuple[Change, ...]:
    """The fewest chips of one kind with which it could be done, up to 64 times as many."""
    loose = replace(
        goal, least="chips", within=tuple(c for c in goal.within if c.figure != "chips")
    )
    rows = []
    for pool in fleet.pools:
        times = 4
        while times <= MORE and pool.chips * times <= 65_536:
            wide = Fleet(pools=(replace(pool, chips=pool.chips * times),))
            found = search([job], places(job, wide, choices), loose, whole=not _apart(job, choices))
            if found.best:
                best = found.best[0].plan
                name = f"chips of {pool.chip.id}"
                rows.append(Change(name=name, now=pool.chips, at=best.chips, unit="1", plan=best))
                break
            times *= 4
    return tuple(rows)
