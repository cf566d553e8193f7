"""Chips that stand, quarter by quarter and in every case: what ships, what retires, what wafers, a
budget and power allow."""

from __future__ import annotations

import numpy as np

from eke.allocating.forecasts.cases import Array, Cases, Uncertain, along, path_inputs
from eke.allocating.forecasts.plans import values
from eke.catalog.chips import chip
from eke.catalog.prices import price as price_of
from eke.errors import BadInput
from eke.physics.demand import fleet_stock, packaged_chips
from eke.types.forecast import QUARTER, Asked, Supply
from eke.types.need import Span
from eke.types.record import Record


class Fleet(Record):
    """The kinds of chips, with what a file leaves out put in. prices: None where nobody says.
    powers: of a chip at most [W]; metered: kinds of which the file says it, at the meter of the
    site."""

    supplies: tuple[Supply, ...]
    prices: dict[str, Span | None]
    powers: dict[str, float]
    metered: frozenset[str]


def fleet_of(asked: Asked) -> Fleet:
    """What a file says of its chips, and the catalogue where it says nothing."""
    kinds = dict.fromkeys([each.chip for each in asked.supplies] + [asked.count_in])
    said = {each.chip: each for each in asked.supplies}
    prices = {kind: (said[kind].price if kind in said else None) or _listed(kind) for kind in kinds}
    metered = {kind: each.power for kind, each in said.items() if each.power is not None}
    powers = {kind: metered.get(kind) or _maximum(kind, asked.file) for kind in kinds}
    unpriced = [each.chip for each in asked.supplies if prices[each.chip] is None]
    if asked.budget is not None and unpriced:
        raise BadInput(
            f"{asked.file}: caps.budget needs the price of every chip, and nobody has published "
            f"that of {unpriced[0]}; say supply.{unpriced[0]}.price."
        )
    return Fleet(supplies=asked.supplies, prices=prices, powers=powers, metered=frozenset(metered))


def _maximum(kind: str, file: str) -> float:
    """Power of a chip alone [W]."""
    found = chip(kind).power
    if found is None:
        raise BadInput(
            f"{file}: nobody has published the power of {kind}; say supply.{kind}.power, such as "
            "power = '1.2 kW'."
        )
    return found


def power_of(fleet: Fleet, kind: str, cases: Cases) -> Array:
    """Power of a chip with its share of the server and the site, at most [W]."""
    own = fleet.powers[kind]
    return own if kind in fleet.metered else own * cases["server power"] * cases["PUE"]


def _listed(kind: str) -> Span | None:
    found = price_of(kind, "buy")
    return Span(low=found.value, likely=found.value, high=found.value) if found else None


def supply_inputs(asked: Asked, fleet: Fleet) -> dict[str, Uncertain]:
    """What is uncertain of the supply."""
    found: dict[str, Uncertain] = {}
    for each in fleet.supplies:
        name = each.chip
        found |= {
            f"{name} installed": Uncertain(span=each.installed),
            f"{name} retired": Uncertain(span=each.retire),
            f"{name} share": Uncertain(span=each.share),
        }
        if each.shipments is not None:
            found |= path_inputs(f"{name} shipments", each.shipments, "1/s")
        if each.wafers is not None and each.per_wafer is not None:
            found |= path_inputs(f"{name} wafers", each.wafers, "1/s")
            found[f"{name} chips of a wafer"] = Uncertain(span=each.per_wafer)
    for kind, price in fleet.prices.items():
        if price is not None:
            found[f"{kind} price"] = Uncertain(span=price, unit="USD")
    for name, cap, unit in (("power cap", asked.power, "W"), ("budget", asked.budget, "USD/s")):
        if cap is not None:
            found[name] = Uncertain(span=cap, unit=unit)
    found["electricity"] = Uncertain(span=asked.electricity, unit="USD/J")
    return found | _site_inputs(asked.count_in, fleet)


