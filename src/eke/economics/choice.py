"""Buy, rent or build: what serving the same tokens costs in each way, as today's worth.

Tokens come due in cohorts: each is a year's volume of one's own chips, as planned, and is served
for the life of a chip. Every way serves the same cohorts. What is bought is bought when a cohort
comes due, at the price the same performance then has; rents fall meanwhile too. Own chips come
after development; as long as they are late, the cheapest of the others stands in. Money later is
worth less. All numbers may be arrays of cases.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from eke.economics.owning import Site, capital, housing, server
from eke.economics.unit_cost import Making, unit_parts
from eke.physics.ownership import discounted_time, mean_maturity, price_fall
from eke.types.record import Record

YEAR = 365.25 * 86400.0
MATURE = 1e12  # age of a production that has learnt all there is [s]
MOMENT = 1.0  # shortest use that is priced [s]


class Program(Record):
    """Designing a chip of one's own; see catalog/nodes.py for each."""

    nre: Any
    masks: Any
    respins: Any
    respin_time: Any
    development: Any
    delay: Any
    software: Any
    software_start: Any
    software_time: Any
    software_team: Any


class Market(Record):
    """How what others sell gets better: rates at which price and energy of a token fall [1/s]."""

    price_trend: Any
    energy_trend: Any


class Way(Record):
    """One way to have chips. speed: useful tokens per second at the peak [1/s].  power: maximum of
    a chip [W].  price: of a chip [USD], or its rent [USD/s].  making: of chips that are made."""

    name: str
    how: Literal["build", "buy", "rent", "own"]
    speed: Any
    power: Any
    price: Any = 0.0
    making: Making | None = None


class Demand(Record):
    """Cohorts of tokens. due: after the first chips are planned [s].  rates: of each, per chip of
    the volume where there is one [1/s].  length: for which a cohort is served [s]."""

    due: tuple[float, ...]
    rates: tuple[float, ...]
    length: Any


class Scene(Record):
    """All that a choice rests on. volume: chips planned per year [1], or 1 where the demand is
    given as tokens."""

    site: Site
    market: Market
    demand: Demand
    volume: Any
    against: tuple[Way, ...]
    build: Way | None = None
    program: Program | None = None


class Bill(Record):
    """What one way costs: parts and their sum as today's worth [USD]; chips in place at most; what
    one chip costs to make, by part [USD]."""

    name: str
    parts: dict[str, Any]
    chips: Any
    unit: dict[str, Any] = {}

    @property
    def total(self) -> Any:
        """Of all parts."""
        return sum(self.parts.values())


def bills(scene: Scene) -> tuple[Bill, ...]:
    """Of building, where that is asked for, and of every other way."""
    others = tuple(_bill(scene, way) for way in scene.against)
    if scene.build is None or scene.program is None:
        return others
    return (_built(scene, scene.build, scene.program), *others)


def tokens(scene: Scene) -> Any:
    """Useful tokens that are served, discounted as money is."""
    total: Any = 0.0
    for due, rate in _cohorts(scene):
        total = total + rate * discounted_time(
            start=due, stop=due + scene.demand.length, rate=scene.site.discount
        )
    return total


def gain(scene: Scene, against: int) -> Any:
    """What building saves against one of the others, as today's worth [USD]."""
    build, *others = bills(scene)
    return others[against].total - build.total


def _cohorts(scene: Scene) -> list[tuple[Any, Any]]:
    """When each comes due from now [s], and its tokens per second."""
    first = scene.program.development if scene.program is not None else 0.0
    demand = scene.demand
    return [
        (first + due, rate * scene.volume)
        for due, rate in zip(demand.due, demand.rates, strict=True)
    ]


def _bill(scene: Scene, way: Way) -> Bill:
    parts: dict[str, Any] = {}
    chips: Any = 0.0
    for due, rate in _cohorts(scene):
        number = _chips(scene.site, way, rate)
        stop = due + scene.demand.length
        _add(parts, _served(scene, way, number, due, stop))
        chips = chips + number
    unit = unit_parts(way.making, MATURE, 1e5) if way.making is not None else {}
    return Bill(name=way.name, parts=parts, chips=chips, unit=unit)


