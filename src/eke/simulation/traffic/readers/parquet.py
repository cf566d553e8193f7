"""Parquet and Arrow tables with the columns of the CSV ones; needs pyarrow, extra `parquet`."""

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

MAGIC = (b"PAR1", b"ARROW1")


def names(path: Path) -> tuple[str, ...]:
    """The columns of such a file. Raises BadFile; BadInput where pyarrow is missing."""
    return tuple(_opened(path).schema.names)


def columns(path: Path, table: Table) -> Iterator[Block]:
    """The wanted columns, batch by batch, with the number of each row. Raises BadFile."""
    data = _opened(path)
    wanted = {w: c for w, c in table.columns.items() if c.name in data.schema.names}
    number = 1
    try:
        for batch in data.to_batches(
            columns=[column.name for column in wanted.values()], batch_size=STRETCH
        ):
            found = {w: _array(batch.column(c.name), c.kind) for w, c in wanted.items()}
            yield found, np.arange(number, number + len(batch))
            number += len(batch)
    except (OSError, ValueError, TypeError) as error:
        raise BadFile(f"{path}, row {number:,}: {str(error)[:200]}.") from None


def _opened(path: Path) -> Any:
    try:
        dataset = import_module("pyarrow.dataset")
    except ImportError:
        raise BadInput(
            f"{path}: Parquet and Arrow need pyarrow: pip install 'eke[parquet]'; or give CSV."
        ) from None
    try:
        with path.open("rb") as file:
            form = "parquet" if file.read(4) == MAGIC[0] else "ipc"
        return dataset.dataset(path, format=form)
    except (OSError, ValueError) as error:
        raise BadFile(f"{path}: is no whole {form} file: {str(error)[:200]}.") from None


def _array(column: Any, kind: Kind) -> Any:
    if kind == "name":
        return np.array(["" if v is None else str(v) for v in column.to_pylist()]).astype(np.bytes_)
    values = column.to_numpy(zero_copy_only=False)
    if kind == "moment":
        return values.astype("datetime64[ns]").astype(np.int64) / 1e9
    values = values.astype(np.float64)
    return np.where(np.isnan(values), np.inf, values) if kind == "promise" else values
