"""Tables of what arrives of published figures: `efficiency/any.csv`, then the chip family's and the
engine's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from eke.catalog.files import DATA, folders, read_rows
from eke.errors import BadFile, BadQuantity, closest
from eke.types.efficiency import Efficiency, Knobs
from eke.units import quantity

COLUMNS = ("name", "low", "likely", "high", "unit", "kind", "source", "note")
NAMES = tuple(
    name for name in Knobs.__annotations__ if not name.endswith("_change") and name != "prefill"
)
ABOVE_ONE = (
    "matmul_rows",
    "matmul_columns",
    "attention_tokens",
    "scores",
    "passes",
    "imbalance",
    "stage_imbalance",
    "server_power",
    "pue",
    "price",
    "scatter",
    "full",
    "first",
    "adapter_time",
)
BEATEN = 1.5  # the most that is measured of a published figure: some chips run faster than sold
KINDS = ("published", "measured", "fitted", "derived", "assumed")


def efficiencies(*names: str) -> dict[str, Efficiency]:
    """The values for a chip family, and an engine where one is known, by name.

    names: tables, the later ones replacing what the earlier say; "any" goes before all of them.
    What a user's folder says, in whichever table, replaces whatever is built in.
    """
    return _read(reversed(folders()), names)


def built_in(*names: str) -> dict[str, Efficiency]:
    """The same without any user's folder."""
    return _read([DATA], names)


def _read(places: Iterable[Path], names: tuple[str, ...]) -> dict[str, Efficiency]:
    found: dict[str, Efficiency] = {}
    for folder in places:
        for name in ("any", *filter(None, names)):
            path = folder / "efficiency" / f"{name}.csv"
            if path.is_file():
                found |= read_efficiencies(path, name)
    return found


def read_efficiencies(path: Path, family: str) -> dict[str, Efficiency]:
    """One table. Raises BadFile naming file, row and column."""
    found = {}
    for line, row in read_rows(path, COLUMNS):
        made = _row(path, line, family, row)
        found[made.name] = made
    return found


def _row(path: Path, line: int, family: str, row: dict[str, str]) -> Efficiency:
    where = f"{path}, line {line}"
    if None in row.values() or None in row:
        raise BadFile(f"{where}: expected {len(COLUMNS)} cells.")
    if row["name"] not in NAMES:
        near = closest(row["name"], NAMES) or ", ".join(NAMES)
        raise BadFile(f"{where}: name is {row['name']!r}, which eke does not use; closest: {near}.")
    if row["kind"] not in KINDS:
        raise BadFile(f"{where}: kind is {row['kind']!r}; it must be one of {', '.join(KINDS)}.")
    unit = row["unit"]
    try:
        low, likely, high = (quantity(row[name], unit) for name in ("low", "likely", "high"))
    except BadQuantity as error:
        raise BadFile(f"{where}: {error}") from None
    if not 0 <= low <= likely <= high:
        raise BadFile(
            f"{where}: low, likely and high must rise from 0 up, not {low:g}, {likely:g}, {high:g}."
        )
    if low == 0 and not row["name"].startswith(("scores", "overlap")):
        raise BadFile(f"{where}: low is 0, with which nothing would ever finish.")
    most = BEATEN if row["kind"] == "measured" else 1.0
    if unit == "1" and high > most and row["name"] not in ABOVE_ONE:
        raise BadFile(f"{where}: {row['name']} is a share; high is {high:g}, more than {most:g}.")
    return Efficiency(
        name=row["name"],
        low=low,
        likely=likely,
        high=high,
        unit=unit,
        kind=row["kind"],  # type: ignore[arg-type]
        source=row["source"],
        family=family,
        note=row["note"] or "",
    )
