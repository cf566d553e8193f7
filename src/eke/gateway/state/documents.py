"""What the API stores under an id: responses, conversations, files, batches, jobs."""

from __future__ import annotations

from typing import Any

from eke.errors import BadInput, Sealed
from eke.gateway.state.sealing import Place
from eke.gateway.state.transaction import Transaction, columns, insert, values
from eke.types.record import Message, Record, replace


class Document(Message):
    """One of them.

    kind: "response", "conversation", "file", "batch" or "job".  created, expires: UTC [s].
    body: JSON.  label: what it is listed by besides, such as the purpose of a file.
    previous: the response this one goes on from.  revision: how often it was changed.
    """

    id: str
    kind: str
    tenant: str
    created: float
    status: str
    body: bytes
    expires: float | None = None
    label: str = ""
    previous: str | None = None
    revision: int = 0


class Listing(Record):
    """Which page of a tenant's documents: those after one, at most `limit`, newest first or
    oldest first."""

    kind: str
    tenant: str
    label: str = ""
    after: str | None = None
    limit: int = 20
    newest: bool = True


class Page(Record):
    """One page, and whether there is another."""

    documents: tuple[Document, ...]
    more: bool


_COLUMNS = columns(Document)
_INSERT = insert("documents", Document)


def create(transaction: Transaction, document: Document) -> None:
    """Store a new one. Raises BadInput where its id is taken."""
    sealed = replace(document, body=transaction.seal(_place(document), document.body))
    if not transaction.run(_INSERT, *values(sealed)):
        raise BadInput(f"There is already something with the id {document.id!r}.")


def get(transaction: Transaction, kind: str, id: str, tenant: str) -> Document | None:
    """The document; None where the tenant has none such."""
    row = transaction.one(
        f"SELECT {_COLUMNS} FROM documents WHERE id = ? AND kind = ? AND tenant = ?",
        *(id, kind, tenant),
    )
    return None if row is None else _read(transaction, row)


def update(transaction: Transaction, document: Document) -> bool:
    """Store it changed, unless somebody else changed it since it was read; whether it was.

    Its status, body and expiry change, and its revision grows by one.
    """
    changed = transaction.run(
        "UPDATE documents SET status = ?, body = ?, expires = ?, revision = revision + 1 "
        "WHERE id = ? AND kind = ? AND tenant = ? AND revision = ?",
        document.status,
        transaction.seal(_place(document), document.body),
        document.expires,
        *(document.id, document.kind, document.tenant, document.revision),
    )
    return changed == 1


def page(transaction: Transaction, listing: Listing) -> Page:
    """One page of a tenant's documents, but for those whose key is gone. Raises BadInput where
    `after` is not among them."""
    begins = None if listing.after is None else _cursor(transaction, listing)
    found: list[Document] = []
    while (short := listing.limit + 1 - len(found)) > 0:
        rows = _rows(transaction, listing, begins, short)
        opened = (_opened(transaction, row) for row in rows)
        found += [document for document in opened if document is not None]
        if len(rows) < short:
            break
        last = Document(*rows[-1])
        begins = last.created, last.id
    return Page(documents=tuple(found[: listing.limit]), more=len(found) > listing.limit)


def _rows(
    transaction: Transaction, listing: Listing, begins: Any, most: int
) -> list[tuple[Any, ...]]:
    """So many of a list as they are stored, beyond a time and an id."""
    where, given = "kind = ? AND tenant = ?", [listing.kind, listing.tenant]
    if listing.label:
        where, given = f"{where} AND label = ?", [*given, listing.label]
    way, sign = ("DESC", "<") if listing.newest else ("ASC", ">")
    if begins is not None:
        where, given = f"{where} AND (created, id) {sign} (?, ?)", [*given, *begins]
    return transaction.all(
        f"SELECT {_COLUMNS} FROM documents WHERE {where} ORDER BY created {way}, id {way} LIMIT ?",
        *(*given, most),
    )


def _cursor(transaction: Transaction, listing: Listing) -> tuple[Any, ...]:
    """The time and the id that a list goes on after."""
    row = transaction.one(
        "SELECT created, id FROM documents WHERE id = ? AND kind = ? AND tenant = ?",
        *(listing.after, listing.kind, listing.tenant),
    )
    if row is None:
        raise BadInput(f"There is no {listing.kind} {listing.after!r} to list after.")
    return row


def _place(document: Document) -> Place:
    return Place(document.kind, document.id, document.tenant)


def _opened(transaction: Transaction, row: tuple[object, ...]) -> Document | None:
    """The document of a row; None where its key is gone."""
    try:
        return _read(transaction, row)
    except Sealed:
        return None


def _read(transaction: Transaction, row: tuple[object, ...]) -> Document:
    document = Document(*row)  # type: ignore[arg-type]
    return replace(document, body=transaction.unseal(_place(document), document.body))
