"""Chip time by eke's own physics: what one ask, or one training run, takes of a kind of chip.

An ask is planned among chips few enough to be quick, and scaled: more replicas answer more asks.
A run is planned on as many chips as it has: the more there are, the more they wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from eke.allocating.menu import menu
from eke.catalog.chips import chip as chip_of
from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import pool, resized
from eke.errors import BadInput
from eke.physics.layers import count_parameters
from eke.planning import Asked, enough, plan
from eke.search.block import Apart
from eke.types.chip import Chip
from eke.types.efficiency import Efficiency
from eke.types.fleet import Fleet, Pool
from eke.types.goal import Goal
from eke.types.job import Job, Serve, Train
from eke.types.model import Model
from eke.types.need import Infeasible, Need, Span
from eke.types.plan import Plan
from eke.types.record import Record, replace
from eke.units import show
from eke.verbs import need

POOL, TIMES = 128, 8  # chips of a service at most, and over those of a simple layout
BUSY = 100  # chips about which one that keeps promises is laid out
HALVINGS = 7  # by which the most asks that a layout answers within its promises are found
SLOW = 1e-3  # asks a second that anything answers
RENT = 1 / 3600  # of a chip: any, since fewer chips are then cheaper [USD/s]
RUN = 1024  # chips on which a run is laid out where fewer cannot hold it
ROOM = 0.8  # largest share of the throughput one plans with, as in a plan
JUST = ROOM * (1 - 1e-9)  # of it, since a rate is worked out twice
Choices = Mapping[str, Any]

# Of the menu, since a dozen layouts are wanted at once: fewer settings, and more sequences in
# flight, as many may share the experts of a replica here.
SERVING: Choices = {"batch": (256, 1024, 4096, 16384), "token_budget": (512, 2048)}
LEARNING: Choices = {"virtual": (1, 2, 4, 6), "micro_batch": (1, 2)}


class Taken(Record):
    """What an ask, or a run, takes of a chip. chip_time: of all its chips, at full load [s].
    energy: at the meter of the site, at the load planned with [J].  need: the layout, priced."""

    chip_time: Span
    energy: Span | None
    need: Need


def per_ask(
    job: Serve, chip: str, decided: tuple[tuple[str, Any], ...] = (), apart: Apart = "may"
) -> Taken:
    """Of one ask of a service. job: its rate is not looked at.  apart: whether prompts may be taken
    in on chips of their own. Raises BadInput where no number of such chips keeps the promises."""
    asked = replace(job, rate=SLOW, utilisation=ROOM)
    question = ("ask", asked, chip, decided, apart)
    return _once(question, lambda: _per_ask(asked, chip, dict(decided), apart))


def per_run(model: Model, tokens: float, chip: str, chips: int, batch: float | None) -> Taken:
    """Of one training run on so many chips, or on more where those cannot hold it. Raises BadInput
    where none do."""
    asked = Train(model=model, tokens=tokens, batch=batch)
    return _once(("run", asked, chip, chips), lambda: _per_run(asked, chip, chips))


def active(model: Model) -> float:
    """Parameters at work on a token."""
    return float(count_parameters(model).active)


_taken: dict[bytes, Taken] = {}  # answers so far: the same question is often asked again


def _once(question: tuple[Any, ...], answer: Callable[[], Taken]) -> Taken:
    key = msgspec.json.encode(question)
    if key not in _taken:
        _taken[key] = answer()
    return _taken[key]


def _per_ask(job: Serve, chip: str, decided: Choices, apart: Apart) -> Taken:
    """The layout of most throughput; where that misses a promise once it is as busy as one plans
    for, the one of fewest chips that keeps it."""
    one = replace(pool(chip_of(chip), 1), rent=RENT, quoted=True)
    simple = enough(job, Fleet(pools=(one,)), decided).pools[0].chips
    on = resized(one, min(TIMES * simple, POOL))
    most = Goal(least="cost_per_million_tokens_full")
    full = _layout(replace(job, ttft=None, tpot=None), on, most, decided, apart)
    if full is None:
        return _per_ask_wide(job, one, decided)
    rate = JUST * full.rate
    at_work = _at(job, full.plan, one, rate)
    if isinstance(at_work, Need):
        return _asked(at_work, rate)
    wide = replace(job, rate=rate * BUSY / full.plan.chips)
    kept = _layout(wide, resized(one, 2 * POOL), Goal(least="chips"), decided, apart)
    if kept is None:
        return _per_ask_wide(job, one, decided)
    return _asked(*_busiest(wide, kept.plan, one, JUST * kept.rate))


class _Layout(Record):
    """A plan and the asks that it answers at full load [1/s]; 0 for one that learns."""

    plan: Plan
    rate: float = 0.0


def _layout(
    job: Job, on: Pool, goal: Goal, decided: Choices, apart: Apart = "may"
) -> _Layout | None:
    """The best layout of those looked at; None where none will do."""
    narrowed = SERVING if isinstance(job, Serve) else LEARNING
    choices = {**menu(job, on), **narrowed, **decided}
    fleet = Fleet(pools=(on,))
    asked = Asked(job=job, fleet=fleet, goal=goal, choices=choices, disaggregate=apart)
    best = asked.search().best
    if not best:
        return None
    return _Layout(plan=best[0].plan, rate=best[0].figures.get("rate_most", 0.0))


def _per_ask_wide(job: Serve, one: Pool, decided: Choices) -> Taken:
    """The same by the whole search, which also says what is lacking. Raises BadInput."""
    asked = replace(job, rate=1.0)
    found = plan(
        asked, enough(asked, Fleet(pools=(one,)), decided), Goal(least="chips"), choices=decided
    )
    if isinstance(found, Infeasible):
        raise _cannot(found, job, one)
    return _asked(*_busiest(asked, found.need.plan, one, JUST * _rate(found.need).likely))


def _busiest(job: Serve, of: Plan, one: Pool, most: float) -> tuple[Need, float]:
    """The most asks that a layout answers within its promises, which it keeps at the job's rate."""
    low, high = job.rate, max(most, job.rate)
    best = _at(job, of, one, low)
    if isinstance(best, Infeasible):
        raise _cannot(best, job, one)
    for look in range(HALVINGS):
        rate = (low + high) / 2 if look else high
        tried = _at(job, of, one, rate)
        if isinstance(tried, Infeasible):
            high = rate
        else:
            low, best = rate, tried
    return best, low


