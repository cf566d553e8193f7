"""Measurements as rows: a table of the shared format, read and checked.

The two formats (inference and training) are told apart by their columns. A row keeps its columns
as text; what they mean for a prediction is the business of `inference` and `training`.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from pathlib import Path

from eke.errors import BadFile
from eke.types.record import Record

NEEDED = ("source", "model", "chip", "n_chips", "precision", "metric", "measured_value", "notes")
INFERENCE = ("isl", "osl", "batch", "scenario", "engine", "tp")
TRAINING = ("seq_len", "global_batch_sequences", "framework", "tp")
FLAGS = ("SUSPECT", "SPECULATIVE", "OVERLOADED", "PITFALL")
LARGEST = 400_000_000  # bytes of a table once unpacked
MOST = 1e15  # of anything that is counted; no column means more


class Row(Record):
    """One measured number. table: "inference" or "training".  value: in the unit of its metric, NaN
    where the table has no number.  columns: every column as text, absent ones empty.
    """

    id: str
    table: str
    source: str
    metric: str
    value: float
    columns: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.columns.get(name, "")

    def number(self, name: str) -> float | None:
        """A column as a number above zero; None where it is empty or says something else."""
        try:
            value = float(self[name])
        except ValueError:
            return None
        return value if 0 < value < MOST else None

    def whole(self, name: str) -> int | None:
        """A column as a whole number from 1 up; None where it is none."""
        value = self.number(name)
        return int(value) if value is not None and value >= 1 else None

    @property
    def notes(self) -> str:
        """What the source's reader noted."""
        return self["notes"]

    @property
    def is_mlperf(self) -> bool:
        """Whether it is a result of MLPerf Inference."""
        return self["scenario"].startswith("mlperf_")

    @property
    def flag(self) -> str:
        """Why the row is not for scoring, or ""."""
        if not (math.isfinite(self.value) and self.value > 0):
            return f"measured_value is {self['measured_value'][:20]!r}, no number above zero"
        return next((f"tagged {flag} in the table" for flag in FLAGS if flag in self.notes), "")


def read_rows(path: Path) -> list[Row]:
    """Every row of a table, `.csv` or `.csv.gz`. Raises BadFile naming file, row and column."""
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    columns = tuple(reader.fieldnames or ())
    table = _table(path, columns)
    try:
        return [_row(path, number, table, line) for number, line in enumerate(reader, start=2)]
    except csv.Error as error:
        raise BadFile(f"{path}, line {reader.line_num}: {error}.") from None


def _table(path: Path, columns: tuple[str, ...]) -> str:
    """Which of the two formats the columns are."""
    for table, own in (("inference", INFERENCE), ("training", TRAINING)):
        if {*NEEDED, *own} <= set(columns):
            return table
    missing = sorted({*NEEDED, *INFERENCE} - set(columns))
    raise BadFile(
        f"{path}: not a table of measurements; the columns {', '.join(missing[:8])} are missing."
    )


def _row(path: Path, number: int, table: str, line: dict[str | None, str | None]) -> Row:
    columns = {name: (text or "").strip() for name, text in line.items() if name is not None}
    try:
        value = float(columns["measured_value"])
    except ValueError:
        value = math.nan
    return Row(
        id=columns.get("id") or f"{path.name}:{number}",
        table=table,
        source=columns["source"],
        metric=columns["metric"],
        value=value,
        columns=columns,
    )


def _text(path: Path) -> str:
    """The file's text, unpacked when it is gzip; never more than LARGEST bytes."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise BadFile(f"{path}: larger than {LARGEST:,} bytes; give a smaller table.")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise BadFile(f"{path}: cannot be read: {error.strerror or error}.") from None
    except (EOFError, zlib.error):
        raise BadFile(f"{path}: the gzip file is cut off or damaged.") from None
    except UnicodeDecodeError:
        raise BadFile(f"{path}: is no text in UTF-8.") from None
