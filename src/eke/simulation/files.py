"""A run on disk: two tables, of requests and of the engines' timeline, each with what it is of.

`run.csv`, `.csv.gz`, `.parquet` or `.arrow` has the requests; beside it lies the timeline, under a
name with `.timeline` before the ending. Codes of names are written as the names. What is no column
(label, seed, names, facts, remarks, units) stands as JSON in the first line of a CSV file, after
"# ", and in the metadata of the others, under the key "eke".
"""

from __future__ import annotations

import csv
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from eke.errors import BadFile, BadInput
from eke.simulation import arrow_files, csv_files
from eke.types.record import Record, replace
from eke.types.run import COLUMNS, OUTCOMES, TIMELINE, Run
from eke.writing import whole

PACKED = {".csv": False, ".csv.gz": True}
ENDINGS = (*PACKED, ".parquet", ".arrow")
TABLES = {"requests": COLUMNS, "timeline": TIMELINE}
NAMED = ("tenant", "kind", "reason")  # columns of codes


class Head(Record):
    """What a table is of. units: of its columns, by name."""

    table: str
    label: str
    end: float
    seed: int
    source: str
    names: dict[str, tuple[str, ...]]
    facts: dict[str, float]
    remarks: tuple[str, ...]
    units: dict[str, str]


def check(path: Path) -> None:
    """Raises BadFile or BadInput, before anything is simulated, where no run can be written."""
    ending = ending_of(path)
    if not path.parent.is_dir():
        raise BadFile(f"{path}: there is no folder {path.parent}.")
    if path.is_dir():
        raise BadFile(f"{path}: is a folder; give the name of a file.")
    if ending in (".parquet", ".arrow"):
        try:
            import pyarrow  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
        except ImportError:
            raise BadInput(f"{path}: {ending} needs pyarrow: pip install 'eke[parquet]'.") from None


def ending_of(path: Path) -> str:
    """How the name ends, which says how the file is written."""
    found = next((each for each in ENDINGS if path.name.endswith(each)), None)
    if found is None:
        raise BadFile(f"{path}: runs are {', '.join(ENDINGS)}; give a name that ends so.")
    return found


def timeline_path(path: Path) -> Path:
    """Where the timeline lies: `run.timeline.csv.gz` beside `run.csv.gz`."""
    ending = ending_of(path)
    return path.with_name(f"{path.name.removesuffix(ending)}.timeline{ending}")


def write_run(path: Path, run: Run) -> None:
    """Write both tables, each whole or not at all, the requests last."""
    check(path)
    head = _head(run)
    if len(run.timeline.get("time", ())):
        _write(timeline_path(path), head, "timeline", run.timeline)
    else:
        timeline_path(path).unlink(missing_ok=True)  # of an earlier run
    _write(path, head, "requests", run.requests)


def read_run(path: Path) -> Run:
    """The run that `write_run` wrote. Raises BadFile naming the file and what is wrong."""
    head, names, requests = _read(path, "requests")
    beside, line = timeline_path(path), dict[str, Any]()
    if beside.exists():
        other, _, line = _read(beside, "timeline")
        if (other.label, other.seed, other.end) != (head.label, head.seed, head.end):
            raise BadFile(f"{beside}: is of another run than {path.name}; delete one of them.")
    return Run(
        label=head.label,
        end=head.end,
        requests=requests,
        names=names,
        timeline=line,
        seed=head.seed,
        facts=head.facts,
        source=head.source,
        remarks=head.remarks,
    )


def _head(run: Run) -> Head:
    """What both tables are of."""
    names = {column: _all_names(run, column) for column in NAMED}
    return Head(
        table="",
        label=run.label,
        end=run.end,
        seed=run.seed,
        source=run.source,
        names=names,
        facts=run.facts,
        remarks=run.remarks,
        units={},
    )


def _all_names(run: Run, column: str) -> tuple[str, ...]:
    """The names of a column; codes without one are called by their number."""
    names, codes = run.names.get(column, ()), run.requests[column]
    return (*names, *(str(code) for code in range(len(names), int(codes.max(initial=-1)) + 1)))


def _write(path: Path, head: Head, table: str, columns: dict[str, Any]) -> None:
    """One table."""
    units = {name: unit for name, (_, unit, _) in TABLES[table].items() if unit}
    head = replace(head, table=table, units=units)
    ending, text = ending_of(path), msgspec.json.encode(head).decode()
    typed = {name: np.asarray(columns[name], kind) for name, (kind, _, _) in TABLES[table].items()}
    with whole(path) as name:
        if ending in PACKED:
            csv_files.write(name, text, typed, _words(head), packed=PACKED[ending])
        else:
            arrow_files.write(name, text, typed, _words(head), parquet=ending == ".parquet")


def _read(path: Path, table: str) -> tuple[Head, dict[str, tuple[str, ...]], dict[str, Any]]:
    """One table, what its codes stand for, and its columns."""
    check(path)
    ending = ending_of(path)
    kinds = {name: kind for name, (kind, _, _) in TABLES[table].items()}
    try:
        with path.open("rb"):  # says why it cannot be read, where libraries do not
            pass
        if ending in PACKED:
            text, load = csv_files.opened(path, packed=PACKED[ending])
        else:
            text, load = arrow_files.opened(path, parquet=ending == ".parquet")
        head = msgspec.json.decode(text, type=Head)
        if head.table != table:
            raise ValueError(f"it is a table of {head.table}")
        words = _words(head)
        columns = load(kinds, words)
        if extra := words.get("outcome", [])[len(OUTCOMES) :]:
            raise ValueError(f"{extra[0]!r} is no outcome; expected {', '.join(OUTCOMES)}")
    except OSError as error:
        raise BadFile(f"{path}: cannot be read: {error.strerror or error}.") from None
    except (ValueError, EOFError, zlib.error, csv.Error, msgspec.MsgspecError) as error:
        raise BadFile(f"{path}: is no table of {table} that eke wrote: {error}.") from None
    return head, {name: tuple(words[name]) for name in NAMED if name in words}, columns


def _words(head: Head) -> dict[str, list[str]]:
    """What the codes of columns stand for."""
    if head.table != "requests":
        return {}
    return {**{name: list(head.names.get(name, ())) for name in NAMED}, "outcome": [*OUTCOMES]}
