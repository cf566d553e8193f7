"""Buy, rent or build: every way priced on the same workload, with its risk and what turns it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from eke.allocating.chips.answer import grounds_of, offer_of, remarks_of
from eke.allocating.chips.build_file import BuildFile
from eke.allocating.chips.inputs import (
    Inputs,
    Named,
    fixed,
    market_at,
    program_at,
    program_inputs,
    site_at,
    site_inputs,
)
from eke.allocating.chips.loads import job_words
from eke.allocating.chips.speed import (
    Load,
    efficiency_inputs,
    refuse_none,
    speed,
    tokens_of,
)
from eke.allocating.chips.ways import Known, named, pool_of, way_at, way_inputs
from eke.catalog.fleets import pool
from eke.catalog.nodes import YEAR
from eke.economics.choice import Bill, Demand, Scene
from eke.economics.laws import likely, point
from eke.economics.risk import Drawn, Staged, drawn, gain_of, likeliest, swings
from eke.economics.turning import SCALES, turning
from eke.errors import BadInput
from eke.physics.ownership import mean_maturity
from eke.types.chip import Chip
from eke.types.job import Serve
from eke.types.need import Infeasible
from eke.types.record import Record, replace
from eke.types.silicon import ChipChoice, Gain, Offer, Turning, Uncertain

Progress = Callable[[int, float], None]
SAMPLES = 20_000
SHOWN_SWINGS = 12


class Question(Record):
    """Which ways to compare. file: what one says, with a chip of one's own or without.  against:
    words such as "buy:h100-sxm".  volume: chips of one's own
    per year [1/s].  years: of production, or without a chip of one's own, of serving [s]."""

    loads: tuple[Load, ...]
    against: tuple[str, ...]
    file: BuildFile | None = None
    volume: float | None = None
    years: float | None = None
    samples: int = SAMPLES
    seed: int = 1

    @property
    def chip(self) -> Chip | None:
        """Of one's own."""
        return self.file.chip if self.file is not None else None

    @property
    def said(self) -> Mapping[str, Uncertain]:
        """Numbers that the file gives."""
        return self.file.said if self.file is not None else {}


def choose(question: Question, progress: Progress | None = None) -> ChipChoice | Infeasible:
    """What a useful token costs in every way, and whether to build. Raises EkeError."""
    refuse_none(question.loads)
    ways = _ways(question)
    known: list[Known] = []
    failed: dict[str, Infeasible] = {}
    for way in ways:
        found = _known(question, way, progress)
        if isinstance(found, Known):
            known.append(found)
        elif way.how == "build":
            return found
        else:
            failed[way.name] = found
    if len(known) <= _own(question):
        return next(iter(failed.values()))
    missing = [_cannot(way, failed[way.name]) for way in ways if way.name in failed]
    return _answer(question, known, missing)


def _own(question: Question) -> int:
    """Chips of one's own: none or one."""
    return int(question.chip is not None)


def _ways(question: Question) -> list[Named]:
    """The chip of one's own first, where there is one."""
    others = [named(text) for text in question.against]
    twice = [way.name for way in others]
    for name in twice:
        if twice.count(name) > 1:
            raise BadInput(f"{name} is given twice in --against; give it once.")
    if not others:
        raise BadInput("compared with what? Give --against, such as buy:h100-sxm,rent:h200.")
    if question.chip is None:
        return others
    own = question.chip.id
    return [Named(name=f"build:{own}", how="build", chip=own), *others]


def _known(question: Question, way: Named, progress: Progress | None) -> Known | Infeasible:
    chip, file = question.chip, question.file
    build = way.how == "build" and chip is not None and file is not None
    of = pool(chip, 1) if build and chip is not None else pool_of(way)
    if of.chip.power is None and build and file is not None:
        raise BadInput(f"{file.path}: nothing says the power of the chip; give chip.power.maximum.")
    found = speed(question.loads, of, chip is None, progress)
    if isinstance(found, Infeasible):
        return found
    if not build or file is None:
        return Known(named=way, pool=of, speed=found)
    return Known(named=way, pool=of, speed=found, said=file.said, process=file.node)


def _cannot(way: Named, found: Infeasible) -> Offer:
    why = f"{found.limit} is short by {found.by:.3g} {found.unit}: {found.hint}"
    return Offer(name=way.name, how=way.how, chip=way.chip, why_not=why)


def _answer(question: Question, known: list[Known], missing: list[Offer]) -> ChipChoice:
    inputs = _inputs(question, known)
    staged = _staged(question, known, inputs)
    every, served = likeliest(inputs, staged)
    cases = drawn(inputs, staged, question.samples, question.seed)
    offers = [
        offer_of(each, bill, served, cost)
        for each, bill, cost in zip(known, every, cases.costs, strict=True)
    ]
    build = question.chip is not None
    best = int(np.argmin([bill.total for bill in every[1:]])) if build else 0
    return ChipChoice(
        job=job_words(question.loads),
        offers=(*sorted(offers, key=lambda o: o.cost.likely if o.cost else 0.0), *missing),
        gains=_gains(inputs, staged, every, cases) if build else (),
        swings=swings(inputs, staged, best)[:SHOWN_SWINGS] if build else (),
        turnings=_turnings(inputs, staged, best, known[1 + best]) if build else (),
        volume=likely(inputs["volume"].law) if build else None,
        years=_years(question, inputs),
        tokens=_tokens(staged(point(inputs))),
        samples=question.samples,
        seed=question.seed,
        grounds=grounds_of(inputs, known),
        remarks=remarks_of(question.loads, build, known),
    )


