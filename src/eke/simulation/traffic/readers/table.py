"""CSV tables in blocks: a fast way for clean blocks, and row by row where something is wrong."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from eke.simulation.traffic.readers.source import Source, lines
from eke.types.record import Record

REMARK = b"# "
LONG = 1000  # bytes of a line; rows of a trace are far shorter
Kind = Literal["number", "moment", "name", "promise"]


class Column(Record):
    """A column of a table. name: its header.  kind: a number, a date with time, a name, or a
    promised time, which may be missing or inf.
    """

    name: str
    kind: Kind = "number"
    needed: bool = True


class Table(Record):
    """A CSV format. columns: what of a request → column.  kind: of its requests.
    sorted: whether its rows stand in order of time.  remarks: what is assumed.
    """

    name: str
    columns: dict[str, Column]
    kind: str = "chat"
    sorted: bool = True
    remarks: tuple[str, ...] = ()

    @property
    def timed(self) -> bool:
        """Whether it says when requests came."""
        return "arrived" in self.columns


def header(line: bytes) -> tuple[str, ...]:
    """The names in the first line of a table."""
    text = line.decode("utf-8-sig", errors="replace").strip("\r\n")
    try:
        return tuple(cell.strip() for cell in next(csv.reader([text]), []))
    except csv.Error:
        return ()


def fits(table: Table, names: tuple[str, ...]) -> bool:
    """Whether a table with this header is of the format."""
    return {column.name for column in table.columns.values() if column.needed} <= set(names)


def first_line(text: bytes) -> bytes:
    """The line of names: the first, but for remarks such as a run has before it."""
    while text.startswith(REMARK):
        text = text.partition(b"\n")[2]
    return text.partition(b"\n")[0]


def columns(source: Source, table: Table) -> Iterator[tuple[dict[str, Any], Any]]:
    """The wanted columns of a table, block by block, with the line of each row. Raises BadFile."""
    places: dict[str, tuple[int, Kind]] = {}
    width = 0
    for number, block in lines(source):
        while not places and block:
            first, _, block = block.partition(b"\n")
            number += 1
            if first.startswith(REMARK):
                continue
            names = header(first)
            width = len(names)
            places = {
                what: (names.index(column.name), column.kind)
                for what, column in table.columns.items()
                if column.name in names
            }
        if block:
            yield _columns(source, block, number, places, width)


def _columns(
    source: Source, block: bytes, number: int, places: dict[str, tuple[int, Kind]], width: int
) -> tuple[dict[str, Any], Any]:
    """The wanted columns of a block of lines, and the line of each row."""
    block = block.replace(b"\r\n", b"\n")
    if _even(block, width):
        cells = block.replace(b"\n", b",").split(b",")
        count = (len(cells) - 1) // width
        try:
            found = {
                what: _READ[kind](np.array(cells[place : count * width : width]))
                for what, (place, kind) in places.items()
            }
            return found, np.arange(number, number + count)
        except ValueError:
            pass
    return _row_by_row(source, block, number, places, width)


def _even(block: bytes, width: int) -> bool:
    """Whether every line has as many cells as the header, none is quoted and none is long."""
    if b'"' in block:
        return False
    signs = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(signs == 10)
    if not width or np.diff(ends, prepend=0).max() > LONG:
        return False  # one long cell would make all of its column as long
    commas = np.searchsorted(np.flatnonzero(signs == 44), ends)
    return bool((np.diff(commas, prepend=0) == width - 1).all())


def _numbers(cells: Any) -> Any:
    found = cells.astype(np.float64)
    if not np.isfinite(found).all():
        raise ValueError
    return found


def _promises(cells: Any) -> Any:
    found = np.where(cells == b"", b"inf", cells).astype(np.float64)
    if not (found >= 0).all():
        raise ValueError
    return found


def _moments(cells: Any) -> Any:
    """Dates with time as seconds since 1970; only plain ones, in universal time."""
    cells = np.char.replace(cells, b"+00:00", b"")
    signs = np.frombuffer(cells.tobytes(), np.uint8).reshape(len(cells), -1)
    width = signs.shape[1]
    # NumPy alone would take "now", "" and zones, which it then forgets.
    if width < _SECONDS or not (_PLAIN[signs[:, :_SECONDS]] == _DATE).all():
        raise ValueError
    whole = np.ascontiguousarray(signs[:, :_SECONDS]).view(f"S{_SECONDS}")[:, 0]
    seconds = whole.astype("datetime64[s]").astype(np.float64)
    if width == _SECONDS:
        return seconds
    if not np.isin(signs[:, _SECONDS], (0, ord("."))).all():
        raise ValueError
    fraction = np.ascontiguousarray(signs[:, _SECONDS:]).view(f"S{width - _SECONDS}")[:, 0]
    part = np.where(fraction == b"", b"0", fraction).astype(np.float64)
    if not (part < 1).all():
        raise ValueError
    return seconds + part


_DATE = np.frombuffer(b"0000-00-00 00:00:00", np.uint8)
_SECONDS = len(_DATE)  # signs up to whole seconds; a fraction may follow
_PLAIN = np.arange(256, dtype=np.uint8)  # every digit stands for 0, and T for a space
_PLAIN[48:58] = ord("0")
_PLAIN[ord("T")] = ord(" ")
_READ: dict[Kind, Any] = {
    "number": _numbers,
    "moment": _moments,
    "name": lambda cells: cells,
    "promise": _promises,
}


def _row_by_row(
    source: Source, block: bytes, number: int, places: dict[str, tuple[int, Kind]], width: int
) -> tuple[dict[str, Any], Any]:
    found: dict[str, list[Any]] = {what: [] for what in places}
    good = []
    for line, text in enumerate(block.decode("utf-8", errors="replace").split("\n")[:-1], number):
        if not text.strip():
            continue
        try:
            row = _row(text, places, width)
        except ValueError as error:
            source.bad(line, str(error))
            continue
        good.append(line)
        for what, value in row.items():
            found[what].append(value)
    return {what: np.array(values) for what, values in found.items()}, np.array(good, np.int64)


def _row(text: str, places: dict[str, tuple[int, Kind]], width: int) -> dict[str, Any]:
    """The wanted cells of one line. Raises ValueError that says what is wrong."""
    try:
        cells = next(csv.reader([text.strip("\r")]), [])
    except csv.Error as error:
        raise ValueError(f"is not CSV: {error}") from None
    if len(cells) != width:
        raise ValueError(f"has {len(cells)} cells; the header has {width}")
    return {what: _cell(cells[place], kind, what) for what, (place, kind) in places.items()}


def _cell(text: str, kind: Kind, what: str) -> Any:
    text = text.strip()
    if kind == "name":
        return text.encode()
    if kind == "promise" and text.casefold() in ("", "inf"):
        return math.inf
    try:
        value = _moment(text) if kind == "moment" else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        expected = "a date and time" if kind == "moment" else "a number"
        raise ValueError(f"{what} is {text[:40]!r}; expected {expected}")
    return value


def _moment(text: str) -> float:
    found = datetime.fromisoformat(text)
    zoned = found if found.tzinfo else found.replace(tzinfo=UTC)
    return zoned.timestamp()
