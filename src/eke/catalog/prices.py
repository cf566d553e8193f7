"""What chips cost, by date: prices.csv."""

from __future__ import annotations

import csv
import io
import re
from functools import lru_cache
from pathlib import Path
from typing import Literal

from eke.catalog.files import folders, read_text
from eke.errors import BadFile, BadQuantity
from eke.types.chip import Price
from eke.units import quantity

COLUMNS = ("chip", "basis", "value", "date", "source", "kind", "note")
UNITS = {"rent": "USD/s", "buy": "USD"}
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
    if not path.is_file():
        return ()
    rows = csv.DictReader(io.StringIO(read_text(path)))
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise BadFile(f"{path}: the columns must be {','.join(COLUMNS)}.")
    return tuple(_row(path, rows.line_num, row) for row in rows)


def _row(path: Path, line: int, row: dict[str, str]) -> Price:
    where = f"{path}, line {line}"
    if None in row.values() or None in row:
        raise BadFile(f"{where}: expected {len(COLUMNS)} cells.")
    if row["basis"] not in UNITS or row["kind"] not in KINDS:
        raise BadFile(
            f"{where}: basis must be rent or buy, and kind one of {', '.join(KINDS)}; "
            f"given {row['basis']!r} and {row['kind']!r}."
        )
    if re.fullmatch(r"\d{4}(-\d\d){0,2}", row["date"]) is None:
        raise BadFile(f"{where}: date is {row['date']!r}; write 2026, 2026-11 or 2026-11-30.")
    try:
        value = quantity(row["value"], UNITS[row["basis"]])
    except BadQuantity as error:
        raise BadFile(f"{where}: value: {error}") from None
    if not 0 < value < 1e9:
        raise BadFile(f"{where}: value is {row['value']!r}; a price must be above zero and real.")
    return Price(**(row | {"value": value}))  # type: ignore[arg-type]
