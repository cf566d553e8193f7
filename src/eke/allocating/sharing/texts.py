"""Quantities of a provider's file, with the file and the field in every error."""

from __future__ import annotations

from datetime import date
from math import log1p
from typing import Any

from eke.errors import BadFile, EkeError, closest
from eke.units import DIMENSIONS, quantity

RANGES = {  # of each unit, what is no slip of the pen
    "USD": (0.0, 1e13),
    "USD/s": (0.0, 1e6),
    "USD/J": (0.0, 1e-4),
    "W": (0.0, 1e13),
    "s": (0.0, 1e10),
    "1": (0.0, 1e15),
    "1/s": (0.0, 1e12),
    "kg": (0.0, 1e13),
    "kg/J": (0.0, 1e-5),
    "USD/token": (0.0, 1.0),
}


class Texts:
    """Reads fields of one file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def wrong(self, field: str, words: str) -> BadFile:
        """An error about a field."""
        return BadFile(f"{self.path}: {field} {words}")

    def number(self, field: str, text: Any, unit: str = "1", least: float = 0.0) -> float:
        """A quantity, finite and not negative. Raises BadFile naming file and field."""
        if isinstance(text, bool) or not isinstance(text, str | int | float):
            raise self.wrong(field, f"is {text!r:.60}; expected {_expected(unit)}.")
        try:
            found = quantity(text if isinstance(text, str) else repr(text), unit)
        except EkeError as error:
            raise self.wrong(field, f"is {text!r:.60}: {error}") from None
        low, high = RANGES.get(unit, (0.0, 1e30))
        if not max(low, least) <= found <= high:
            raise self.wrong(
                field,
                f"is {text!r:.60}; it must lie between {max(low, least):g} and {high:g} {unit}.",
            )
        return found

    def above(self, field: str, text: Any, unit: str = "1") -> float:
        """A quantity above zero."""
        found = self.number(field, text, unit)
        if found <= 0:
            raise self.wrong(field, f"is {text!r:.60}; it must be above zero.")
        return found

    def share(self, field: str, text: Any) -> float:
        """Between 0 and 1, as 90%."""
        found = self.number(field, text)
        if found > 1:
            raise self.wrong(field, f"is {text!r:.60}; it is a share, from 0 to 100 %.")
        return found

    def count(self, field: str, text: Any) -> int:
        """A whole number."""
        found = self.number(field, text)
        if found != int(found) or found > 1e9:
            raise self.wrong(field, f"is {text!r:.60}; expected a whole number up to a billion.")
        return int(found)

    def day(self, field: str, text: Any) -> date:
        """An ISO date."""
        try:
            return date.fromisoformat(str(text))
        except ValueError:
            raise self.wrong(
                field, f"is {text!r:.40}; expected a date such as 2026-01-05."
            ) from None

    def growth(self, field: str, text: Any) -> float:
        """The logarithm of how "3%/month" grows in a second [1/s]."""
        share, slash, per = str(text).partition("/")
        if not slash:
            raise self.wrong(
                field, f"is {text!r:.40}; expected a share per time, such as 3%/month."
            )
        rising = self._signed(field, share.strip())
        whole = self.above(field, f"1 {per.strip()}", "s")
        return log1p(rising) / whole

    def _signed(self, field: str, text: str) -> float:
        """A share that may be negative, as demand may fall."""
        sign = -1.0 if text.startswith("-") else 1.0
        found = sign * self.number(field, text.removeprefix("-"))
        if not -1 < found < 100:
            raise self.wrong(
                field, f"is {text!r:.40}; it must lie above -100 % and below 10,000 %."
            )
        return found

    def known(self, field: str, name: str, names: Any, what: str) -> str:
        """One of some names."""
        if name not in names:
            near = closest(str(name), names)
            hint = f"closest: {near}" if near else f"there are {', '.join(names) or 'none'}"
            raise self.wrong(field, f"is {name!r:.40}, which is no {what}; {hint}.")
        return name


def _expected(unit: str) -> str:
    return DIMENSIONS.get(unit, f"a number in {unit}")
