"""Deleting a document with all that belongs to it: items, contents, works."""

from __future__ import annotations

from eke.gateway.state.transaction import Transaction
from eke.types.record import Message


class Deleted(Message):
    """What was deleted."""

    id: str
    kind: str
    tenant: str


def delete(transaction: Transaction, kind: str, id: str, tenant: str) -> bool:
    """Delete a document; False where the tenant has none such.

    Its items, the contents of a file, the lines of a batch and the work of its id go with it.
    """
    found = transaction.erase(
        "DELETE FROM documents WHERE id = ? AND kind = ? AND tenant = ?", id, kind, tenant
    )
    if found:
        transaction.run("DELETE FROM blobs WHERE id = ? AND tenant = ?", id, tenant)
        transaction.run(
            "DELETE FROM works WHERE (id = ? OR parent = ?) AND tenant = ?", id, id, tenant
        )
    return bool(found)


def sweep(transaction: Transaction, now: float, most: int = 200) -> list[Deleted]:
    """Delete documents that have expired, so many at once; which they were."""
    rows = transaction.all(
        "SELECT id, kind, tenant FROM documents WHERE expires < ? ORDER BY expires, id "
        f"LIMIT ?{transaction.dialect.skip}",
        *(now, most),
    )
    return [
        Deleted(id, kind, tenant)
        for id, kind, tenant in rows
        if delete(transaction, kind, id, tenant)
    ]


class Forgotten(Message):
    """What was there of a tenant. rows: of all tables.  documents: which of them there were."""

    rows: int
    documents: tuple[Deleted, ...]


def forget(transaction: Transaction, tenant: str) -> Forgotten:
    """Delete every text of a tenant, and its budgets and settings. What it used is kept, and of
    its keys that they were there: whoever was closed by keys stays closed."""
    texts = forget_texts(transaction, tenant)
    rows = transaction.erase("DELETE FROM budgets WHERE tenant = ?", tenant)
    rows += transaction.erase(
        "UPDATE keys SET tenant = '', name = '', revoked = COALESCE(revoked, created) "
        "WHERE tenant = ?",
        tenant,
    )
    rows += transaction.erase("DELETE FROM tenants WHERE name = ?", tenant)
    return Forgotten(texts.rows + rows, texts.documents)


def forget_texts(transaction: Transaction, tenant: str) -> Forgotten:
    """Delete every text of a tenant, which stays, with what it used of its budgets."""
    found = transaction.all("SELECT id, kind FROM documents WHERE tenant = ?", tenant)
    rows = sum(
        transaction.erase(f"DELETE FROM {table} WHERE tenant = ?", tenant)
        for table in ("documents", "blobs", "works")
    )
    return Forgotten(rows, tuple(Deleted(id, kind, tenant) for id, kind in found))
