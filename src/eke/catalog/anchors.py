"""What others counted, quarter by quarter or year by year, to hold a forecast against."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import get_args

from eke.catalog.files import folders, read_rows
from eke.catalog.sources import source
from eke.catalog.spans import spanned
from eke.errors import BadFile, Unknown
from eke.types.chip import SourceKind
from eke.types.need import Span
from eke.types.record import Record

COLUMNS = ("what", "when", "low", "likely", "high", "unit", "source", "kind", "note")
UNITS = {"chips": "1", "energy": "J", "capex": "USD", "tokens": "token/s", "asks": "1/s"}
_WHEN = re.compile(r"\d{4}(-Q[1-4])?\Z")


class Anchor(Record):
    """A figure of a quarter ("2025 Q4") or of a year ("2025"). chips: as H100s with the same 8-bit
    peak."""

    what: str
    when: str
    value: Span
    unit: str
    source: str
    kind: str
    note: str


def anchors() -> tuple[Anchor, ...]:
    """All of them. Raises BadFile for a row that is none."""
    paths = [folder / "forecasts" / "anchors.csv" for folder in folders()]
    return tuple(each for path in paths if path.is_file() for each in _read(path))


@lru_cache
def _read(path: Path) -> tuple[Anchor, ...]:
    return tuple(anchor(f"{path}, line {line}", row) for line, row in read_rows(path, COLUMNS))


def anchor(where: str, row: dict[str, str]) -> Anchor:
    """A row. Raises BadFile for one that is none. where: its file and line."""
    allowed = {"what": tuple(UNITS), "kind": get_args(SourceKind)}
    allowed["unit"] = (UNITS.get(row["what"], ""),)
    for name, words in allowed.items():
        if row[name] not in words:
            raise BadFile(f"{where}: {name} is {row[name]!r}; expected {', '.join(words)}.")
    if not _WHEN.match(row["when"]):
        raise BadFile(f"{where}: when is {row['when']!r}; expected 2025 or 2025-Q4.")
    try:
        source(row["source"])
    except Unknown as error:
        raise BadFile(f"{where}: source: {error}") from None
    text = f"{row['likely']} ({row['low']}..{row['high']})"
    return Anchor(
        what=row["what"],
        when=row["when"].replace("-", " "),
        value=spanned(text, row["unit"], f"{where}: likely"),
        unit=row["unit"],
        source=row["source"],
        kind=row["kind"],
        note=row["note"],
    )
