"""Uncertain numbers of a chip and its site, as people call and read them."""

from __future__ import annotations

from collections.abc import Callable

from eke.catalog.nodes import YEAR, shown
from eke.report.words import label
from eke.units import show

NAMES = {
    "area": "area of the die",
    "building": "building",
    "building_life": "life of the building",
    "defects": "defects of the mature process",
    "defects_start": "defects of the new process",
    "defects_time": "time in which defects fall",
    "delay": "delay",
    "development": "time to the first chips",
    "discount": "interest",
    "energy_trend": "power of others falls by",
    "failures": "chips that fail",
    "joint": "where two dies join",
    "latency": "latency of memory",
    "learning": "cost after twice as many chips",
    "life": "life of a chip",
    "load": "mean load over peak",
    "masks": "set of masks",
    "memory_price": "price of memory",
    "nre": "cost of the design",
    "own_speed": "speed over what eke predicts",
    "bond_yield": "yield of a bond",
    "price_trend": "prices of others fall by",
    "pue": "PUE",
    "ramp": "share of the volume in the first year",
    "repairable": "share of the die with spares",
    "residual": "what a chip is worth at its end",
    "respin_time": "delay by a respin",
    "respins": "respins",
    "rest_power": "power of the rest of the die",
    "serdes": "area of links",
    "serdes_power": "power of links",
    "server": "board, host and network",
    "server_power": "power of servers over chips",
    "software": "speed that software reaches",
    "software_start": "speed that software reaches at first",
    "software_team": "software team",
    "software_time": "time in which software matures",
    "spares": "chips that stand by",
    "staff": "staff for a chip",
    "voltage": "voltage at no clock over that at the full one",
    "volume": "volume",
    "wafer_package": "package of a wafer",
    "wafer_price": "price of a wafer",
    "idle_power": "power waiting over at work",
}
FACTORS = ("respins", "clusters", "dies", "stacks", "pue", "server_power")  # plain, no shares


def input_words(name: str) -> str:
    """An input as people call it: "defects of buy:h100-sxm" is what of whom."""
    own, of, whose = name.partition(" of ")
    if own == "price":
        return name
    words = NAMES.get(own) or label(own).replace("_", " ")
    return f"{words} ({whose})" if of else words


def input_value(value: float, name: str, unit: str) -> str:
    """A value of an input as people read it."""
    own = name.partition(" of ")[0]
    if own in _OWN_WORDS:
        return _OWN_WORDS[own](value)
    if own in FACTORS:
        return f"{value:.3g}"
    if own == "price" and unit == "USD/s":
        return f"{value * 3600:.3g} USD/h"
    return _UNIT_WORDS[unit](value) if unit in _UNIT_WORDS else shown(value, unit)


def per_year(rate: float) -> str:
    """A number of chips in a year, in three digits."""
    return f"{show(float(f'{rate * YEAR:.3g}'), '1')} chips/yr"


def _years(seconds: float) -> str:
    words = f"{seconds / YEAR:.2g}"
    return f"{words} year{'' if words == '1' else 's'}"


_OWN_WORDS: dict[str, Callable[[float], str]] = {
    "volume": per_year,
    "own_speed": lambda x: f"×{x:.3g}",
}
_UNIT_WORDS: dict[str, Callable[[float], str]] = {
    "sd": lambda x: "low" if x < 0 else "high",
    "1": lambda x: f"{100 * x:.3g} %",
    "s": _years,
    "1/s": lambda x: f"{100 * x * YEAR:.3g} %/yr",
}
