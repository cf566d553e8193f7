"""Texts of uncertain quantities: "triangular 2, 2.5, 4 years" → a law with its numbers."""

from __future__ import annotations

import re

from eke.errors import BadQuantity, closest
from eke.types.silicon import Law
from eke.units import quantity

SHAPES = {
    "triangular": "triangular 1, 2, 4 years (least, likeliest, most)",
    "normal": "normal 0.11/cm2 ± 0.02/cm2 (mean and standard deviation)",
    "lognormal": "lognormal 30 MUSD × 1.3 (median and standard deviation as a factor)",
    "uniform": "uniform 1 .. 3 (least and most)",
    "chance": "chance 30% of 1 (else it is 0)",
}
_WORD = re.compile(r"\s*([a-z]+)\s+(.+)\Z", re.S)
_NUMBER = re.compile(r"\s*[+-]?[\d.,_]+(?:[eE][+-]?\d+)?\s*")
LONGEST = 200  # characters


def law(text: str | float, unit: str) -> Law:
    """The law a text says, in base units. Raises BadQuantity.

    A plain quantity is itself. Terms without a unit have that of the last.
    """
    words = str(text).strip()
    if len(words) > LONGEST:
        raise BadQuantity(f"{words[:60]!r}… is too long for a quantity or a distribution.")
    match = _WORD.match(words)
    if match is None:
        return Law(name="fixed", numbers=(quantity(words, unit),))
    name, rest = match[1], match[2]
    if name not in _READERS:
        near = closest(name, _READERS)
        known = "; ".join(SHAPES.values())
        raise BadQuantity(
            f"{words[:60]!r}: no distribution {name!r}"
            + (f"; closest: {near}." if near else f"; there are {known}.")
        )
    return _READERS[name](rest, unit)


def _terms(text: str, between: str, count: int, name: str, unit: str) -> list[float]:
    """The quantities between separators, a missing unit being that of the last."""
    parts = re.split(between, text.strip())
    if len(parts) != count:
        raise BadQuantity(f"{name} {text[:60]!r}: expected {SHAPES[name]}.")
    suffix = _NUMBER.sub("", parts[-1], count=1)
    whole = [p + " " + suffix if not _NUMBER.sub("", p, count=1) else p for p in parts]
    return [quantity(part.strip(), unit) for part in whole]


def _triangular(text: str, unit: str) -> Law:
    low, likely, high = _terms(text, r",\s+", 3, "triangular", unit)
    if not low <= likely <= high:
        raise BadQuantity(
            f"triangular {text[:60]!r}: its least, likeliest and most must rise; expected "
            f"{SHAPES['triangular']}."
        )
    return Law(name="triangular", numbers=(low, likely, high))


def _normal(text: str, unit: str) -> Law:
    mean, deviation = _terms(text, r"\s*(?:±|\+-|\+/-)\s*", 2, "normal", unit)
    if deviation < 0:
        raise BadQuantity(f"normal {text[:60]!r}: a standard deviation is zero or more.")
    return Law(name="normal", numbers=(mean, deviation))


def _lognormal(text: str, unit: str) -> Law:
    parts = re.split(r"\s*[×*]\s*|\s+x\s+", text.strip())
    if len(parts) != 2:
        raise BadQuantity(f"lognormal {text[:60]!r}: expected {SHAPES['lognormal']}.")
    median, factor = quantity(parts[0], unit), quantity(parts[1], "1")
    if median <= 0 or factor < 1:
        raise BadQuantity(
            f"lognormal {text[:60]!r}: the median is above zero and the factor 1 or more; expected "
            f"{SHAPES['lognormal']}."
        )
    return Law(name="lognormal", numbers=(median, factor))


def _uniform(text: str, unit: str) -> Law:
    low, high = _terms(text, r"\s*(?:\.\.|…)\s*", 2, "uniform", unit)
    if low > high:
        raise BadQuantity(
            f"uniform {text[:60]!r}: its low is above its high; expected {SHAPES['uniform']}."
        )
    return Law(name="uniform", numbers=(low, high))


def _chance(text: str, unit: str) -> Law:
    parts = re.split(r"\s+of\s+", text.strip())
    if len(parts) != 2:
        raise BadQuantity(f"chance {text[:60]!r}: expected {SHAPES['chance']}.")
    share, value = quantity(parts[0], "1"), quantity(parts[1], unit)
    if not 0 <= share <= 1:
        raise BadQuantity(f"chance {text[:60]!r}: a chance lies between 0 and 100 %.")
    return Law(name="chance", numbers=(share, value))


_READERS = {
    "triangular": _triangular,
    "normal": _normal,
    "lognormal": _lognormal,
    "uniform": _uniform,
    "chance": _chance,
}