def _inputs(question: Question, known: Sequence[Known]) -> Inputs:
    file, chip = question.file, question.chip
    found = site_inputs(question.said)
    for each in known:
        found |= way_inputs(each)
    if file is not None and chip is not None:
        found |= program_inputs(file.said, file.node, chip)
        volume = question.volume or file.volume
        if volume is None:
            raise BadInput(
                f"how many chips a year? Give --volume 200k/yr, or build.volume in {file.path}."
            )
        found["volume"] = fixed("volume", volume, "1/s", None)
        found["own_speed"] = fixed("own_speed", 1.0, "1", None)
    return found | efficiency_inputs([each.speed for each in known])


def _years(question: Question, inputs: Inputs) -> float:
    """Of production of one's own chips, else of serving [s]."""
    said = question.years or (question.file.years if question.file is not None else None)
    if said is not None:
        return said
    return 4 * YEAR if question.chip is not None else likely(inputs["life"].law)


def _staged(question: Question, known: Sequence[Known], inputs: Inputs) -> Staged:
    """The scene where the inputs have some values, or for arrays of cases."""
    usual = point(inputs)
    years = _years(question, inputs)
    planned = known[0].speed.tokens * usual["load"]
    rates: tuple[Any, ...] = (1.0,)
    if question.chip is None:
        rates = (_asked(question.loads) * usual["load"],)
    due = tuple(index * YEAR for index in range(max(1, round(years / YEAR))))
    if question.chip is not None:
        rates = tuple(planned * _maturity(usual, start, usual["life"]) for start in due)

    def staged(values: Mapping[str, Any]) -> Scene:
        if question.chip is None:
            length = years * np.ones_like(values["life"])
            demand = Demand(due=(0.0,), rates=rates, length=length)
            ways = tuple(way_at(each, values) for each in known)
            return Scene(
                site=site_at(values),
                market=market_at(values),
                demand=demand,
                volume=1.0,
                against=ways,
            )
        first, *others = (way_at(each, values) for each in known)
        ramped = (rates[0] * values["ramp"], *rates[1:])
        return Scene(
            site=site_at(values),
            market=market_at(values),
            demand=Demand(due=due, rates=ramped, length=values["life"]),
            volume=values["volume"] * YEAR,
            against=tuple(others),
            build=replace(first, speed=first.speed * values["own_speed"]),
            program=program_at(values),
        )

    return staged


def _asked(loads: Sequence[Load]) -> float:
    """Useful tokens per second at the peak, where chips are whole."""
    job = loads[0].job
    if len(loads) > 1 or not isinstance(job, Serve):
        raise BadInput(
            "a mix of workloads has no rate; it goes with --build, where the volume of chips says "
            "how many tokens there are."
        )
    return job.rate * tokens_of(job)


def _maturity(usual: Mapping[str, float], start: float, length: float) -> float:
    """Share of the speed that software is planned to reach while a cohort is served."""
    return float(
        mean_maturity(
            first=min(usual["software_start"], usual["software"]),
            mature=usual["software"],
            pace=usual["software_time"],
            start=start,
            stop=start + length,
        )
    )


def _tokens(scene: Scene) -> float:
    """Per second in full swing: of all cohorts that are served at once [1/s]."""
    demand, length = scene.demand, float(np.mean(scene.demand.length))
    volume = float(np.mean(scene.volume))
    return max(
        volume
        * sum(
            float(np.mean(rate))
            for due, rate in zip(demand.due, demand.rates, strict=True)
            if due <= at < due + length
        )
        for at in demand.due
    )


def _gains(
    inputs: Inputs, staged: Staged, every: tuple[Bill, ...], cases: Drawn
) -> tuple[Gain, ...]:
    """Against each of the others, and against whichever of them is cheapest in each case."""
    build, *others = cases.totals
    rows = []
    for index, other in enumerate(others):
        saved = float(every[1 + index].total - every[0].total)
        found = _break_even(inputs, staged, index)
        rows.append(gain_of(other - build, saved, every[1 + index].name, found))
    if len(others) > 1:
        least = np.min(np.array(others), axis=0)
        saved = float(min(bill.total for bill in every[1:]) - every[0].total)
        rows.append(gain_of(least - build, saved, "the cheapest of them", None))
    return tuple(rows)


def _break_even(inputs: Inputs, staged: Staged, against: int) -> float | None:
    """Chips a year from which building pays off."""
    now = likely(inputs["volume"].law)
    found = turning(inputs, staged, "volume", against, (now / SCALES, now * SCALES))
    return found.at if found is not None and found.above else None


def _turnings(inputs: Inputs, staged: Staged, best: int, other: Known) -> tuple[Turning, ...]:
    """What would have to be true, one thing at a time."""
    spans = {
        "volume": (1 / SCALES, SCALES),
        "software": (0.02, 1.0),
        "own_speed": (0.05, 20.0),
        "delay": (0.0, 10 * YEAR),
        "nre": (1 / SCALES, SCALES),
        f"price{other.suffix}": (0.02, 50.0),
        "price_trend": (0.0, 1 / YEAR),
        "load": (0.05, 1.0),
        "memory_price": (0.02, 50.0),
        "discount": (0.0, 0.5 / YEAR),
    }
    scaled = ("volume", "nre", "memory_price", f"price{other.suffix}")
    found = []
    for name, (low, high) in spans.items():
        if name in inputs:
            now = likely(inputs[name].law) if name in scaled else 1.0
            one = turning(inputs, staged, name, best, (low * now, high * now)) if now else None
            found += [one] if one is not None else []
    return tuple(found)
