"""Chips that stand, quarter by quarter and in every case: what ships, what retires, what wafers, a
budget and power allow."""

from __future__ import annotations

import numpy as np

from eke.allocating.forecasts.cases import Array, Cases, Uncertain, along, path_inputs
from eke.allocating.forecasts.plans import site_power
from eke.catalog.prices import price as price_of
from eke.errors import BadInput
from eke.physics.demand import fleet_stock, packaged_chips
from eke.types.forecast import QUARTER, Asked, Supply
from eke.types.need import Span
from eke.types.record import Record


class Fleet(Record):
    """The kinds of chips, with what a file leaves out put in. prices: None where nobody says.
    powers: of a chip at the meter, at most [W]."""

    supplies: tuple[Supply, ...]
    prices: dict[str, Span | None]
    powers: dict[str, float]


def fleet_of(asked: Asked) -> Fleet:
    """What a file says of its chips, and the catalogue where it says nothing."""
    kinds = dict.fromkeys([each.chip for each in asked.supplies] + [asked.count_in])
    said = {each.chip: each for each in asked.supplies}
    prices: dict[str, Span | None] = {}
    powers: dict[str, float] = {}
    for kind in kinds:
        own = said.get(kind)
        prices[kind] = (own.price if own is not None else None) or _listed(kind)
        powers[kind] = (own.power if own is not None else None) or site_power(kind)
    unpriced = [each.chip for each in asked.supplies if prices[each.chip] is None]
    if asked.budget is not None and unpriced:
        raise BadInput(
            f"caps.budget needs the price of every chip, and nobody has published that of "
            f"{unpriced[0]}; say supply.{unpriced[0]}.price."
        )
    return Fleet(supplies=asked.supplies, prices=prices, powers=powers)


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
    return found


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
    taken = sum(row.standing * fleet.powers[row.chip] for row in rows)
    return np.minimum(1.0, cases["power cap"] / np.maximum(taken, 1e-9))


def _first(column: Array) -> float:
    return float(np.atleast_1d(column)[0])
