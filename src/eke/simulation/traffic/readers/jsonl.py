"""JSON lines: Mooncake, Qwen-Bailian, LMCache agent sessions and AIPerf."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import msgspec
import numpy as np

from eke.simulation.traffic.columns import KEYS
from eke.simulation.traffic.readers.rows import Reading, requests
from eke.simulation.traffic.readers.source import Source, lines
from eke.types.arrivals import NOBODY, Arrivals
from eke.types.record import replace

Block = tuple[list[Any], Any]  # rows, and the line of each
Made = Callable[[Reading, list[Any], Any], Arrivals]
Key = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
CHARACTERS = 4  # for a token; assumed, as for English text
AGENT_BLOCK = 1024 // CHARACTERS  # tokens of a block of 1,024 characters
MOONCAKE_BLOCK, QWEN_BLOCK = 512, 16  # tokens
SPEED = 50.0  # tokens/s at which the recorded model wrote; assumed


class Mooncake(msgspec.Struct):
    """One row of a Mooncake trace; timestamp [ms]."""

    timestamp: float
    input_length: float
    output_length: float
    hash_ids: list[Key] = []


class Qwen(msgspec.Struct):
    """One row of a Qwen-Bailian trace; timestamp [s]."""

    chat_id: int
    parent_chat_id: int
    timestamp: float
    input_length: float
    output_length: float
    type: str = "text"
    hash_ids: list[Key] = []


class Agent(msgspec.Struct):
    """One call of an agent session, in characters; time from the session's first call [s]."""

    agent: str
    session: str
    t_in_session_s: float
    input_chars: float
    output_chars: float
    hash_ids: list[Key] = []


class Value(msgspec.Struct, frozen=True):
    """One figure of AIPerf."""

    value: float = math.nan


class AiperfMetadata(msgspec.Struct):
    """What AIPerf says of one request; its start [ns]."""

    request_start_ns: float
    benchmark_phase: str = "profiling"
    x_correlation_id: str = ""


class AiperfMetrics(msgspec.Struct):
    """Lengths of one request [tokens]; failed ones have none."""

    input_sequence_length: Value = Value()
    output_sequence_length: Value = Value()


class Aiperf(msgspec.Struct):
    """One request of AIPerf's profile_export.jsonl."""

    metadata: AiperfMetadata
    metrics: AiperfMetrics


def mooncake(source: Source) -> Iterator[Arrivals]:
    """The requests of a Mooncake trace."""
    return _made(source, _mooncake, rows(source, Mooncake))


def qwen(source: Source) -> Iterator[Arrivals]:
    """The requests of a Qwen-Bailian trace."""
    return _made(source, _qwen, rows(source, Qwen))


def agents(source: Source) -> Iterator[Arrivals]:
    """The sessions of LMCache's agent traces."""
    return _made(source, _agent, _by_session(rows(source, Agent)))


def aiperf(source: Source) -> Iterator[Arrivals]:
    """The requests of an AIPerf run, by their start; warming up is left out and counted."""
    reading = Reading(source, "aiperf")
    return requests(reading, (_aiperf(source, *block) for block in rows(source, Aiperf)), sort=True)


def _made(source: Source, made: Made, blocks: Iterator[Block]) -> Iterator[Arrivals]:
    reading = Reading(source, "chat")
    return (made(reading, found, at) for found, at in blocks if found)


def rows(source: Source, kind: type) -> Iterator[tuple[list[Any], Any]]:
    """Rows of that type, block by block, with the line of each. Raises BadFile."""
    decoder: Any = msgspec.json.Decoder(kind)
    for number, block in lines(source):
        try:
            found = decoder.decode_lines(block)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = []
        if len(found) == block.count(b"\n"):
            yield found, np.arange(number, number + len(found))
        else:
            yield _one_by_one(source, decoder, block, number)


