"""What gateways go on with: documents that stand open, and the works under their ids.

A thing that takes long, such as a batch, is a document and, under the same id, a work that one
gateway has at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from eke.errors import Sealed
from eke.gateway.state import documents, works
from eke.gateway.state.documents import Document
from eke.gateway.state.transaction import Transaction, marks
from eke.types.record import replace

Change = Callable[[Document], Document | None]


def begin(transaction: Transaction, document: Document) -> None:
    """A new one, for any gateway to take."""
    documents.create(transaction, document)
    work = works.Work(document.id, document.kind, document.tenant, b"", document.created)
    works.add(transaction, [work])


def change(transaction: Transaction, document: Document, how: Change) -> Document | None:
    """Change a document as it stands now; None where it is gone. how: None leaves it as it is."""
    while True:
        found = documents.get(transaction, document.kind, document.id, document.tenant)
        new = None if found is None else how(found)
        if found is None or new is None:
            return found
        if documents.update(transaction, new):
            return replace(new, revision=new.revision + 1)


def open_ones(transaction: Transaction, kind: str, statuses: Sequence[str]) -> list[Document]:
    """Documents of every tenant that stand so, oldest first; not those whose key is gone."""
    rows = transaction.all(
        f"SELECT id, tenant FROM documents WHERE kind = ? AND status IN ({marks(len(statuses))}) "
        "ORDER BY created, id",
        *(kind, *statuses),
    )
    return list(_opened(transaction, kind, rows))


def free(transaction: Transaction, kind: str, now: float) -> None:
    """Let others have works of a kind, and of kinds below it, whose gateways are gone. now: UTC
    [s]."""
    transaction.run(
        "UPDATE works SET state = 'queued', owner = NULL, until = NULL "
        "WHERE state = 'claimed' AND until < ? AND (kind = ? OR kind LIKE ?)",
        *(now, kind, f"{kind}/%"),
    )


def owners(transaction: Transaction, kind: str) -> list[str]:
    """Who has claimed works of a kind, and of kinds below it."""
    rows = transaction.all(
        "SELECT DISTINCT owner FROM works "
        "WHERE state = 'claimed' AND (kind = ? OR kind LIKE ?) ORDER BY owner",
        *(kind, f"{kind}/%"),
    )
    return [owner for (owner,) in rows]


def disown(transaction: Transaction, kind: str, owner: str) -> None:
    """Let others have what an owner claimed that is gone."""
    transaction.run(
        "UPDATE works SET state = 'queued', owner = NULL, until = NULL "
        "WHERE state = 'claimed' AND owner = ? AND (kind = ? OR kind LIKE ?)",
        *(owner, kind, f"{kind}/%"),
    )


def claimed(transaction: Transaction, work: works.Work) -> bool:
    """Whether a work was not claimed again since, be it by the same gateway: each claim is one
    more attempt, and only who has it takes that back."""
    row = transaction.one(
        f"SELECT attempts FROM works WHERE id = ?{transaction.dialect.lock}", work.id
    )
    return row is not None and row[0] == work.attempts


def revive(transaction: Transaction, kind: str, statuses: Sequence[str], now: float) -> int:
    """The works of what stands open are there to be taken, whatever became of them with the
    gateways that had them; how many were not. now: UTC [s]."""
    return transaction.run(
        "UPDATE works SET state = 'queued', attempts = 0, due = ? "
        "WHERE kind = ? AND state IN ('done', 'failed', 'cancelled') AND id IN ("
        f"SELECT id FROM documents WHERE kind = ? AND status IN ({marks(len(statuses))}))",
        *(now, kind, kind, *statuses),
    )


def _opened(
    transaction: Transaction, kind: str, rows: Iterable[tuple[str, str]]
) -> Iterable[Document]:
    for id, tenant in rows:
        try:
            found = documents.get(transaction, kind, id, tenant)
        except Sealed:
            continue
        if found is not None:
            yield found
