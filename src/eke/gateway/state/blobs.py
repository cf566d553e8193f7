"""The contents of files, in pieces; nobody sees one before it is complete."""

from __future__ import annotations

from eke.errors import BadInput, StateError
from eke.gateway.state.sealing import Place
from eke.gateway.state.transaction import Transaction
from eke.types.record import Message

PIECE = 256 * 1024  # bytes


class Blob(Message):
    """What one file holds. created: UTC [s].  size [B].  pieces: of PIECE bytes, the last less."""

    id: str
    tenant: str
    created: float
    size: int
    pieces: int


def begin(transaction: Transaction, id: str, tenant: str, created: float) -> None:
    """A new one, without pieces yet. Raises BadInput where its id is taken."""
    added = transaction.run(
        "INSERT INTO blobs (id, tenant, created, size, pieces, complete) "
        "VALUES (?, ?, ?, 0, 0, 0) ON CONFLICT DO NOTHING",
        *(id, tenant, created),
    )
    if not added:
        raise BadInput(f"There is already something with the id {id!r}.")


def put(transaction: Transaction, id: str, tenant: str, number: int, piece: bytes) -> None:
    """The next piece. Raises BadInput where the upload is over, or was given up."""
    grown = transaction.run(
        "UPDATE blobs SET size = size + ?, pieces = pieces + 1 "
        "WHERE id = ? AND tenant = ? AND complete = 0 AND pieces = ?",
        *(len(piece), id, tenant, number),
    )
    if not grown:
        raise BadInput(f"The upload {id!r} is over. Begin it again.")
    transaction.run(
        "INSERT INTO pieces (blob, number, body) VALUES (?, ?, ?)",
        *(id, number, transaction.seal(_place(id, number, tenant), piece)),
    )


def finish(transaction: Transaction, id: str, tenant: str) -> Blob:
    """It is complete. Raises BadInput where it was given up."""
    transaction.run("UPDATE blobs SET complete = 1 WHERE id = ? AND tenant = ?", id, tenant)
    blob = get(transaction, id, tenant)
    if blob is None:
        raise BadInput(f"The upload {id!r} is over. Begin it again.")
    return blob


def get(transaction: Transaction, id: str, tenant: str) -> Blob | None:
    """A complete one; None where the tenant has none such."""
    row = transaction.one(
        "SELECT id, tenant, created, size, pieces FROM blobs "
        "WHERE id = ? AND tenant = ? AND complete = 1",
        *(id, tenant),
    )
    return None if row is None else Blob(*row)


def piece(transaction: Transaction, blob: Blob, number: int) -> bytes:
    """One piece of it. Raises StateError where it is gone: the file was deleted meanwhile."""
    row = transaction.one("SELECT body FROM pieces WHERE blob = ? AND number = ?", blob.id, number)
    if row is None:
        raise StateError(f"The file {blob.id!r} was deleted while it was read.")
    return transaction.unseal(_place(blob.id, number, blob.tenant), row[0])


def give_up(transaction: Transaction, id: str, tenant: str) -> bool:
    """Delete it unless it is complete; whether it was there. One that is complete stays: who was
    cancelled while it was finished does not know."""
    return bool(
        transaction.erase(
            "DELETE FROM blobs WHERE id = ? AND tenant = ? AND complete = 0", id, tenant
        )
    )


def sweep(transaction: Transaction, before: float) -> int:
    """Delete what was begun before a time [s] and never completed; how many."""
    return transaction.erase("DELETE FROM blobs WHERE complete = 0 AND created < ?", before)


def _place(id: str, number: int, tenant: str) -> Place:
    return Place("piece", f"{id}/{number}", tenant)