def _at(job: Serve, of: Plan, one: Pool, rate: float) -> Need | Infeasible:
    """What a layout takes at a rate."""
    return need(replace(job, rate=rate), of, Fleet(pools=(resized(one, of.chips),)))


def _rate(of: Need) -> Span:
    """Asks that all chips of a layout answer at most [1/s]."""
    return of.figures["rate_most"].span


def _asked(of: Need, rate: float) -> Taken:
    """rate: that it is planned with [1/s]."""
    time, most = ROOM * of.chips.likely / rate, _rate(of)
    low, high = most.likely / most.high, most.likely / most.low
    return Taken(
        chip_time=Span(low=time * low, likely=time, high=time * high), energy=of.energy, need=of
    )


def _per_run(job: Train, chip: str, chips: int) -> Taken:
    """The fastest layout."""
    one = pool(chip_of(chip), 1)
    run = _on(job, resized(one, chips))
    while run is None and chips < RUN:
        chips *= 2
        run = _on(job, resized(one, chips))
    if run is None:
        found = plan(job, Fleet(pools=(resized(one, chips),)), Goal(least="time"))
        if isinstance(found, Infeasible):
            raise _cannot(found, job, one)
        run = found.need
    count, time = run.chips.likely, run.time
    span = Span(low=count * time.low, likely=count * time.likely, high=count * time.high)
    return Taken(chip_time=span, energy=run.energy, need=run)


def _on(job: Train, on: Pool) -> Need | None:
    """The fastest layout of those looked at."""
    found = _layout(job, on, Goal(least="time"), {})
    priced = need(job, found.plan, Fleet(pools=(on,))) if found is not None else None
    return priced if isinstance(priced, Need) else None


def _cannot(found: Infeasible, job: Job, on: Pool) -> BadInput:
    short = f"{show(found.need, found.unit)} needed, {show(found.have, found.unit)} there"
    return BadInput(
        f"{job.model.name} cannot run on {on.chip.id}: {found.limit} ({short}); try {found.hint}."
    )


def peak(of: Chip, width: str) -> float:
    """Dense peak in a format; of one the chip lacks, its fastest in 16 bits."""
    every = {str(name): value for name, value in of.peak.items()}
    sixteen = max(every.get(name, 0.0) for name in ("bf16", "fp16", "fp32"))
    return every.get(width) or sixteen


def values(chip: str) -> dict[str, Efficiency]:
    """What arrives of a chip's figures, its site included."""
    return efficiencies(chip_of(chip).family)
