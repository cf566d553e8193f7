"""The finished table as CSV or Parquet: written whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from eke.errors import BadFile, BadInput
from eke.sweep.rows import Column, Row
from eke.writing import whole

Write = Callable[[Path, Sequence[Column], Iterable[Row]], None]
GROUP = 10_000  # rows of a Parquet row group


def writer(path: Path) -> Write:
    """What writes such a file. Raises BadFile or BadInput before anything is planned."""
    if not path.parent.is_dir():
        raise BadFile(f"{path}: there is no folder {path.parent}.")
    if path.is_dir():
        raise BadFile(f"{path}: is a folder; give the name of a file.")
    if path.suffix == ".csv":
        return write_csv
    if path.suffix != ".parquet":
        raise BadFile(f"{path}: tables are CSV or Parquet; give a name that ends in .csv, .parquet")
    try:
        import pyarrow.parquet  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
    except ImportError:
        raise BadInput(f"{path}: Parquet needs pyarrow: pip install 'eke[parquet]'.") from None
    return write_parquet


def csv_rows(file: TextIO) -> Callable[[Iterable[Any]], Any]:
    """A function that writes one row of a CSV file."""
    return csv.writer(file, lineterminator="\n").writerow


def write_csv(path: Path, columns: Sequence[Column], rows: Iterable[Row]) -> None:
    """The table as text, every cell empty that has no value."""
    with whole(path) as name, open(name, "w", encoding="utf-8", newline="") as file:
        write = csv_rows(file)
        write(column.name for column in columns)
        for row in rows:
            write(row)


def write_parquet(path: Path, columns: Sequence[Column], rows: Iterable[Row]) -> None:
    """The table in columns of text, numbers and whole numbers."""
    import pyarrow as pa  # type: ignore[import-not-found,unused-ignore]
    from pyarrow.parquet import (  # type: ignore[import-not-found,unused-ignore]
        ParquetWriter,
    )

    kinds = {"text": pa.string(), "number": pa.float64(), "whole": pa.int64()}
    schema = pa.schema([(column.name, kinds[column.holds]) for column in columns])
    left = iter(rows)
    with whole(path) as name, ParquetWriter(name, schema) as file:
        while group := list(islice(left, GROUP)):
            arrays = [
                pa.array([_typed(row[at], column) for row in group], kinds[column.holds])
                for at, column in enumerate(columns)
            ]
            file.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _typed(value: Any, column: Column) -> Any:
    return float(value) if column.holds == "number" and value is not None else value
