"""The items of conversations and responses, in order.

A response keeps its own input and output only, and which response it goes on from; a long
conversation of responses is read by following these, and branches share what they have in common.
"""

from __future__ import annotations

from collections.abc import Sequence

from eke.errors import BadInput
from eke.gateway.state.sealing import Place
from eke.gateway.state.transaction import Transaction
from eke.types.record import Message, Record


class Item(Message):
    """One item.

    body: JSON.  part: of its owner, such as "input" or "output".  position: set when it is stored.
    """

    id: str
    body: bytes
    part: str = ""
    position: int = 0


class Slice(Record):
    """Which items of an owner: after one, at most `limit`, newest or oldest first, of one part
    ("" for all)."""

    owner: str
    tenant: str
    part: str = ""
    after: str | None = None
    limit: int = 20
    newest: bool = True


class Chain(Record):
    """What was said up to a response, oldest first.

    missing: the response it breaks off at, which is deleted or beyond the depth; None for none.
    """

    items: tuple[Item, ...]
    missing: str | None


def append(transaction: Transaction, owner: str, tenant: str, items: Sequence[Item]) -> bool:
    """Add items after those there are. False where the tenant has no such owner.

    Raises BadInput where an id is there already.
    """
    if not _owned(transaction, owner, tenant, transaction.dialect.lock):
        return False
    row = transaction.one("SELECT COALESCE(max(position), -1) FROM items WHERE owner = ?", owner)
    begin = 1 + (row[0] if row else -1)
    added = transaction.many(
        "INSERT INTO items (owner, position, id, part, body) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        [
            (owner, begin + i, item.id, item.part, _sealed(transaction, owner, tenant, item))
            for i, item in enumerate(items)
        ],
    )
    if items and added != len(items):
        raise BadInput(f"{owner!r} has an item with one of these ids already.")
    return True


def page(transaction: Transaction, wanted: Slice) -> tuple[list[Item], bool] | None:
    """Items, and whether there are more. None where the tenant has no such owner.

    Raises BadInput where `after` is not among them.
    """
    if not _owned(transaction, wanted.owner, wanted.tenant):
        return None
    way, sign = ("DESC", "<") if wanted.newest else ("ASC", ">")
    where, given = "owner = ?", [wanted.owner]
    if wanted.part:
        where, given = f"{where} AND part = ?", [*given, wanted.part]
    begin: tuple[int, ...] = ()
    if wanted.after is not None:
        where, begin = f"{where} AND position {sign} ?", (_position(transaction, wanted),)
    rows = transaction.all(
        f"SELECT id, body, part, position FROM items WHERE {where} ORDER BY position {way} LIMIT ?",
        *(*given, *begin, wanted.limit + 1),
    )
    kept = rows[: wanted.limit]
    items = [_read(transaction, wanted.owner, wanted.tenant, row) for row in kept]
    return items, len(rows) > wanted.limit


def get(transaction: Transaction, owner: str, id: str, tenant: str) -> Item | None:
    """One item; None where the tenant has none such."""
    row = transaction.one(
        "SELECT i.id, i.body, i.part, i.position FROM items i JOIN documents d ON d.id = i.owner "
        "WHERE i.owner = ? AND i.id = ? AND d.tenant = ?",
        *(owner, id, tenant),
    )
    return None if row is None else _read(transaction, owner, tenant, row)


def delete(transaction: Transaction, owner: str, id: str, tenant: str) -> bool:
    """Delete one item; whether it was there."""
    found = _owned(transaction, owner, tenant)
    return bool(
        found and transaction.erase("DELETE FROM items WHERE owner = ? AND id = ?", owner, id)
    )


def chain(transaction: Transaction, id: str, tenant: str, depth: int) -> Chain | None:
    """What was said up to a response and in it. None where the tenant has no such response.

    depth: most responses to follow.
    """
    rows = transaction.all(
        "WITH RECURSIVE chain (id, previous, back) AS ("
        "  SELECT id, previous, 1 FROM documents"
        "  WHERE id = ? AND kind = 'response' AND tenant = ?"
        "  UNION ALL"
        "  SELECT d.id, d.previous, chain.back + 1"
        "  FROM chain JOIN documents d ON d.id = chain.previous"
        "  WHERE d.kind = 'response' AND d.tenant = ? AND chain.back < ?"
        ") "
        "SELECT chain.id, chain.previous, i.id, i.body, i.part, i.position "
        "FROM chain LEFT JOIN items i ON i.owner = chain.id ORDER BY chain.back DESC, i.position",
        *(id, tenant, tenant, depth),
    )
    if not rows:
        return None
    items = tuple(
        _read(transaction, owner, tenant, row) for owner, _, *row in rows if row[0] is not None
    )
    return Chain(items=items, missing=rows[0][1])


def _owned(transaction: Transaction, owner: str, tenant: str, lock: str = "") -> bool:
    """Whether the owner is the tenant's; with a lock nobody else adds to it meanwhile."""
    return bool(
        transaction.one(
            f"SELECT id FROM documents WHERE id = ? AND tenant = ?{lock}", owner, tenant
        )
    )


def _position(transaction: Transaction, wanted: Slice) -> int:
    row = transaction.one(
        "SELECT position FROM items WHERE owner = ? AND id = ?", wanted.owner, wanted.after
    )
    if row is None:
        raise BadInput(f"There is no item {wanted.after!r} to list after.")
    return int(row[0])


def _place(owner: str, id: str, tenant: str) -> Place:
    return Place("item", f"{owner}/{id}", tenant)


def _sealed(transaction: Transaction, owner: str, tenant: str, item: Item) -> bytes:
    return transaction.seal(_place(owner, item.id, tenant), item.body)


def _read(transaction: Transaction, owner: str, tenant: str, row: Sequence[object]) -> Item:
    id, body, part, position = row
    text = transaction.unseal(_place(owner, id, tenant), body)  # type: ignore[arg-type]
    return Item(id, text, part, position)  # type: ignore[arg-type]