def _chips(site: Site, way: Way, rate: Any) -> Any:
    spare = 1.0 if way.how == "rent" else 1 + site.spares
    return rate / (way.speed * site.load) * spare


def _served(scene: Scene, way: Way, number: Any, start: Any, stop: Any) -> dict[str, Any]:
    """Today's worth of that many chips from start to stop, by part [USD]."""
    site, market = scene.site, scene.market
    if way.how == "rent":
        rate = site.discount + market.price_trend
        worth = discounted_time(start=start, stop=stop, rate=rate)
        return {"rent": number * way.price * worth}
    held = number * discounted_time(start=start, stop=stop, rate=site.discount)
    if way.making is not None:  # a design that stays as it is
        price = unit_parts(way.making, MATURE, 1e5)
        return _scaled({**capital(site, price), **_around(site, way.power)}, held)
    cheaper = price_fall(seconds=start, trend=market.price_trend)
    frugal = price_fall(seconds=start, trend=market.energy_trend)
    return {
        **_scaled(capital(site, {"chips": way.price}), held * cheaper),
        **_scaled(_around(site, way.power), held * frugal),  # all of it goes with power
    }


def _around(site: Site, power: Any) -> dict[str, Any]:
    return {"server": server(site, power), **housing(site, power)}


def _built(scene: Scene, way: Way, program: Program) -> Bill:
    """Own chips: design, software, the chips of each cohort, and what stands in for late ones."""
    site, length = scene.site, scene.demand.length
    late = program.delay + program.respins * program.respin_time
    ready = program.development + late
    parts = _fixed(scene, program)
    made: Any = 0.0
    chips: Any = 0.0
    for due, rate in _cohorts(scene):
        stop = due + length
        start = np.minimum(np.maximum(due, ready), stop - MOMENT)
        mature = mean_maturity(
            first=np.minimum(program.software_start, program.software),
            mature=program.software,
            pace=program.software_time,
            start=np.maximum(start - ready, 0.0),
            stop=np.maximum(stop - ready, MOMENT),
        )
        number = _chips(site, way, rate) / mature
        made = made + number
        assert way.making is not None
        unit = unit_parts(way.making, np.maximum(start - ready, 0.0), made)
        held = number * discounted_time(start=start, stop=stop, rate=site.discount)
        _add(parts, _scaled({**capital(site, unit), **_around(site, way.power)}, held))
        parts["waiting"] = parts["waiting"] + _waiting(scene, rate, due, start)
        chips = chips + number
    return Bill(name=way.name, parts=parts, chips=chips, unit=unit)


def _fixed(scene: Scene, program: Program) -> dict[str, Any]:
    """Design over the development, respins at its end, and the software team all along."""
    rate, ready = scene.site.discount, program.development
    until = ready + scene.demand.due[-1] + scene.demand.length
    spent = discounted_time(start=0.0, stop=ready, rate=rate) / np.maximum(ready, MOMENT)
    nre = program.nre * np.where(np.asarray(ready) < MOMENT, 1.0, spent)
    respins = program.respins * program.masks * price_fall(seconds=ready, trend=rate)
    team = program.software_team * discounted_time(start=0.0, stop=until, rate=rate)
    return {"design": nre + respins, "software": team, "waiting": 0.0}


def _waiting(scene: Scene, rate: Any, start: Any, stop: Any) -> Any:
    """What stands in for late chips: the cheapest of the others, bought chips being sold on for
    what is not written off [USD]."""
    least: Any = None
    for way in scene.against:
        number = _chips(scene.site, way, rate)
        cost = sum(_served(scene, way, number, start, stop).values())
        least = cost if least is None else np.minimum(least, cost)
    return 0.0 if least is None else least


def _scaled(parts: dict[str, Any], by: Any) -> dict[str, Any]:
    return {name: part * by for name, part in parts.items()}


def _add(to: dict[str, Any], parts: dict[str, Any]) -> None:
    for name, part in parts.items():
        to[name] = to.get(name, 0.0) + part
