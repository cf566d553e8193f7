"""What chips cost, by date: prices.csv."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Literal

from eke.catalog.files import folders, read_rows
from eke.errors import BadFile, BadQuantity
from eke.types.chip import Price
from eke.units import quantity, show

COLUMNS = ("chip", "basis", "value", "date", "source", "kind", "note")
UNITS = {"rent": "USD/s", "buy": "USD"}
RANGES = {"rent": (1e-4 / 3600, 1e5 / 3600), "buy": (1.0, 1e8)}  # outside, a price is absurd
_DATE = re.compile(r"\d{4}(-\d\d){0,2}")
KINDS = ("published", "measured", "derived", "assumed")


def prices(chip: str) -> list[Price]:
    """Every price of a chip, the user's own first, then newest first."""
    return [
        row
        for folder in folders()
        for row in sorted(_read(folder / "prices.csv"), key=lambda row: row.date, reverse=True)
        if row.chip == chip
    ]


def priced(folder: Path) -> tuple[Price, ...]:
    """Every price in a folder."""
    return _read(folder / "prices.csv")


def price(chip: str, basis: Literal["rent", "buy"]) -> Price | None:
    """The newest price on that basis; None where nobody has published one."""
    return next((row for row in prices(chip) if row.basis == basis), None)


@lru_cache
def _read(path: Path) -> tuple[Price, ...]:
    if not path.exists():
        return ()
    return tuple(_row(path, line, row) for line, row in read_rows(path, COLUMNS))


def _row(path: Path, line: int, row: dict[str, str]) -> Price:
    where = f"{path}, line {line}"
    if row["basis"] not in UNITS or row["kind"] not in KINDS:
        raise BadFile(
            f"{where}: basis must be rent or buy, and kind one of {', '.join(KINDS)}; "
            f"given {row['basis']!r} and {row['kind']!r}."
        )
    unit = UNITS[row["basis"]]
    try:
        value = quantity(row["value"], unit)
    except BadQuantity as error:
        raise BadFile(f"{where}: value: {error}") from None
    low, high = RANGES[row["basis"]]
    if not low <= value <= high:
        raise BadFile(
            f"{where}: value is {row['value']!r}; that is absurd: expected between "
            f"{show(low, unit)} and {show(high, unit)}."
        )
    if not _DATE.fullmatch(row["date"]):
        raise BadFile(
            f"{where}: date is {row['date'][:20]!r}; expected 2026, 2026-03 or 2026-03-31."
        )
    return Price(**(row | {"value": value}))  # type: ignore[arg-type]
