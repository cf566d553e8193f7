"""Work that outlives a process: each is claimed by one gateway at a time, and ends once.

A claim is a lease: who holds it says so again before it runs out, else others may take it over.
Source: gray1989.
"""

from __future__ import annotations

from collections.abc import Iterable

from eke.errors import Sealed
from eke.gateway.state.sealing import Place
from eke.gateway.state.transaction import Transaction, columns, insert, values
from eke.types.record import Message, Record, replace

QUEUED, CLAIMED, DONE, FAILED, CANCELLED = "queued", "claimed", "done", "failed", "cancelled"


class Work(Message):
    """One piece of work.

    kind: "background" (a request), "batch", "batch/ID" (a line of that one) or "job" (fine-tuning).
    body: what is to be done, JSON.  due: not before, UTC [s].  parent: the batch, and position in
    it.
    owner: gateway that has it, until when [s].  attempts: how often it was begun.
    """

    id: str
    kind: str
    tenant: str
    body: bytes
    due: float
    parent: str | None = None
    position: int = 0
    state: str = QUEUED
    owner: str | None = None
    until: float | None = None
    attempts: int = 0


class Claim(Record):
    """What a gateway wants to work on: at most so many of these kinds, the first ones first, now
    due, held until then [s]; of one tenant, or of anyone."""

    owner: str
    kinds: tuple[str, ...]
    most: int
    now: float
    until: float
    tenant: str | None = None


class Taken(Message):
    """A work whose owner is gone, and where it stands now: queued, or failed."""

    id: str
    kind: str
    tenant: str
    parent: str | None
    state: str


class Result(Message):
    """How a work of a batch ended, and what came of it."""

    position: int
    id: str
    state: str
    result: bytes | None


_COLUMNS = columns(Work)
_INSERT = insert("works", Work)


def add(transaction: Transaction, works: Iterable[Work]) -> None:
    """Queue works; those that are there already stay as they are."""
    transaction.many(
        _INSERT,
        [values(replace(work, body=transaction.seal(_place(work), work.body))) for work in works],
    )


def get(transaction: Transaction, id: str, tenant: str) -> Work | None:
    """The work; None where the tenant has none such."""
    row = transaction.one(f"SELECT {_COLUMNS} FROM works WHERE id = ? AND tenant = ?", id, tenant)
    return None if row is None else _read(transaction, row)


def claim(transaction: Transaction, wanted: Claim) -> list[Work]:
    """Take works, longest due first; nobody else gets these. One that cannot be unsealed fails."""
    taken: list[Work] = []
    for kind in wanted.kinds:
        if len(taken) < wanted.most:
            taken += _take(transaction, wanted, kind, wanted.most - len(taken))
    return taken


def extend(transaction: Transaction, owner: str, until: float) -> set[str]:
    """Hold all that one has until then [s]; which these are. Others were cancelled or taken."""
    rows = transaction.all(
        "UPDATE works SET until = ? WHERE owner = ? AND state = 'claimed' RETURNING id",
        *(until, owner),
    )
    return {id for (id,) in rows}


def finish(transaction: Transaction, work: Work, state: str, result: bytes | None) -> bool:
    """End a work that was claimed, and store its result; False where another has it by now.

    state: "done", "failed" or "cancelled".
    """
    sealed = None if result is None else transaction.seal(_place(work, "result"), result)
    ended = transaction.run(
        "UPDATE works SET state = ?, result = ?, until = NULL "
        "WHERE id = ? AND owner = ? AND state = 'claimed'",
        *(state, sealed, work.id, work.owner),
    )
    return ended == 1


def ended(transaction: Transaction, work: Work, state: str) -> bool:
    """Whether a work ended so under this very claim, as who lost the state meanwhile may ask."""
    rows = transaction.all(
        "SELECT id FROM works WHERE id = ? AND owner = ? AND attempts = ? AND state = ?",
        *(work.id, work.owner, work.attempts, state),
    )
    return len(rows) == 1


