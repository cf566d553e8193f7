"""The verb: demand for chips against supply, quarter by quarter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from eke.allocating.forecast_cases import Array, Cases, Uncertain
from eke.allocating.forecast_grounds import grounds, remarks
from eke.allocating.forecast_held import held
from eke.allocating.forecast_plans import values
from eke.allocating.forecast_quarters import quarter_date, quarter_name
from eke.allocating.forecast_same import eke_chain
from eke.allocating.forecast_supply import (
    Fleet,
    Stock,
    fleet_of,
    powered,
    stocks,
    supply_inputs,
)
from eke.allocating.forecast_uses import Inference, Runs, Taken
from eke.catalog.chips import chip
from eke.catalog.forecasts import published
from eke.economics.forecast_chain import solved
from eke.economics.forecast_compare import difference
from eke.physics.demand import equivalents
from eke.physics.energy import site_energy
from eke.physics.scenarios import likely
from eke.types.forecast import (
    QUARTER,
    Asked,
    Beside,
    Forecast,
    Moves,
    Quarter,
    Standing,
)

Told = Callable[[int, int, str], None]  # plans made so far, how many there may be, what is next
COMPARED = ("chips", "cost_per_ask", "energy_per_ask")  # with the forecast a demand is taken from


def forecast(asked: Asked, told: Told | None = None) -> Forecast:
    """Chips, power and money wanted in every quarter, beside what there is. Raises EkeError where
    a model cannot run on the chips it is counted in."""
    uses = _wired(asked, told)
    fleet = fleet_of(asked)
    inputs: dict[str, Uncertain] = {}
    for use in uses:
        inputs |= use.inputs()
    cases = Cases(inputs | supply_inputs(asked, fleet), asked.samples, asked.seed)
    world = World(asked=asked, fleet=fleet, uses=uses, cases=cases)
    rows = stocks(asked, fleet, cases)
    wanted = [_wanted(world, index) for index in range(asked.quarters)]
    quarters = tuple(_quarter(world, index, wanted, rows) for index in range(asked.quarters))
    last = sum(wanted[-1].values())
    shares, together = cases.shares(last)
    return Forecast(
        name=asked.name,
        count_in=asked.count_in,
        quarters=quarters,
        first_short=_first_short(quarters),
        uses=tuple(use.described() for use in uses),
        matters=_moves(cases, last, shares),
        together=together,
        held=held(quarters),
        beside=tuple(each for use in asked.demands if use.like for each in _beside(use.like)),
        grounds=grounds(asked, fleet, uses, inputs),
        remarks=remarks(asked, uses),
        seed=asked.seed,
        samples=asked.samples,
    )


class World:
    """The question, wired: what every figure is worked out from."""

    def __init__(self, asked: Asked, fleet: Fleet, uses: Sequence[Taken], cases: Cases) -> None:
        self.asked, self.fleet, self.uses, self.cases = asked, fleet, tuple(uses), cases
        self.times = {use.name: use.described().chip_time for use in uses}


def _wired(asked: Asked, told: Told | None) -> list[Taken]:
    """Every use, planned on every kind of chip."""
    others = tuple(each.chip for each in asked.supplies if each.chip != asked.count_in)
    most = (len(asked.demands) + len(asked.trainings)) * (2 + len(others))
    made = 0

    def tell(words: str) -> None:
        nonlocal made
        if told is not None:
            told(min(made, most - 1), most, words)
        made += 1

    years = (asked.quarters - 1) / 4
    serving = [Inference(each, asked.count_in, others, years, tell) for each in asked.demands]
    return [*serving, *(Runs(each, asked.count_in, others, tell) for each in asked.trainings)]


def _wanted(world: World, index: int) -> dict[str, Array]:
    """Chips wanted by each use in a quarter, in every case."""
    cases = world.cases
    return {
        use.name: np.broadcast_to(use.chips(cases, index / 4), (cases.size,)) for use in world.uses
    }


def _quarter(
    world: World,
    index: int,
    wanted: Sequence[dict[str, Array]],
    rows: Sequence[tuple[Stock, ...]],
) -> Quarter:
    asked, cases, fleet = world.asked, world.cases, world.fleet
    mine, chips = wanted[index], sum(wanted[index].values())
    worth = {row.chip: _worth(world, mine, row.chip) for row in rows[index]}
    power_share = powered(asked, fleet, rows[index], cases)
    there = _there(world, rows[index], worth, power_share)
    h100 = _h100(asked.count_in)
    power = chips * fleet.powers[asked.count_in]
    energy = sum(_energy(world, use, mine[use.name]) for use in world.uses)
    price = f"{asked.count_in} price"
    before = sum(wanted[index - 1].values()) if index else _at_start(world, worth)
    bought = np.maximum(chips - before * (1 - _retired(world)), 0.0)
    span = cases.span
    return Quarter(
        name=quarter_name(asked.start, index),
        date=quarter_date(asked.start, index),
        chips=span(chips),
        supply=span(there) if fleet.supplies else None,
        gap=span(chips - there) if fleet.supplies else None,
        short=float(np.mean(cases.drawn(chips > there))) if fleet.supplies else None,
        h100=span(chips * h100),
        h100_supply=span(_h100_there(rows[index], cases)) if fleet.supplies else None,
        power=span(power),
        energy=span(energy),
        capex=span(chips * cases[price]) if price in cases else None,
        buying=span(bought * cases[price]) if price in cases else None,
        running=span(energy * cases["electricity"]),
        tokens=span(sum(use.tokens(cases, index / 4) for use in world.uses)),
        asks=span(sum(use.asks(cases, index / 4) for use in world.uses)),
        uses={name: span(column) for name, column in mine.items()},
        standing=tuple(_standing(row, worth[row.chip]) for row in rows[index]),
        limited=_limited(rows[index], power_share),
    )


def _worth(world: World, wanted: dict[str, Array], kind: str) -> float:
    """Chips counted in that one of a kind stands for, if every use had its part of it: by the chip
    times that eke finds. Uses that cannot run there are left to the other kinds."""
    parts = []
    for name, times in world.times.items():
        here, there = times[world.asked.count_in], times[kind]
        if here is not None and there is not None:
            parts.append((float(wanted[name][0]), there.likely / here.likely))
    whole = sum(part for part, _ in parts)
    return whole / sum(part * ratio for part, ratio in parts) if whole > 0 else 0.0


def _there(
    world: World, rows: Sequence[Stock], worth: dict[str, float], power_share: Array
) -> Array:
    """What stands for these uses and has power, in chips counted in."""
    cases = world.cases
    there = np.zeros(cases.size)
    for row in rows:
        there = there + row.standing * cases[f"{row.chip} share"] * worth[row.chip]
    return there * power_share


def _at_start(world: World, worth: dict[str, float]) -> Array:
    """What stood for these uses before the first quarter."""
    cases = world.cases
    before = np.zeros(cases.size)
    for each in world.fleet.supplies:
        mine = cases[f"{each.chip} installed"] * cases[f"{each.chip} share"]
        before = before + mine * worth[each.chip]
    return before


def _retired(world: World) -> Array:
    """Share of the chips counted in that is taken out in a quarter."""
    name = f"{world.asked.count_in} retired"
    cases = world.cases
    return 1 - (1 - cases[name]) ** 0.25 if name in cases else 0.0


def _energy(world: World, use: Taken, chips: Array) -> Array:
    """Energy of a use's chips in a quarter [J]: busy as long as its asks are."""
    kind = world.asked.count_in
    knobs = likely(values(kind))
    return site_energy(
        chips=chips,
        power=world.fleet.powers[kind],
        seconds=QUARTER,
        busy=use.busy,
        power_share=knobs.power_share,
        idle_share=knobs.idle_power,
        server_power=1.0,
        pue=1.0,
    )


