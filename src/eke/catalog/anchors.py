"""What others counted, quarter by quarter or year by year, to hold a forecast against."""

from __future__ import annotations

from functools import lru_cache

from eke.catalog.files import folders, read_rows
from eke.catalog.sources import source
from eke.catalog.spans import spanned
from eke.errors import BadFile, Unknown
from eke.types.need import Span
from eke.types.record import Record

COLUMNS = ("what", "when", "low", "likely", "high", "unit", "source", "kind", "note")
WHATS = ("chips", "energy", "capex", "tokens", "asks")


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


@lru_cache
def anchors() -> tuple[Anchor, ...]:
    """All of them. Raises BadFile for a row that is none."""
    paths = [folder / "forecasts" / "anchors.csv" for folder in folders()]
    return tuple(
        _anchor(f"{path}, line {line}", row)
        for path in paths
        if path.is_file()
        for line, row in read_rows(path, COLUMNS)
    )


def _anchor(where: str, row: dict[str, str]) -> Anchor:
    if row["what"] not in WHATS:
        raise BadFile(f"{where}: what is {row['what']!r}; there are {', '.join(WHATS)}.")
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
