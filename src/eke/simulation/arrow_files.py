"""A table of a run as Parquet or as an Arrow file; codes of names are dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eke.simulation.csv_files import NOBODY, Codes, Words

KEY = b"eke"  # of the metadata that says what a table is of
ROWS = 1 << 20  # of a row group


def write(name: str, head: str, columns: dict[str, Any], words: Words, parquet: bool) -> None:
    """Write a table. head: what it is of."""
    import pyarrow as pa  # type: ignore[import-not-found,unused-ignore]

    arrays = [
        _dictionary(values, words[key]) if key in words else pa.array(values)
        for key, values in columns.items()
    ]
    table = pa.Table.from_arrays(arrays, names=list(columns))
    table = table.replace_schema_metadata({KEY: head.encode()})
    if parquet:
        from pyarrow.parquet import write_table  # type: ignore[import-not-found,unused-ignore]

        write_table(table, name, row_group_size=ROWS, compression="zstd")
        return
    with pa.OSFile(name, "wb") as raw, pa.ipc.new_file(raw, table.schema) as file:
        file.write_table(table, ROWS)


def _dictionary(codes: Any, words: list[str]) -> Any:
    """Codes as names; a negative one is none."""
    import pyarrow as pa

    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))


def opened(path: Path, parquet: bool) -> tuple[str, Callable[[dict[str, str], Words], Any]]:
    """What the table is of, and how to load its columns."""
    table = _table(path, parquet)
    head = (table.schema.metadata or {}).get(KEY)
    if head is None:
        raise ValueError("its metadata do not say what it is of")
    return head.decode(), lambda kinds, words: _load(table, kinds, words)


def _table(path: Path, parquet: bool) -> Any:
    if parquet:
        from pyarrow.parquet import read_table

        return read_table(path)
    import pyarrow as pa

    with pa.OSFile(str(path), "rb") as raw:
        return pa.ipc.open_file(raw).read_all()


def _load(table: Any, kinds: dict[str, str], words: Words) -> dict[str, Any]:
    """Columns of these types. words: names met that they lack are added."""
    if set(table.column_names) != set(kinds):
        odd = ", ".join(sorted(set(table.column_names) ^ set(kinds)))
        raise ValueError(f"columns missing or unknown: {odd}")
    found = {}
    for name, kind in kinds.items():
        column = table.column(name)
        if name in words:
            found[name] = _codes(column, Codes(words[name])).astype(kind)
        else:
            found[name] = column.to_numpy().astype(kind, copy=False)
    return found


def _codes(column: Any, codes: Codes) -> Any:
    """Names as codes; none is a negative one."""
    parts = [np.empty(0, np.int64)]
    for chunk in column.chunks:
        known = np.array([codes[each] for each in chunk.dictionary.to_pylist()] + [NOBODY])
        parts.append(known[chunk.indices.fill_null(NOBODY).to_numpy(zero_copy_only=False)])
    return np.concatenate(parts)