def eight_bit(kind: str) -> float:
    """Dense peak in 8 bits, or in 16 where a chip has none [FLOP/s]."""
    peaks = {str(name): value for name, value in chip(kind).peak.items()}
    narrow = [peaks[name] for name in ("fp8", "int8") if name in peaks]
    return max(narrow or [peaks.get("bf16") or peaks.get("fp16") or max(peaks.values())])


def _h100(kind: str) -> float:
    found = equivalents(chips=1.0, peak=eight_bit(kind), reference=eight_bit("h100-sxm"))
    return float(found)


def _h100_there(rows: Sequence[Stock], cases: Cases) -> Array:
    return sum((row.standing * _h100(row.chip) for row in rows), np.zeros(cases.size))


def _standing(row: Stock, worth: float) -> Standing:
    first = [float(each[0]) for each in (row.standing, row.shipped, row.retired)]
    return Standing(
        chip=row.chip,
        standing=first[0],
        shipped=first[1],
        retired=first[2],
        worth=worth,
        limited=row.limited,
    )


def _limited(rows: Sequence[Stock], power_share: Array) -> str:
    """What keeps the supply down, likeliest."""
    if power_share[0] < 1:
        return "power"
    return next((row.limited for row in rows if row.limited), "")


def _first_short(quarters: Sequence[Quarter]) -> str:
    """The first quarter from which on more is wanted than there is."""
    first = ""
    for quarter in reversed(quarters):
        if quarter.gap is None or quarter.gap.likely <= 0:
            break
        first = quarter.name
    return first


def _moves(cases: Cases, column: Array, shares: dict[str, float]) -> tuple[Moves, ...]:
    """What moves the chips of the last quarter, most first."""
    found = []
    for name in cases.names:
        low, high = cases.ends(column, name)
        if low != high:
            each = cases.inputs[name]
            found.append(
                Moves(
                    name=name,
                    span=each.span,
                    unit=f"{each.unit}/yr" if each.growth else each.unit,
                    low=low,
                    high=high,
                    share=shares.get(name, 0.0),
                )
            )
    return tuple(sorted(found, key=lambda each: -abs(np.log(each.high / each.low))))


def _beside(like: str) -> list[Beside]:
    """The published forecast a demand was taken from, beside eke's answer to its question."""
    of = published(like)
    theirs = solved(of)
    mine = eke_chain(of, theirs)
    shared = [name for name in COMPARED if name in theirs.known and name in mine.known]
    return [
        Beside(
            like=like,
            who=of.who,
            quantity=name,
            theirs=theirs.known[name].value.likely,
            own=mine.known[name].value,
            difference=difference(name, mine, theirs),
        )
        for name in shared
    ]
