"""What every request took, one row each, and how the engines stood. No text of anybody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from eke.errors import BadInput
from eke.gateway.row import Row
from eke.gateway.state.transaction import Transaction, marks
from eke.types.record import Message, Record

GROUPS = ("tenant", "model", "kind", "tier", "engine", "outcome")  # what usage can be told by
_NAMES = ("gateway", *Row._fields)
_COLUMNS = ", ".join(_NAMES)


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


class Asked(Record):
    """Which rows to add up: those that came from `since` to before `until`, UTC [s].

    by: of GROUPS.  width: of the stretches of time to add up, such as 86,400 for UTC days [s].
    tenant: of one alone.
    """

    since: float
    until: float
    by: tuple[str, ...] = ()
    width: float = 86400.0
    tenant: str | None = None


class Usage(Message):
    """Sums over requests of one stretch of time and group.

    starts: of the stretch, UTC [s].  group: its values in the order asked.  seconds: of
    accelerators.  energy [J].  cost, charged, saved [USD].
    """

    starts: float
    group: tuple[str, ...]
    requests: int
    finished: int
    prompt: int
    cached: int
    tokens: int
    seconds: float
    energy: float
    cost: float
    charged: float
    saved: float


def add(transaction: Transaction, gateway: str, rows: Sequence[Row]) -> None:
    """Keep rows of one gateway; those that are there already stay."""
    transaction.many(
        f"INSERT INTO rows ({_COLUMNS}) VALUES ({marks(len(_NAMES))}) ON CONFLICT DO NOTHING",
        [(gateway, *row) for row in rows],
    )


def last(transaction: Transaction, gateway: str) -> int:
    """Number of the newest row of a gateway; -1 without one."""
    row = transaction.one("SELECT COALESCE(max(number), -1) FROM rows WHERE gateway = ?", gateway)
    return int(row[0]) if row else -1


def page(
    transaction: Transaction, since: float, until: float, after: Kept | None, most: int
) -> list[Kept]:
    """Rows that came from `since` to before `until` [s], as they came, beyond one, so many."""
    begin = (since, "", -1)
    if after is not None:
        begin = (after.row.arrived_at, after.gateway, after.row.number)
    found = transaction.all(
        f"SELECT {_COLUMNS} FROM rows WHERE (arrived_at, gateway, number) > (?, ?, ?) "
        "AND arrived_at < ? ORDER BY arrived_at, gateway, number LIMIT ?",
        *(*begin, until, most),
    )
    return [Kept(gateway, Row(*row)) for gateway, *row in found]


def usage(transaction: Transaction, asked: Asked) -> list[Usage]:
    """Sums over rows, by stretch of time and group, in their order. Raises BadInput."""
    unknown = set(asked.by) - set(GROUPS)
    if unknown:
        raise BadInput(
            f"Usage is not told by {', '.join(sorted(unknown))}, only by {', '.join(GROUPS)}."
        )
    stretch = transaction.dialect.whole("arrived_at / ?")
    whose, tenant = ("", ()) if asked.tenant is None else ("AND tenant = ?", (asked.tenant,))
    keys = ", ".join(["1", *asked.by])
    found = transaction.all(
        f"SELECT {', '.join([f'{stretch} AS stretch', *asked.by])}, count(*), "
        "CAST(sum(CASE WHEN outcome = 'finished' THEN 1 ELSE 0 END) AS BIGINT), "
        "CAST(sum(prompt) AS BIGINT), CAST(sum(cached) AS BIGINT), CAST(sum(tokens) AS BIGINT), "
        "sum(seconds), sum(energy), sum(cost), sum(charged), sum(saved) "
        f"FROM rows WHERE arrived_at >= ? AND arrived_at < ? {whose} "
        f"GROUP BY {keys} ORDER BY {keys}",
        *(asked.width, asked.since, asked.until, *tenant),
    )
    middle = 1 + len(asked.by)
    return [Usage(row[0] * asked.width, row[1:middle], *row[middle:]) for row in found]


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
