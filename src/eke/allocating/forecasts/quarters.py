"""One quarter of a forecast: what is wanted and what there is, with its power and money."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eke.allocating.forecasts.cases import Array, Cases
from eke.allocating.forecasts.supply import Fleet, Stock, power_of, powered
from eke.allocating.forecasts.uses import Wired
from eke.catalog.chips import chip
from eke.errors import BadInput
from eke.physics.demand import equivalents
from eke.physics.energy import site_energy
from eke.types.forecast import QUARTER, Asked, Quarter, Standing
from eke.units import show

MOST = 1e15  # chips; beyond, a file is taken to be wrong


class World:
    """The question, wired: what every figure is worked out from."""

    def __init__(self, asked: Asked, fleet: Fleet, uses: Sequence[Wired], cases: Cases) -> None:
        self.asked, self.fleet, self.uses, self.cases = asked, fleet, tuple(uses), cases
        self.times = {use.name: use.described().chip_time for use in uses}


def wanted_in(world: World, index: int) -> dict[str, Array]:
    """Chips wanted by each use in a quarter, in every case. Raises BadInput for more than there
    can be."""
    cases, found = world.cases, {}
    with np.errstate(over="ignore"):
        for use in world.uses:
            chips = np.broadcast_to(use.chips(cases, index / 4), (cases.size,))
            if not np.all(chips < MOST):
                raise BadInput(
                    f"{world.asked.file}: {use.name} wants {show(float(np.max(chips)))} chips in "
                    f"{quarter_name(world.asked.start, index)}, which cannot be meant; look at its "
                    "growth, and at how wide its spans are."
                )
            found[use.name] = chips
    return found


def quarter_at(
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
    power = chips * power_of(fleet, asked.count_in, cases)
    energy = sum(_energy(world, use, mine[use.name]) for use in world.uses)
    price = f"{asked.count_in} price"
    before = sum(wanted[index - 1].values()) if index else _at_start(world, worth)
    bought = np.maximum(chips - before * (1 - _retired(world)), 0.0)
    span = cases.span
    return Quarter(
        name=quarter_name(asked.start, index),
        date=quarter_date(asked.start, index),
        chips=span(chips),
        middle=cases.median(chips),
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


def _energy(world: World, use: Wired, chips: Array) -> Array:
    """Energy of a use's chips in a quarter [J]: busy as long as its asks are."""
    cases = world.cases
    return site_energy(
        chips=chips,
        power=power_of(world.fleet, world.asked.count_in, cases),
        seconds=QUARTER,
        busy=use.busy,
        power_share=cases["power at work"],
        idle_share=cases["power waiting"],
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


def quarter_name(start: tuple[int, int], after: int) -> str:
    """The name of a quarter so many after the first: "2026 Q4"."""
    year, quarter = divmod(start[0] * 4 + start[1] + after, 4)
    return f"{year} Q{quarter + 1}"


def quarter_date(start: tuple[int, int], after: int) -> str:
    """The first day of a quarter, as an ISO date."""
    year, quarter = divmod(start[0] * 4 + start[1] + after, 4)
    return f"{year}-{3 * quarter + 1:02d}-01"
