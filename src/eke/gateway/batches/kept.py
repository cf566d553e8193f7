"""What batches keep in the state: verbs for transactions.

A batch is a document and, under the same id, a work that one gateway has at a time: it checks the
lines, watches the window and makes the files. Each line is a work of its own, which any gateway
may answer; its answer, and the row it is charged by, are stored only under the claim, both at once,
so that a line is answered and charged once whatever gateways die on the way.
"""

from __future__ import annotations

from collections.abc import Iterable

from eke.gateway.batches.batch import KIND
from eke.gateway.row import Row
from eke.gateway.state import rows, standing, works
from eke.gateway.state.documents import Document
from eke.gateway.state.transaction import Transaction
from eke.gateway.state.works import Work

Bill = tuple[str, Row] | None  # name of the gateway, and what a line takes


def lines_of(batch: str) -> str:
    """Kind of the works that are lines of a batch."""
    return f"{KIND}/{batch}"


def line(batch: Document, position: int, text: bytes) -> Work:
    """A line as a work. position: in its file, from 0."""
    stamp = batch.id.partition("_")[2]
    return Work(
        id=f"batch_req_{stamp}_{position:05d}",
        kind=lines_of(batch.id),
        tenant=batch.tenant,
        body=text,
        due=batch.created,
        parent=batch.id,
        position=position,
    )


def end_line(
    transaction: Transaction, work: Work, state: str, result: bytes | None, bill: Bill
) -> bool:
    """A line is over: its result and what it takes; once, however often that is said. False where
    it was cancelled, or its claim was lost."""
    if not standing.claimed(transaction, work):
        return False
    if state != works.CANCELLED and works.ended(transaction, work, state):
        return True  # it was stored, though nobody could say so
    if not works.finish(transaction, work, state, result):
        return False
    if bill is not None:
        rows.add(transaction, bill[0], [bill[1]])
    return True


def release_line(transaction: Transaction, work: Work, due: float, tried: bool) -> bool:
    """Give a line back, for anyone to take from then on [s]; False where its claim was lost."""
    return standing.claimed(transaction, work) and works.release(transaction, work, due, tried)


def texts(transaction: Transaction, ids: Iterable[str], tenant: str) -> list[bytes]:
    """Lines as they came."""
    found = [works.get(transaction, id, tenant) for id in ids]
    return [work.body for work in found if work is not None]


def forget_lines(transaction: Transaction, batch: str, tenant: str) -> None:
    """Delete the lines of a batch whose files are there."""
    transaction.erase("DELETE FROM works WHERE parent = ? AND tenant = ?", batch, tenant)
