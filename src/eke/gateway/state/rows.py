"""What every request took, one row each, and how the engines stood. No text of anybody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from eke.gateway.row import Row
from eke.gateway.state.transaction import Transaction, marks
from eke.types.record import Message, Record

Moment = Literal["arrived_at", "ended_at"]

_NAMES = ("gateway", *Row._fields)
_COLUMNS = ", ".join(_NAMES)
_MOMENTS: dict[Moment, str] = {  # each has an index
    "arrived_at": "arrived_at",
    "ended_at": "arrived_at + finished - arrived",
}


class Sample(NamedTuple):
    """One engine at one moment, as `eke.types.run.TIMELINE` says; time is UTC [s], alive 0 or 1."""

    engine: str
    time: float
    running: int
    waiting: int
    queued: int
    cache: float
    busy: float
    tokens: float
    alive: int


class Kept(Message):
    """A row, and the gateway it comes from."""

    gateway: str
    row: Row


class Span(Record):
    """Requests that came, or ended, from `since` to before `until`, UTC [s]."""

    since: float
    until: float
    moment: Moment = "arrived_at"


def add(transaction: Transaction, gateway: str, rows: Sequence[Row]) -> None:
    """Keep rows of one gateway; those that are there already stay."""
    transaction.many(
        f"INSERT INTO rows ({_COLUMNS}) VALUES ({marks(len(_NAMES))}) ON CONFLICT DO NOTHING",
        [(gateway, *row) for row in rows],
    )


def page(transaction: Transaction, span: Span, after: Kept | None, most: int) -> list[Kept]:
    """Rows of a stretch of time in the order of its moments, beyond one, so many."""
    begin = (span.since, "", -1)
    if after is not None:
        begin = (getattr(after.row, span.moment), after.gateway, after.row.number)
    moment = _MOMENTS[span.moment]
    found = transaction.all(
        f"SELECT {_COLUMNS} FROM rows WHERE ({moment}, gateway, number) > (?, ?, ?) "
        f"AND {moment} >= ? AND {moment} < ? "  # SQLite finds the first by a value alone
        f"ORDER BY {moment}, gateway, number LIMIT ?",
        *(*begin, begin[0], span.until, most),
    )
    return [Kept(gateway, Row(*row)) for gateway, *row in found]


def add_samples(transaction: Transaction, gateway: str, samples: Iterable[Sample]) -> None:
    """Keep how engines stood, as one gateway saw it."""
    names = ("gateway", *Sample._fields)
    transaction.many(
        f"INSERT INTO samples ({', '.join(names)}) VALUES ({marks(len(names))}) "
        "ON CONFLICT DO NOTHING",
        [(gateway, *sample) for sample in samples],
    )


def samples(transaction: Transaction, gateway: str, since: float, until: float) -> list[Sample]:
    """How engines stood as one gateway saw it, from `since` to before `until` [s]."""
    found = transaction.all(
        f"SELECT {', '.join(Sample._fields)} FROM samples "
        "WHERE time >= ? AND time < ? AND gateway = ? ORDER BY time, engine",
        *(since, until, gateway),
    )
    return [Sample(*row) for row in found]


def sweep(transaction: Transaction, before: float) -> int:
    """Forget rows and samples from before a time [s]; how many rows."""
    transaction.run("DELETE FROM samples WHERE time < ?", before)
    return transaction.run("DELETE FROM rows WHERE arrived_at < ?", before)