def _one_by_one(source: Source, decoder: Any, block: bytes, number: int) -> tuple[list[Any], Any]:
    found, good = [], []
    for line, text in enumerate(block.split(b"\n")[:-1], number):
        if not text.strip():
            continue
        try:
            found.append(decoder.decode(text))
            good.append(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            source.bad(line, str(error)[:200])
    return found, np.array(good, np.int64)


def column(found: list[Any], name: str) -> Any:
    """One field of all rows, as numbers."""
    return np.array([getattr(row, name) for row in found], np.float64)


def names(found: list[Any], name: str) -> Any:
    """One field of all rows, as texts."""
    return np.array([getattr(row, name).encode() for row in found], np.bytes_)


def _with_hashes(
    reading: Reading, columns: dict[str, Any], found: list[Any], at: Any, size: int
) -> tuple[Arrivals, Any]:
    """The good rows as requests with the keys of their blocks of `size` tokens, and which."""
    lengths = np.array([len(row.hash_ids) for row in found], np.int64)
    fine = lengths <= np.maximum(np.ceil(columns["prompt"] / size), 1)
    for row in np.flatnonzero(~fine):
        why = f"{lengths[row]:,} keys of blocks; its prompt has fewer blocks of {size} tokens"
        reading.source.bad(int(at[row]), why)
    which = np.flatnonzero(fine)
    chunk, good = reading.request({n: c[which] for n, c in columns.items()}, at[which])
    which = which[good]
    start = np.concatenate(([0], np.cumsum(lengths[which])))
    keys = (key for row in which for key in found[row].hash_ids)
    hashes = np.fromiter(keys, np.int64, int(start[-1])) % KEYS
    return replace(chunk, hashes=hashes, hash_start=start, hash_tokens=size), which


def _lengths(found: list[Any]) -> dict[str, Any]:
    return {"prompt": column(found, "input_length"), "answer": column(found, "output_length")}


def _mooncake(reading: Reading, found: list[Any], at: Any) -> Arrivals:
    columns = {"arrived": column(found, "timestamp") / 1000, **_lengths(found)}
    return _with_hashes(reading, columns, found, at, MOONCAKE_BLOCK)[0]


def _qwen(reading: Reading, found: list[Any], at: Any) -> Arrivals:
    roots = reading.roots
    for row in found:
        roots[row.chat_id] = roots.get(row.parent_chat_id, row.chat_id)
    columns = {
        "arrived": column(found, "timestamp"),
        **_lengths(found),
        "kind": names(found, "type"),
        "session": np.array([b"%d" % roots[row.chat_id] for row in found]),
    }
    return _with_hashes(reading, columns, found, at, QWEN_BLOCK)[0]


def _agent(reading: Reading, found: list[Any], at: Any) -> Arrivals:
    """Whole sessions: each call follows the one before, a pause after its end.

    The recorded time includes the model's own; what it took to write the answer at SPEED is
    taken off, and the rest is the pause.
    """
    columns = {
        "prompt": np.ceil(column(found, "input_chars") / CHARACTERS),
        "answer": np.ceil(column(found, "output_chars") / CHARACTERS),
        "kind": names(found, "agent"),
        "session": names(found, "session"),
    }
    chunk, which = _with_hashes(reading, columns, found, at, AGENT_BLOCK)
    same = np.concatenate(([False], chunk.session[1:] == chunk.session[:-1]))[: len(chunk)]
    moment = column(found, "t_in_session_s")[which]
    gap = np.diff(moment, prepend=0.0) - np.concatenate(([0.0], chunk.answer))[:-1] / SPEED
    after = np.where(same, np.arange(len(chunk)) - 1, NOBODY)
    return replace(chunk, after=after, arrived=np.where(same, np.maximum(gap, 0.0), 0.0))


def _by_session(blocks: Iterator[Block]) -> Iterator[Block]:
    """Blocks in which no session is cut."""
    held: list[Any] = []
    lines_held = np.zeros(0, np.int64)
    for found, at in blocks:
        held, lines_held = held + found, np.concatenate((lines_held, at))
        last = next(
            (i for i in range(len(held) - 1, 0, -1) if held[i].session != held[i - 1].session), 0
        )
        if last:
            yield held[:last], lines_held[:last]
            held, lines_held = held[last:], lines_held[last:]
    if held:
        yield held, lines_held


def _aiperf(source: Source, found: list[Any], at: Any) -> tuple[dict[str, Any], Any]:
    real = np.array([row.metadata.benchmark_phase != "warmup" for row in found], np.bool_)
    for line in at[~real]:
        source.skipped.add(f"line {line:,}: warming up")
    found = [row for row, good in zip(found, real, strict=True) if good]
    return {
        "arrived": np.array([row.metadata.request_start_ns for row in found]) / 1e9,
        "prompt": np.array([row.metrics.input_sequence_length.value for row in found]),
        "answer": np.array([row.metrics.output_sequence_length.value for row in found]),
    }, at[real]