def release(transaction: Transaction, work: Work, due: float, tried: bool) -> bool:
    """Give back a work that was claimed, for anyone to take from then on [s]; False where another
    has it by now. tried: whether this counts as an attempt."""
    back = transaction.run(
        "UPDATE works SET state = 'queued', owner = NULL, until = NULL, due = ?, "
        "attempts = attempts - ? WHERE id = ? AND owner = ? AND state = 'claimed'",
        *(due, 0 if tried else 1, work.id, work.owner),
    )
    return back == 1


def cancel(transaction: Transaction, id: str, tenant: str) -> bool:
    """End a work that is queued or claimed; its owner sees it when it extends or finishes."""
    ended = transaction.run(
        "UPDATE works SET state = 'cancelled', until = NULL "
        "WHERE id = ? AND tenant = ? AND state IN ('queued', 'claimed')",
        *(id, tenant),
    )
    return ended == 1


def cancel_queued(transaction: Transaction, parent: str, tenant: str) -> int:
    """End what nobody has begun of a batch; how many. What is claimed may still finish."""
    return transaction.run(
        "UPDATE works SET state = 'cancelled' WHERE parent = ? AND tenant = ? AND state = 'queued'",
        *(parent, tenant),
    )


def requeue(transaction: Transaction, now: float, most: int) -> list[Taken]:
    """Take works from gateways that were not heard of in time. Begun `most` times, one fails: it
    may be what ends the gateways."""
    rows = transaction.all(
        "UPDATE works SET state = CASE WHEN attempts >= ? THEN 'failed' ELSE 'queued' END, "
        "owner = NULL, until = NULL WHERE state = 'claimed' AND until < ? "
        "RETURNING id, kind, tenant, parent, state",
        *(most, now),
    )
    return [Taken(*row) for row in rows]


def counts(transaction: Transaction, parent: str) -> dict[str, int]:
    """How many works of a batch are in which state."""
    rows = transaction.all(
        "SELECT state, count(*) FROM works WHERE parent = ? GROUP BY state", parent
    )
    return dict(rows)


def results(
    transaction: Transaction, parent: str, tenant: str, after: int, most: int
) -> list[Result]:
    """What came of a batch, in its order, beyond a position (-1 to begin), at most so many."""
    rows = transaction.all(
        "SELECT position, id, state, result FROM works WHERE parent = ? AND tenant = ? "
        "AND position > ? AND state IN ('done', 'failed', 'cancelled') "
        "ORDER BY position LIMIT ?",
        *(parent, tenant, after, most),
    )
    return [
        Result(
            *(position, id, state),
            None if text is None else transaction.unseal(Place("result", id, tenant), text),
        )
        for position, id, state, text in rows
    ]


def _take(transaction: Transaction, wanted: Claim, kind: str, most: int) -> list[Work]:
    whose, tenant = ("", ()) if wanted.tenant is None else ("AND tenant = ?", (wanted.tenant,))
    rows = transaction.all(
        "WITH chosen AS MATERIALIZED ("
        f"  SELECT id FROM works WHERE state = 'queued' AND kind = ? {whose} AND due <= ?"
        f"  ORDER BY due, position LIMIT ?{transaction.dialect.skip}"
        ") "
        "UPDATE works SET state = 'claimed', owner = ?, until = ?, attempts = attempts + 1 "
        f"WHERE id IN (SELECT id FROM chosen) RETURNING {_COLUMNS}",
        *(kind, *tenant, wanted.now, most, wanted.owner, wanted.until),
    )
    works = [work for row in rows if (work := _opened(transaction, row)) is not None]
    return sorted(works, key=lambda work: (work.due, work.position))


def _opened(transaction: Transaction, row: tuple[object, ...]) -> Work | None:
    """A claimed work; one whose key is gone fails, so that it does not stop the others."""
    try:
        return _read(transaction, row)
    except Sealed:
        finish(transaction, Work(*row), FAILED, None)  # type: ignore[arg-type]
        return None


def _place(work: Work, kind: str = "work") -> Place:
    return Place(kind, work.id, work.tenant)


def _read(transaction: Transaction, row: tuple[object, ...]) -> Work:
    work = Work(*row)  # type: ignore[arg-type]
    return replace(work, body=transaction.unseal(_place(work), work.body))
