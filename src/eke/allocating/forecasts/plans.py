"""Chip time by eke's own physics: what one ask, or one training run, takes of a kind of chip.

It is planned at a size that is quick to plan and scaled: more replicas answer more asks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from eke.allocating.forecasts.cases import Array
from eke.catalog.chips import chip as chip_of
from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import pool, resized
from eke.errors import BadInput
from eke.physics.layers import count_parameters
from eke.physics.scenarios import likely
from eke.planning import enough, plan
from eke.types.chip import Chip
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
APART = 10.0  # at most between two lengths that are planned
SAME = 1.05  # lengths closer than that are one
LEAST = 0.05  # of the shortest time planned, below which none is read
MARGIN = 0.02  # of the cases on either side are not planned for, but read on
RUN = 1024  # chips on which a training run is planned, where it takes more


class Taken(Record):
    """What an ask, or a run, takes of a chip. chip_time: of all its chips, at full load [s].
    energy: at the meter of the site, at the load planned with [J].  need: the layout, priced."""

    chip_time: Span
    energy: Span | None
    need: Need


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
    return Taken(chip_time=time, energy=of.energy, need=of)


def _per_run(job: Train, chip: str, chips: int) -> Taken:
    base = resized(pool(chip_of(chip), 1), chips)
    found = plan(job, Fleet(pools=(base,)), Goal(least="time"))
    if isinstance(found, Infeasible) and chips < RUN:
        found = plan(job, Fleet(pools=(resized(base, RUN),)), Goal(least="time"))
    run = _feasible(found, job, chip)
    low, middle, high = (
        run.chips.likely * each for each in (run.time.low, run.time.likely, run.time.high)
    )
    return Taken(chip_time=Span(low=low, likely=middle, high=high), energy=run.energy, need=run)


def _feasible(found: Planned | Infeasible, job: Job, chip: str) -> Need:
    if isinstance(found, Infeasible):
        short = f"{show(found.need, found.unit)} needed, {show(found.have, found.unit)} there"
        raise BadInput(
            f"{job.model.name} cannot run on {chip}: {found.limit} ({short}); try {found.hint}."
        )
    return found.need


def peak(of: Chip, width: str) -> float:
    """Dense peak in a format; of one the chip lacks, its fastest in 16 bits."""
    every = {str(name): value for name, value in of.peak.items()}
    sixteen = max(every.get(name, 0.0) for name in ("bf16", "fp16", "fp32"))
    return every.get(width) or sixteen


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


class Curve(Record):
    """Chip times at lengths of prompts and answers. speed: the chip time's interval, over its
    likeliest."""

    prompts: tuple[float, ...]
    answers: tuple[float, ...]
    times: tuple[tuple[float, ...], ...]
    speed: Span

    def at(self, prompt: Array, answer: Array) -> Array:
        """The chip time at those lengths, in every case [s]."""
        times = np.array(self.times)
        i, u = _between(self.prompts, prompt)
        j, v = _between(self.answers, answer)
        above, beside = (
            np.minimum(i + 1, len(self.prompts) - 1),
            np.minimum(j + 1, times.shape[1] - 1),
        )
        low = times[i, j] * (1 - v) + times[i, beside] * v
        high = times[above, j] * (1 - v) + times[above, beside] * v
        return np.maximum(low * (1 - u) + high * u, LEAST * times.min())


def _between(nodes: tuple[float, ...], lengths: Array) -> tuple[Array, Array]:
    """Below which node a length stands, and how far towards the next."""
    at, line = np.asarray(lengths, dtype=float), np.array(nodes)
    if len(nodes) == 1:
        return np.zeros(at.shape, dtype=int), np.zeros(at.shape)
    index = np.clip(np.searchsorted(line, at, side="right") - 1, 0, len(nodes) - 2)
    return index, (at - line[index]) / (line[index + 1] - line[index])


def nodes(lengths: Array) -> tuple[float, ...]:
    """The lengths to plan for, out of all there will be."""
    low, high = np.quantile(lengths, (MARGIN, 1 - MARGIN))
    low, high = max(float(low), 1.0), max(float(high), 1.0)
    if high <= low * SAME:
        return (math.sqrt(low * high),)
    count = 1 + max(1, math.ceil(math.log(high / low) / math.log(APART) - 1e-9))
    return tuple(float(x) for x in np.geomspace(low, high, count))


def curve(prompts: Array, answers: Array, time: Callable[[float, float], Span]) -> Curve:
    """Plan at the lengths that span all of those. time: the chip time at two lengths."""
    rows, columns = nodes(prompts), nodes(answers)
    spans = [[time(prompt, answer) for answer in columns] for prompt in rows]
    middle = spans[len(rows) // 2][len(columns) // 2]
    return Curve(
        prompts=rows,
        answers=columns,
        times=tuple(tuple(span.likely for span in row) for row in spans),
        speed=Span(low=middle.low / middle.likely, likely=1.0, high=middle.high / middle.likely),
    )
