"""Text ↔ SI: ``"4.8 TB/s"`` ↔ ``4.8e12``. Inside eke every number is in base units.

Base units: s, B (byte), FLOP, token, USD, W, J, kg, m, m2, and 1 for plain numbers. Decimal
prefixes (k M G T P E) and binary prefixes (Ki Mi Gi Ti Pi) differ; ``b`` is a bit, ``B`` a byte.
A bare ``K``, ``M``, ``B``, ``T`` after a number is a count (``"300B"`` tokens) where one is wanted.
"""

from __future__ import annotations

import math
import re

from eke.errors import BadQuantity, closest

_DECIMAL = {"": 1.0, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "k": 1e3, "K": 1e3}
_DECIMAL |= {"M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "Z": 1e21, "Y": 1e24}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}
_COUNT = {"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "bn": 1e9, "G": 1e9, "T": 1e12}
_COUNT |= {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_SPACED = {f"{word} ": factor for word, factor in _COUNT.items()}  # "15T tokens"

# symbol: (base unit, factor, which prefixes it takes)
_BIG = {p: f for p, f in _DECIMAL.items() if f >= 1}
_SMALL = {p: f for p, f in _DECIMAL.items() if f <= 1 or p in "kMGTPE"}
_UNITS: dict[str, tuple[str, float, dict[str, float]]] = {
    "B": ("B", 1.0, _BIG | _BINARY),
    "byte": ("B", 1.0, _BIG),
    "bytes": ("B", 1.0, _BIG),
    "b": ("B", 0.125, _BIG | _BINARY),
    "bit": ("B", 0.125, _BIG | _BINARY),
    "FLOP": ("FLOP", 1.0, _BIG),
    "FLOPs": ("FLOP", 1.0, _BIG),
    "OP": ("FLOP", 1.0, _BIG),
    "token": ("token", 1.0, _BIG | _COUNT | _SPACED),
    "tokens": ("token", 1.0, _BIG | _COUNT | _SPACED),
    "tok": ("token", 1.0, _BIG | _COUNT | _SPACED),
    "USD": ("USD", 1.0, _BIG | {"bn": 1e9, "B": 1e9, "m": 1e6}),
    "$": ("USD", 1.0, _BIG | {"B": 1e9}),
    "cent": ("USD", 0.01, {"": 1.0}),
    "cents": ("USD", 0.01, {"": 1.0}),
    "W": ("W", 1.0, _SMALL),
    "J": ("J", 1.0, _SMALL),
    "Wh": ("J", 3600.0, _SMALL),
    "s": ("s", 1.0, {p: f for p, f in _DECIMAL.items() if f <= 1}),
    "sec": ("s", 1.0, {"": 1.0}),
    "min": ("s", 60.0, {"": 1.0}),
    "h": ("s", 3600.0, {"": 1.0}),
    "hour": ("s", 3600.0, {"": 1.0}),
    "hours": ("s", 3600.0, {"": 1.0}),
    "d": ("s", 86400.0, {"": 1.0}),
    "day": ("s", 86400.0, {"": 1.0}),
    "days": ("s", 86400.0, {"": 1.0}),
    "week": ("s", 7 * 86400.0, {"": 1.0}),
    "weeks": ("s", 7 * 86400.0, {"": 1.0}),
    "month": ("s", 365.25 * 86400.0 / 12, {"": 1.0}),
    "months": ("s", 365.25 * 86400.0 / 12, {"": 1.0}),
    "yr": ("s", 365.25 * 86400.0, {"": 1.0}),
    "year": ("s", 365.25 * 86400.0, {"": 1.0}),
    "years": ("s", 365.25 * 86400.0, {"": 1.0}),
    "m": ("m", 1.0, {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "c": 1e-2, "": 1.0, "k": 1e3}),
    "m2": ("m2", 1.0, {"m": 1e-6, "c": 1e-4, "": 1.0}),
    "Hz": ("1/s", 1.0, _BIG),
    "g": ("kg", 1e-3, {"": 1.0, "m": 1e-3, "k": 1e3}),
    "t": ("kg", 1e3, {"": 1.0, "k": 1e3, "M": 1e6}),
    "%": ("1", 0.01, {"": 1.0}),
    "1": ("1", 1.0, {"": 1.0}),
}
_PAST_YEAR_NAMES = {"TFLOPS": "TFLOP/s", "TOPS": "TFLOP/s", "PFLOPS": "PFLOP/s"}
_NAMES: dict[str, tuple[str, float]] = {
    prefix + symbol: (base, factor * scale)
    for symbol, (base, factor, prefixes) in _UNITS.items()
    for prefix, scale in prefixes.items()
}
_NAMES["PF-day"] = _NAMES["PF-days"] = ("FLOP", 86400e15)
_NUMBER = re.compile(r"\s*([+-]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*\Z", re.S)
_LONGEST = 60  # characters; no quantity is longer, and a message must not quote a whole file

DIMENSIONS = {
    "B": "bytes, such as 80 GB or 80 GiB",
    "B/s": "bytes per second, such as 4.8 TB/s or 400 Gb/s",
    "FLOP/s": "operations per second, such as 989 TFLOP/s",
    "FLOP": "operations, such as 3.14e23 FLOP or 3640 PF-days",
    "token": "tokens, such as 2000, 32k or 300B",
    "1": "a plain number, such as 16, 100k or 85 %",
    "1/s": "a rate, such as 5/s, 100/min or 1M/day",
    "s": "a duration, such as 500ms, 3 h or 30d",
    "USD": "dollars, such as 2.5 USD or 3 MUSD",
    "USD/s": "dollars per time, such as 2.95 USD/h",
    "USD/J": "dollars per energy, such as 0.08 USD/kWh",
    "W": "power, such as 700 W",
    "J": "energy, such as 5 kWh",
    "kg": "mass, such as 120 g or 5.3 t",
    "kg/J": "mass per energy, such as 400 g/kWh",
    "m": "length, such as 4 nm",
    "m2": "area, such as 814 mm2",
}


def quantity(text: str, unit: str | None = None) -> float:
    """The number that `text` says, in SI base units.

    unit: the base unit wanted ("B/s", "s", "token", …); None takes whatever the text says.
    Errors: BadQuantity, naming what was given and what is allowed.
    """
    if not isinstance(text, str):
        raise BadQuantity(f"{text!r:.60} is not a text; expected {_expected(unit)}.")
    shown = repr(text[:_LONGEST] + "…" if len(text) > _LONGEST else text)
    match = _NUMBER.match(text) if len(text) <= _LONGEST else None
    if match is None:
        raise BadQuantity(f"{shown} is not a quantity: expected {_expected(unit)}.")
    value = float(match[1].replace("_", "").replace(",", ""))
    base, factor = _unit(match[2], unit, shown)
    if unit is not None and base != unit:
        found = f"is in {base}" if match[2] else "has no unit"
        raise BadQuantity(f"{shown} {found}; expected {_expected(unit)}.")
    if not math.isfinite(value * factor):
        raise BadQuantity(f"{shown} is too large to be a real quantity.")
    return value * factor


def dimension(text: str) -> str:
    """The base unit of a quantity: ``dimension("4.8 TB/s") == "B/s"``."""
    match = _NUMBER.match(text) if len(text) <= _LONGEST else None
    if match is None:
        raise BadQuantity(f"{text[:_LONGEST]!r} is not a quantity.")
    return _unit(match[2], None, repr(text))[0]


def _expected(unit: str | None) -> str:
    return DIMENSIONS.get(unit, f"a number and {unit}") if unit else "a number and its unit"


def _unit(text: str, wanted: str | None, shown: str) -> tuple[str, float]:
    """Base unit and factor of a unit text such as "TB/s"."""
    text = _PAST_YEAR_NAMES.get(text, text)
    if wanted in ("token", "1", "1/s", None):
        count, slash, per = text.partition("/")
        if (not text or count.strip() in _COUNT or not count.strip()) and wanted in (
            "token",
            "1",
            "1/s",
        ):
            scale = _COUNT.get(count.strip(), 1.0)
            if not slash:
                return (wanted if wanted != "1/s" else "1"), scale
            base, factor = _name(per.strip(), shown)
            return f"1/{base}", scale / factor
    above, slash, below = text.partition("/")
    if not above.strip() and not below.strip():
        return "1", 1.0
    base, factor = _name(above.strip(), shown) if above.strip() else ("1", 1.0)
    if not slash:
        return base, factor
    under, divisor = _name(below.strip(), shown)
    return f"{base}/{under}", factor / divisor


def _name(name: str, shown: str) -> tuple[str, float]:
    try:
        return _NAMES[name]
    except KeyError:
        near = closest(name, _NAMES)
        hint = f"; closest: {near}" if near else ""
        raise BadQuantity(f"{shown}: no unit {name[:_LONGEST]!r}{hint}.") from None


_Scales = tuple[tuple[float, str], ...]
_SHOWN: _Scales = (
    *((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")),
)
_TIMES: _Scales = (
    *((365.25 * 86400, "years"), (86400.0, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s")),
    *((1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
)
_MASSES: _Scales = ((1e9, "Mt"), (1e6, "kt"), (1e3, "t"), (1.0, "kg"))


def show(value: float, unit: str = "1", digits: int = 3, joules: bool = False) -> str:
    """The text people read: ``show(4.8e12, "B/s") == "4.8 TB/s"``.

    joules: energies stay in joules; else large ones are in watt-hours.
    """
    if value == 0:
        return "0" if unit == "1" else f"0 {_plain(unit)}"
    if not math.isfinite(value):
        return f"no {_plain(unit)}"
    if unit == "s":
        return _show_time(value, digits)
    if unit == "chip s":
        return f"{_scaled(value / 3600, ((1e9, 'B'), (1e6, 'M'), (1e3, 'k')), digits)} chip-hours"
    if unit == "USD/J":
        return f"{_digits(value * 3.6e6, digits)} USD/kWh"
    if unit in ("kg", "kg/J"):
        return _show_mass(value, unit, digits)
    if unit in ("USD", "USD/s"):
        return _show_money(value, unit)
    if unit == "J" and abs(value) >= 3.6e3 and not joules:
        return show(value / 3600, "Wh", digits)
    if unit in ("1", "token"):
        words = _scaled(value, ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")), digits)
        return words + (" tokens" if unit == "token" else "")
    if unit in ("1/s", "token/s") or unit.startswith("token/"):
        return f"{_digits(value, digits)} {_plain(unit)}"
    if "/token" in unit and abs(value) < 1:
        return f"{_digits(value, digits)} {_plain(unit)}"
    if unit == "FLOP" and abs(value) >= 1e21:
        return f"{value:.{digits - 1}e} FLOP".replace("e+", "e")
    number, prefix = _split(value, digits)
    return f"{number} {prefix}{_plain(unit)}"


def _plain(unit: str) -> str:
    return {"token/s": "tokens/s", "1/s": "/s", "m2": "m²"}.get(unit, unit)


def _digits(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    if abs(value) < 1e-7:  # a row of zeros says less
        return f"{value:.{digits - 1}e}"
    places = digits - 1 - math.floor(math.log10(abs(value)) + 1e-12)
    rounded = round(value, places)
    return (
        f"{rounded:,.{max(places, 0)}f}".rstrip("0").rstrip(".")
        if places > 0
        else (f"{rounded:,.0f}")
    )


def _split(value: float, digits: int) -> tuple[str, str]:
    for scale, prefix in _SHOWN:
        if abs(value) >= scale * 0.9995:
            return _digits(value / scale, digits), prefix
    return _digits(value, digits), ""


def _scaled(value: float, scales: _Scales, digits: int) -> str:
    if abs(value) < 99_950:  # people read 16,384 better than 16.4k
        return _digits(value, max(digits, 5) if abs(value) >= 1000 else digits)
    scale, word = next((scale, word) for scale, word in scales if abs(value) >= scale * 0.9995)
    return _digits(value / scale, digits) + word


def _show_time(value: float, digits: int) -> str:
    for scale, word in _TIMES:
        at_least = 2 * scale if word in ("years", "days", "h", "min") else scale * 0.9995
        if abs(value) >= at_least:
            return f"{_digits(value / scale, digits)} {word}"
    return f"{_digits(value / 1e-9, digits)} ns"


def _show_mass(value: float, unit: str, digits: int) -> str:
    if unit == "kg/J":
        return f"{_digits(value * 3.6e9, digits)} g/kWh"
    for scale, word in _MASSES:
        if abs(value) >= scale * 0.9995:
            return f"{_digits(value / scale, digits)} {word}"
    grams = abs(value) >= 0.9995e-4  # 0.12 g reads better than 120 mg
    return f"{_digits(value * 1e3, digits)} g" if grams else f"{_digits(value * 1e6, digits)} mg"


def _show_money(value: float, unit: str) -> str:
    if unit == "USD/s":
        return f"{_digits(value * 3600, 3)} USD/h"
    for scale, word in ((1e9, "billion USD"), (1e6, "million USD")):
        if abs(value) >= scale * 0.9995:
            return f"{_digits(value / scale, 3)} {word}"
    return f"{_digits(value, 3)} USD" if abs(value) < 1000 else f"{value:,.0f} USD"
