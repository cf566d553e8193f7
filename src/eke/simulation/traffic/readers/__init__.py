"""Traces of others and of eke's own, as traffic; the format is told from the content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from eke.errors import BadFile, BadInput
from eke.simulation.traffic.columns import numbered
from eke.simulation.traffic.noun import Skipped, Traffic
from eke.simulation.traffic.readers import clients, jsonl, parquet, servegen
from eke.simulation.traffic.readers.results import GUIDELLM, SERVING, Columns, results
from eke.simulation.traffic.readers.rows import Block, Reading, in_order, requests, that_came
from eke.simulation.traffic.readers.source import Source, head
from eke.simulation.traffic.readers.spread import BIN, binned, spread
from eke.simulation.traffic.readers.table import Table, columns, first_line, fits, header
from eke.simulation.traffic.readers.tables import TABLES
from eke.types.arrivals import Arrivals
from eke.types.record import Record, replace


class Format(Record):
    """A kind of JSON lines. needed: fields of a row.  read: the requests.  timed: whether it says
    when they came.  users: of a closed loop.  remarks: what is assumed.
    """

    name: str
    needed: frozenset[str]
    read: Callable[[Source], Iterator[Arrivals]]
    timed: bool = True
    users: int | None = None
    remarks: tuple[str, ...] = ()


FORMATS = (
    Format(
        name="LMCache agent sessions (agent, session, t_in_session_s, input_chars)",
        needed=frozenset(("agent", "session", "t_in_session_s", "input_chars", "output_chars")),
        read=jsonl.agents,
        users=1,
        remarks=(
            f"LMCache: {jsonl.CHARACTERS} characters a token (assumed)",
            f"LMCache: pauses are the recorded gaps less the answer at {jsonl.SPEED:g} tokens/s "
            "(assumed)",
            "LMCache: one session at a time, as the agents were driven; say a rate or users",
        ),
    ),
    Format(
        name="Qwen-Bailian (chat_id, parent_chat_id, timestamp, input_length, output_length)",
        needed=frozenset(("chat_id", "parent_chat_id", "timestamp", "input_length")),
        read=jsonl.qwen,
        remarks=("Qwen-Bailian: later turns come when they came, whatever the answer before took",),
    ),
    Format(
        name="Mooncake (timestamp, input_length, output_length, hash_ids)",
        needed=frozenset(("timestamp", "input_length", "output_length")),
        read=jsonl.mooncake,
    ),
    Format(
        name="AIPerf profile_export.jsonl (metadata, metrics)",
        needed=frozenset(("metadata", "metrics")),
        read=jsonl.aiperf,
    ),
)


def read(path: Path, said: Mapping[str, Any], *, seed: int, part: int, skip_bad: bool) -> Traffic:
    """The traffic of a file. said: words that decide how it is read.  Raises BadFile, BadInput."""
    source = Source(path=path, skip_bad=skip_bad, skipped=Skipped())
    first = head(path)
    if clients.is_archive(first):
        return _clients(source, said, seed, part)
    for name in ("prompt", "answer"):
        if name in said:
            raise BadInput(f"traffic: {path} has lengths of its own; say scale {name}s 2.")
    if first.startswith(parquet.MAGIC):
        return _parquet(source, said)
    row = _first_row(first)
    for each in FORMATS:
        if each.needed <= row.keys():
            return _lines(source, each, first, seed, part)
    names = header(first_line(first))
    if (table := _fitting(names)) is not None:
        return _table(source, table, said, lambda: columns(source, table))
    if (found := results(path, first)) is not None:
        return _results(source, found, said)
    raise _unknown(path, first, names, row)


def _fitting(names: tuple[str, ...]) -> Table | None:
    """The first format that a table with these columns is of."""
    return next((table for table in TABLES if fits(table, names)), None)


def _first_row(first: bytes) -> dict[str, Any]:
    """The first line as JSON, or nothing."""
    try:
        found = msgspec.json.decode(first.partition(b"\n")[0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _unknown(path: Path, first: bytes, names: tuple[str, ...], row: dict[str, Any]) -> BadFile:
    lines, tables = ([each.name for each in some] for some in (FORMATS, TABLES))
    known = "; ".join([*tables, *lines, SERVING, GUIDELLM, "ServeGen archives"])
    if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return BadFile(f"{path}: is UTF-16; save it as UTF-8.")
    if b"\0" in first:
        return BadFile(f"{path}: is binary, no trace. Known: {known}.")
    found = ", ".join(str(name)[:30] for name in [*row, *names][:12])
    return BadFile(f"{path}: of no format known here. It begins with: {found}. Known: {known}.")


def _lines(source: Source, form: Format, first: bytes, seed: int, part: int) -> Traffic:
    remarks = form.remarks
    bins = form.read is jsonl.mooncake and binned(_times(first))
    if bins:
        remarks += (f"Mooncake: arrivals spread at random inside bins of {BIN:g} s",)

    def pieces() -> Iterator[Arrivals]:
        found = form.read(source)
        return spread(found, seed, part) if bins else found

    return opened(source, pieces, remarks, form.users)


def _times(first: bytes) -> Any:
    """The times of the whole lines among the first bytes [s]."""
    decoder = msgspec.json.Decoder(jsonl.Mooncake)
    found = []
    for line in first.split(b"\n")[:-1]:
        try:
            found.append(decoder.decode(line).timestamp / 1000)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return np.array(found)


def _table(
    source: Source, table: Table, said: Mapping[str, Any], blocks: Callable[[], Iterator[Block]]
) -> Traffic:
    _need_pace(source.path, table.timed, said)

    def pieces() -> Iterator[Arrivals]:
        reading = Reading(source, table.kind)
        if table.sorted:
            return requests(reading, blocks())
        # A long run in order need not be held; that is worth a look through its times.
        ordered = in_order(that_came(source, blocks()))
        source.skipped.clear()
        return requests(reading, that_came(source, blocks()), sort=not ordered)

    return opened(source, pieces, table.remarks)


def _need_pace(path: Path, timed: bool, said: Mapping[str, Any]) -> None:
    """A file without times needs a rate or users. Raises BadInput."""
    if not timed and not {"rate", "users"} & said.keys():
        raise BadInput(
            f"{path}: has lengths and no times; say how many come, such as '{path}, 5/s' or "
            f"'{path}, users 16'."
        )


def _parquet(source: Source, said: Mapping[str, Any]) -> Traffic:
    names = parquet.names(source.path)
    source = replace(source, unit="row")
    if (table := _fitting(names)) is not None:
        return _table(source, table, said, lambda: parquet.columns(source.path, table))
    raise _unknown(source.path, b"", names, {})


def _results(source: Source, found: Columns, said: Mapping[str, Any]) -> Traffic:
    timed = "arrived" in found
    _need_pace(source.path, timed, said)
    source = replace(source, unit="request")

    def pieces() -> Iterator[Arrivals]:
        block = found, np.arange(1, len(found["prompt"]) + 1)
        return requests(Reading(source, "benchmark"), iter([block]), sort=timed)

    return opened(source, pieces, ())


def _clients(source: Source, said: Mapping[str, Any], seed: int, part: int) -> Traffic:
    source = replace(source, unit="client")
    found = clients.service(source, said)
    made = opened(
        source, lambda: servegen.requests(found, said, seed, part), servegen.remarks(found)
    )
    return replace(made, seconds=servegen.seconds(found))


def opened(
    source: Source,
    pieces: Callable[[], Iterator[Arrivals]],
    remarks: tuple[str, ...],
    users: int | None = None,
) -> Traffic:
    """The traffic of a file; each pass counts anew what it leaves out."""

    def chunks() -> Iterator[Arrivals]:
        source.skipped.clear()
        return numbered(pieces())

    return Traffic(
        name=source.path.name,
        chunks=chunks,
        users=users,
        remarks=remarks,
        skipped=source.skipped,
    )
