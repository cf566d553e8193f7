"""Parquet tables with the same columns as the CSV ones; needs pyarrow (extra `parquet`)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from eke.errors import BadFile, BadInput
from eke.simulation.traffic.noun import STRETCH
from eke.simulation.traffic.readers.rows import Block
from eke.simulation.traffic.readers.table import Kind, Table

MAGIC = b"PAR1"


def names(path: Path) -> tuple[str, ...]:
    """The columns of a Parquet file. Raises BadFile; BadInput where pyarrow is missing."""
    return tuple(_opened(path).schema_arrow.names)


def columns(path: Path, table: Table) -> Iterator[Block]:
    """The wanted columns, batch by batch, with the number of each row. Raises BadFile."""
    file = _opened(path)
    wanted = {
        what: column
        for what, column in table.columns.items()
        if column.name in file.schema_arrow.names
    }
    number = 1
    try:
        for batch in file.iter_batches(STRETCH, columns=[c.name for c in wanted.values()]):
            found = {w: _array(batch.column(c.name), c.kind) for w, c in wanted.items()}
            yield found, np.arange(number, number + len(batch))
            number += len(batch)
    except (OSError, ValueError, TypeError) as error:
        raise BadFile(f"{path}, row {number:,}: {str(error)[:200]}.") from None


def _opened(path: Path) -> Any:
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        raise BadInput(
            f"{path}: is Parquet, which needs pyarrow: pip install 'eke[parquet]'; or give CSV."
        ) from None
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise BadFile(f"{path}: is no whole Parquet file: {str(error)[:200]}.") from None


def _array(column: Any, kind: Kind) -> Any:
    if kind == "name":
        return np.array(["" if v is None else str(v) for v in column.to_pylist()]).astype(np.bytes_)
    values = column.to_numpy(zero_copy_only=False)
    if kind == "moment":
        return values.astype("datetime64[ns]").astype(np.int64) / 1e9
    values = values.astype(np.float64)
    return np.where(np.isnan(values), np.inf, values) if kind == "promise" else values
