"""The verbs that choose: the plan that needs least, and the frontier between several measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eke.calibrate.measured import Measured
from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import resized
from eke.errors import BadInput
from eke.physics.answer import answer, outcome
from eke.physics.scenarios import likely, span
from eke.physics.train import learning_sequence
from eke.search.base import check_choices, engine_for, published_width, with_build
from eke.search.best import Found, Progress, search
from eke.search.block import Apart
from eke.search.front import front
from eke.search.limits import POOLS, first_missed
from eke.search.place import Place, options, single
from eke.search.priced import Candidate
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
from eke.types.goal import Front, Goal, Planned, figure_of, usual_goal
from eke.types.job import Align, Job, Serve, Train, Tune
from eke.types.need import Change, Infeasible, Need
from eke.types.plan import Plan
from eke.types.record import Record, replace
from eke.verbs import check_fits, check_job, check_uses, fleet_of, tables_of, values_of

SPLITS = (0.25, 0.375, 0.5, 0.625, 0.75)  # shares of the chips that only generate, in alignment
MARGINS = (1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0)  # below limits, to be surer
MORE = (4, 16)  # times as many chips, looked at to say how many it would take
SLOTS = 256  # fine-tunes on a replica, where nobody says how many chips there are
SETTINGS = {"batch": (16, 64, 256, 1024), "token_budget": (1024, 8192)}  # looked at for that
MOST = 65_536  # chips of a kind, looked at where nobody says how many there are


Accepts = Callable[[Job, Plan, Fleet], object]


class Asked(Record):
    """A question to the search. choices: decided fields of the plan: a value, or a tuple of values
    to choose from.  measured: numbers of the user's own for this stack.  disaggregate: whether
    prompts and answers may run on chips of their own."""

    job: Job
    fleet: Fleet
    goal: Goal
    choices: Mapping[str, Any]
    measured: Sequence[Measured] = ()
    disaggregate: Apart = "may"

    def search(self, margin: float = 1.0, progress: Progress | None = None) -> Found:
        """Every plan that no bound rules out."""
        return search(
            ways(self.job),
            self.places(),
            self.goal,
            apart=self.apart,
            margin=margin,
            progress=progress,
        )

    @property
    def apart(self) -> Apart:
        """Whether to look at plans in two halves, as far as that means anything."""
        if isinstance(self.job, Serve) or self.disaggregate == "never":
            return self.disaggregate
        return "may"

    def places(self) -> list[Place]:
        """Every pool under every engine that may run there, with what arrives of its figures."""
        return [
            self._place(pool, {**self.choices, "engine": engine} if engine else self.choices)
            for pool in self.fleet.pools
            for engine in options(self.choices, "engine", ("",))
        ]

    def _place(self, pool: Pool, choices: Mapping[str, Any]) -> Place:
        built = with_build(self.job, pool, choices)
        return Place(pool=pool, knobs=likely(self._values(pool, built)), choices=built)

    def _values(self, pool: Pool, choices: Mapping[str, Any]) -> dict[str, Efficiency]:
        """Of one pool; own measurements are taken to be of the smallest plan there."""
        runs = engine_for(self.job, pool, choices)
        values = efficiencies(*tables_of(self.job, pool, runs.id if runs else ""))
        if not self.measured:
            return values
        small = smallest(self.job, [(pool, likely(values))], single(choices))
        if isinstance(small, Infeasible):
            return values
        return values_of(self.job, small, Fleet(pools=(pool,)), self.measured)


def plan(
    job: Job,
    fleet: Fleet | str,
    goal: Goal | None = None,
    *,
    choices: Mapping[str, Any] | None = None,
    measured: Sequence[Measured] = (),
    disaggregate: Apart = "may",
    accepts: Accepts | None = None,
    progress: Progress | None = None,
) -> Planned | Infeasible:
    """The plan that needs least of what the goal names, with the reasons for it.

    fleet: pools one may use.  goal: None is least cost, or least time for a job that learns
    without a date.  choices: fields of the plan that are decided: a value, or a tuple of values to
    choose from, such as ``{"weights": ("bf16", "fp8")}``.  measured: numbers of one's own for this
    stack.  disaggregate: whether prompts and answers may run on chips of their own.  accepts:
    raises BadInput for a plan that cannot be used, such as one an engine has no words for.
    progress: called with the plans looked at and the best figure so far. Raises EkeError for input
    that makes no sense.
    """
    asked = _asked(job, fleet, goal, choices, measured=measured, disaggregate=disaggregate)
    tried: list[Planned] = []
    for margin in MARGINS if asked.goal.sure > 0.5 else MARGINS[:1]:
        found = asked.search(margin, progress)
        if not found.best:
            break
        try:
            found = _accepted(found, accepts)
        except BadInput:
            if tried:
                break
            raise
        tried.append(_planned(asked, found, margin))
        if asked.goal.sure <= 0.5 or _chance(tried[-1]) >= asked.goal.sure:
            return tried[-1]
    return _not_sure(max(tried, key=_chance)) if tried else _infeasible(asked, found)


def _accepted(found: Found, accepts: Accepts | None) -> Found:
    """From the first plan on that can be used. Raises BadInput where none of the best can."""
    reason = ""
    for index, kept in enumerate(found.best):
        try:
            if accepts is not None:
                accepts(kept.block.job, kept.plan, kept.block.fleet)
        except BadInput as error:
            reason = reason or str(error)
            continue
        return replace(found, best=found.best[index:], passed=reason)
    raise BadInput(f"none of the best {len(found.best)} plans can be used; of the best: {reason}")


def frontier(
    job: Job,
    fleet: Fleet | str,
    measures: Sequence[str],
    goal: Goal | None = None,
    *,
    choices: Mapping[str, Any] | None = None,
    disaggregate: Apart = "may",
    progress: Progress | None = None,
) -> Front | Infeasible:
    """Every plan that no other beats in all of two or three measures, such as cost and ttft.

    goal: its limits hold. The rest is as in `plan`.
    """
    if not 2 <= len(set(measures)) == len(measures) <= 3:
        raise BadInput(
            f"a frontier is between two or three different measures, not {', '.join(measures)}."
        )
    if isinstance(job, Serve):  # of a request it is the same, but nobody reads it so
        measures = ["cost_per_million_tokens" if name == "cost" else name for name in measures]
    wanted = replace(goal or Goal(), least=measures[0])
    asked = _asked(job, fleet, wanted, choices, disaggregate=disaggregate)
    found = front(
        ways(asked.job), asked.places(), asked.goal, tuple(measures), asked.apart, progress
    )
    return found if isinstance(found, Front) else _infeasible(asked, found)


def _asked(
    job: Job,
    fleet: Fleet | str,
    goal: Goal | None,
    choices: Mapping[str, Any] | None,
    **others: Any,
) -> Asked:
    check_job(job)
    where, said = fleet_of(fleet), dict(choices or {})
    check_choices(said)
    for name in ("prefill", "rear"):
        if name in said:
            raise BadInput(f"the search finds {name} by itself; drop it, or ask `need` for a plan.")
    kinds = [pool.chip.id for pool in where.pools]
    twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
    if twice is not None:
        raise BadInput(f"{twice} stands in two pools; give all of them as one, such as 16x{twice}.")
    return Asked(job=job, fleet=where, goal=goal or usual_goal(job, where), choices=said, **others)


def enough(job: Job, fleet: Fleet, choices: Mapping[str, Any] | None = None) -> Fleet:
    """The pools of a fleet with as many chips as the job can use: twice what a simple layout takes.

    More than that cost more, whatever they do. Raises BadInput for a job without a date, which
    any number of chips makes faster.
    """
    check_job(job)
    if not isinstance(job, Serve) and job.within is None:
        raise BadInput(
            "more chips are always faster; give a date (--within 30d), or say how many chips there "
            "are (--on 64xh100-sxm)."
        )
    asked = _asked(job, fleet, None, choices)
    pools = {place.pool.chip.id: _grown(asked, place) for place in asked.places()}
    return replace(fleet, pools=tuple(pools.values()))


def _grown(asked: Asked, place: Place) -> Pool:
    one = single(place.choices)
    if isinstance(asked.job, Serve) and asked.job.adapters:
        one.setdefault("adapter_slots", min(asked.job.adapters, SLOTS))  # else a copy for each
    chips = 64
    while chips < MOST:
        pool = resized(place.pool, chips)
        found = smallest(asked.job, [(pool, place.knobs)], one)
        if not isinstance(found, Infeasible):
            return resized(place.pool, 2 * found.chips)
        chips *= 8
    return resized(place.pool, MOST)


def ways(job: Job) -> list[Job]:
    """The ways in which a job may be asked: alignment with chips of their own for generation."""
    if not isinstance(job, Align) or job.split is not None or job.method == "dpo":
        return [job]
    return [job, *(replace(job, split=split) for split in SPLITS)]


def _planned(asked: Asked, found: Found, margin: float) -> Planned:
    best, goal = found.best[0], asked.goal
    values = {
        id(kept): values_of(kept.block.job, kept.plan, kept.block.fleet, asked.measured)
        for kept in (best, *others(found))
    }
    check_fits(best.plan, asked.job, best.block.fleet)
    check_uses(asked.job, best.plan)
    need = answer(best.block.job, best.plan, best.block.fleet, values[id(best)], chosen=True)
    assert isinstance(need, Need), "the search took a plan that misses a limit"
    return Planned(
        goal=goal,
        job=best.block.job,
        need=need,
        value=span(priced(best, goal, values[id(best)]), len(values[id(best)])),
        unit=_unit(need, goal),
        considered=found.considered,
        priced=found.priced,
        bottleneck=bottleneck(need),
        kept=kept_limits(best, goal, values[id(best)]),
        binds=binds(found),
        rivals=rivals(found, goal, values),
        turns=turns(found, goal),
        remarks=(
            *_split(best.block.job, asked.job),
            *_usual(best),
            *_narrower(asked, best, margin),
            *_passed(found),
        ),
    )


def _unit(need: Need, goal: Goal) -> str:
    basic = {"chips": "1", "time": "s", "energy": "J", "money": "USD", "memory": "B"}
    name = figure_of(goal.least)
    return basic.get(name) or need.figures[name].unit


def _split(planned: Job, asked: Job) -> tuple[str, ...]:
    """How alignment shares its chips, where the search decided that."""
    if planned == asked or not isinstance(planned, Align):
        return ()
    return (f"{planned.split:.1%} of the chips only generate (--split {planned.split:.1%})",)


def _passed(found: Found) -> tuple[str, ...]:
    """Why better plans were passed over."""
    return (f"better plans cannot be used; the best: {found.passed}",) if found.passed else ()


def _usual(best: Candidate) -> tuple[str, ...]:
    """What nobody decided of learning, and what it may change."""
    job, plan = best.block.job, best.plan
    found = []
    if isinstance(job, Train | Tune) and job.batch is None:
        tokens = plan.batch * learning_sequence(job)
        found.append(
            f"nobody gave a global batch; {tokens / 1e6:.3g}M tokens are usual, and a larger one "
            "(--batch-tokens) lets more chips work at once"
        )
    if not isinstance(job, Serve) and not plan.engine:
        found.append("priced for no trainer in particular; --engine or --write prices one")
    return tuple(found)


def _narrower(asked: Asked, best: Candidate, margin: float) -> tuple[str, ...]:
    """What 8-bit weights would save, where they are not what the maker publishes: whether answers
    stay good enough is for the user to say."""
    job, peaks = asked.job, best.block.place.pool.chip.peak
    eight = next((width for width in ("fp8", "int8") if width in peaks), None)
    decided = "weights" in asked.choices or not isinstance(job, Serve)
    if decided or eight is None or published_width(job.model) != "bf16":
        return ()
    apart: Apart = "never" if best.plan.prefill is None else asked.disaggregate
    choices = {**asked.choices, "weights": eight}
    found = replace(asked, choices=choices, disaggregate=apart).search(margin)
    if not found.best or found.best[0].value >= best.value:
        return ()
    less = found.best[0]
    return (
        f"{eight} weights would take {1 - less.value / best.value:.0%} less {asked.goal.least}, on "
        f"{less.plan.chips:,} {less.plan.chip}; whether answers stay good enough is yours to judge "
        f"(--weights {best.plan.weights},{eight} lets the search choose)",
    )


def _chance(planned: Planned) -> float:
    return min((kept.chance for kept in planned.kept), default=1.0)


def _not_sure(planned: Planned) -> Infeasible:
    """No plan keeps every limit as surely as asked; the one found with the widest margin says how
    sure one can be."""
    least = min(planned.kept, key=lambda kept: kept.chance)
    return Infeasible(
        limit=f"chance to keep {least.limit}",
        need=planned.goal.sure,
        have=least.chance,
        by=planned.goal.sure - least.chance,
        unit="%",
        hint="a measurement of your own (--measured), more chips, or less sure (--sure)",
        plan=planned.need.plan,
    )


def _infeasible(asked: Asked, found: Found) -> Infeasible:
    """Which limit is missed by most in the plan that misses least, and what would do."""
    near = found.nearest
    more = _more_chips(asked)
    if near is None and more:
        return _too_few(more[0])
    if near is None:
        said = [f"{name} {_or(value)}" for name, value in asked.choices.items()]
        said += ["prompts and answers apart"] if asked.apart == "must" else []
        raise BadInput(
            f"no layout of {asked.job.model.name} on {asked.fleet.name or asked.fleet.chips} has "
            f"{', '.join(said) or 'any'}; give more chips, or decide less."
        )
    name = first_missed(near.ratios)
    have, unit = near.haves[name]
    result = outcome(near.block.job, near.plan, near.block.fleet, near.block.knobs)
    hints = {limit.name: limit.hint for limit in result.limits}
    if asked.goal.headroom and name in hints and "memory" in name:
        hints[name] += "; or less --headroom"
    return Infeasible(
        limit=name,
        need=have * near.ratios[name],
        have=have,
        by=abs(have * near.ratios[name] - have),
        unit=unit,
        hint=hints.get(name, "more chips" if name in POOLS else "a looser limit"),
        plan=near.plan,
        changes=(*changes(found), *more),
        together=together(near),
    )


def _too_few(change: Change) -> Infeasible:
    """Fewer chips than any layout takes."""
    return Infeasible(
        limit="chips",
        need=change.at,
        have=change.now,
        by=change.at - change.now,
        unit="1",
        hint="more chips",
        changes=(change,),
    )


def _or(value: Any) -> str:
    return " or ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _more_chips(asked: Asked) -> tuple[Change, ...]:
    """The fewest chips of each kind with which it could be done, up to 16 times as many."""
    within = tuple(limit for limit in asked.goal.within if limit.figure != "chips")
    loose = replace(asked.goal, least="chips", within=within)
    settings = SETTINGS if isinstance(asked.job, Serve) else {}
    choices = {**settings, **asked.choices}
    rows = []
    for pool in asked.fleet.pools:
        for times in MORE:
            if pool.chips * times > MOST:
                break
            wide = Fleet(pools=(resized(pool, pool.chips * times),))
            wider = replace(asked, fleet=wide, goal=loose, choices=choices)
            found = wider.search()
            if found.best:
                best = found.best[0].plan
                name = f"chips of {pool.chip.id}"
                rows.append(Change(name=name, now=pool.chips, at=best.chips, unit="1", plan=best))
                break
    return tuple(rows)
