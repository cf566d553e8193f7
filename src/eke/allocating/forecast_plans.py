"""Chip time by eke's own physics: what one ask, or one training run, takes of a kind of chip.

It is planned at a size that is quick to plan and scaled: more replicas answer more asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from eke.catalog.chips import chip as chip_of
from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import pool, resized
from eke.errors import BadInput
from eke.physics.layers import count_parameters
from eke.physics.scenarios import likely
from eke.planning import enough, plan
from eke.types.efficiency import Efficiency
from eke.types.fleet import Fleet
from eke.types.goal import Goal, Planned
from eke.types.job import Job, Serve, Train
from eke.types.model import Model
from eke.types.need import Infeasible, Need, Span
from eke.types.record import Record, replace
from eke.units import show
from eke.verbs import need

QUICK = 48  # chips about which a service that keeps promises is planned
RENT = 1 / 3600  # of a chip: any, since fewer chips are then cheaper [USD/s]
RUN = 1024  # chips on which a training run is planned, where it takes more


class Taken(Record):
    """What an ask, or a run, takes of a chip. chip_time: of all its chips, at full load [s].
    energy: at the meter of the site, at the load planned with [J].  plan: its layout in words."""

    chip_time: Span
    energy: Span | None
    plan: Need


def per_ask(job: Serve, chip: str, choices: tuple[tuple[str, Any], ...] = ()) -> Taken:
    """Of one ask of a service. job: its rate is not looked at. Raises BadInput where no number of
    such chips keeps the promises."""
    asked = replace(job, rate=1.0)
    return _once(("ask", asked, chip, choices), lambda: _per_ask(asked, chip, dict(choices)))


def per_run(model: Model, tokens: float, chip: str, chips: int = RUN) -> Taken:
    """Of one training run. chips: on which it is laid out, as far as that is quick to plan."""
    asked, on = Train(model=model, tokens=tokens), min(max(chips, 1), RUN)
    return _once(("run", asked, chip, on), lambda: _per_run(asked, chip, on))


def active(model: Model) -> float:
    """Parameters at work on a token."""
    return float(count_parameters(model).active)


_taken: dict[bytes, Taken] = {}  # answers so far: the same question is often asked again


def _once(question: tuple[Any, ...], answer: Callable[[], Taken]) -> Taken:
    key = msgspec.json.encode(question)
    if key not in _taken:
        _taken[key] = answer()
    return _taken[key]


def _per_ask(job: Serve, chip: str, decided: dict[str, Any]) -> Taken:
    """The layout of most throughput; where that misses a promise once it is as busy as one plans
    for, the one of fewest chips that keeps it."""
    base = Fleet(pools=(replace(pool(chip_of(chip), 1), rent=RENT, quoted=True),))
    most = Goal(least="cost_per_million_tokens_full")
    found = plan(job, enough(job, base, decided), most, choices=decided)
    full = _feasible(found, job, chip)
    rate = _rate(full).likely
    at_work = _at_work(replace(job, rate=job.utilisation * rate), full, base)
    if isinstance(at_work, Need):
        return _asked(at_work)
    wide = replace(job, rate=job.utilisation * rate * max(1.0, QUICK / full.chips.likely))
    found = plan(wide, enough(wide, base, decided), Goal(least="chips"), choices=decided)
    return _asked(_feasible(found, job, chip))


def _at_work(job: Serve, full: Need, base: Fleet) -> Need | Infeasible:
    """What that layout takes when it is as busy as one plans for."""
    chips = round(full.chips.likely)
    return need(job, full.plan, Fleet(pools=(resized(base.pools[0], chips),)))


def _rate(of: Need) -> Span:
    """Asks that all chips of a layout answer at most [1/s]."""
    return of.figures["rate_most"].span


def _asked(of: Need) -> Taken:
    chips, most = of.chips.likely, _rate(of)
    time = Span(low=chips / most.high, likely=chips / most.likely, high=chips / most.low)
    return Taken(chip_time=time, energy=of.energy, plan=of)


def _per_run(job: Train, chip: str, chips: int) -> Taken:
    base = resized(pool(chip_of(chip), 1), chips)
    found = plan(job, Fleet(pools=(base,)), Goal(least="time"))
    if isinstance(found, Infeasible) and chips < RUN:
        found = plan(job, Fleet(pools=(resized(base, RUN),)), Goal(least="time"))
    run = _feasible(found, job, chip)
    low, middle, high = (
        run.chips.likely * each for each in (run.time.low, run.time.likely, run.time.high)
    )
    return Taken(chip_time=Span(low=low, likely=middle, high=high), energy=run.energy, plan=run)


def _feasible(found: Planned | Infeasible, job: Job, chip: str) -> Need:
    if isinstance(found, Infeasible):
        short = f"{show(found.need, found.unit)} needed, {show(found.have, found.unit)} there"
        raise BadInput(
            f"{job.model.name} cannot run on {chip}: {found.limit} ({short}); try {found.hint}."
        )
    return found.need


def values(chip: str) -> dict[str, Efficiency]:
    """What arrives of a chip's figures, its site included."""
    kind = chip_of(chip)
    return efficiencies(kind.family)


def site_power(chip: str) -> float:
    """Power of a chip at work with its share of the server and the site, at most [W]."""
    kind, knobs = chip_of(chip), likely(values(chip))
    if kind.power is None:
        raise BadInput(f'nobody has published the power of {chip}; say it (power = "700 W").')
    return float(kind.power * knobs.server_power * knobs.pue)