SITE = {  # what of a site is uncertain, and its name among the efficiencies
    "power at work": "power_share",
    "power waiting": "idle_power",
    "server power": "server_power",
    "PUE": "pue",
}


def _site_inputs(kind: str, fleet: Fleet) -> dict[str, Uncertain]:
    """What of the power of chips arrives at the meter, where the file does not say that."""
    of = values(kind)
    metered = fleet.metered >= fleet.powers.keys()
    return {
        name: Uncertain(span=Span(low=of[key].low, likely=of[key].likely, high=of[key].high))
        for name, key in SITE.items()
        if not (metered and name in ("server power", "PUE"))
    }


class Stock(Record):
    """A kind of chip in a quarter, in every case: what stands after it, and what it brought."""

    chip: str
    standing: Array
    shipped: Array
    retired: Array
    limited: str = ""


def stocks(asked: Asked, fleet: Fleet, cases: Cases) -> list[tuple[Stock, ...]]:
    """Every quarter's fleet. What stands is what stood, less what retired, and what shipped."""
    standing: dict[str, Array] = {
        each.chip: np.broadcast_to(cases[f"{each.chip} installed"], (cases.size,))
        for each in fleet.supplies
    }
    found = []
    for quarter in range(asked.quarters):
        planned = {each.chip: _shipped(each, quarter, cases) for each in fleet.supplies}
        allowed = _within_budget(asked, fleet, planned, cases)
        rows = []
        for each in fleet.supplies:
            kind = each.chip
            shipped, by_wafers = planned[kind]
            retired = 1 - (1 - cases[f"{kind} retired"]) ** 0.25
            after = fleet_stock(standing=standing[kind], retired=retired, shipped=shipped * allowed)
            limited = "wafers" if by_wafers else ""
            rows.append(
                Stock(
                    chip=kind,
                    standing=after,
                    shipped=shipped * allowed,
                    retired=standing[kind] * retired,
                    limited="budget" if _first(allowed) < 1 else limited,
                )
            )
            standing[kind] = after
        found.append(tuple(rows))
    return found


def _shipped(of: Supply, quarter: int, cases: Cases) -> tuple[Array, bool]:
    """Chips that come in a quarter, and whether wafers keep them below what was planned."""
    after = quarter - of.since
    ends = of.until is not None and quarter > of.until
    nothing = np.zeros(cases.size)
    if after < 0 or ends or (of.shipments is None and of.wafers is None):
        return nothing, False
    most = np.full(cases.size, np.inf)
    if of.wafers is not None:
        wafers = along(cases, f"{of.chip} wafers", of.wafers, after / 4) * QUARTER
        most = packaged_chips(
            wafers=wafers, per_wafer=cases[f"{of.chip} chips of a wafer"], yielded=1.0
        )
    if of.shipments is None:
        return most, False
    planned = along(cases, f"{of.chip} shipments", of.shipments, after / 4) * QUARTER
    return np.minimum(planned, most), bool(_first(most) < _first(planned))


def _within_budget(
    asked: Asked, fleet: Fleet, planned: dict[str, tuple[Array, bool]], cases: Cases
) -> Array:
    """The share of what could ship that the budget pays for."""
    if asked.budget is None:
        return np.ones(cases.size)
    spent = sum(shipped * cases[f"{kind} price"] for kind, (shipped, _) in planned.items())
    return np.minimum(1.0, cases["budget"] * QUARTER / np.maximum(spent, 1e-9))


def powered(asked: Asked, fleet: Fleet, rows: tuple[Stock, ...], cases: Cases) -> Array:
    """The share of what stands that there is power for."""
    if asked.power is None:
        return np.ones(cases.size)
    taken = sum(row.standing * power_of(fleet, row.chip, cases) for row in rows)
    return np.minimum(1.0, cases["power cap"] / np.maximum(taken, 1e-9))


def _first(column: Array) -> float:
    return float(np.atleast_1d(column)[0])
