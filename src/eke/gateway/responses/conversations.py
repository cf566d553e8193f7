"""What is kept of conversations: verbs for the state, each one transaction.

A conversation is a document; its items are those that were put in, and what responses add.
"""

from __future__ import annotations

from typing import Any

import msgspec

from eke.gateway.refusal import not_found
from eke.gateway.responses import kept
from eke.gateway.responses.items import Item
from eke.gateway.responses.kept import CONVERSATION, Text, alive, no_conversation
from eke.gateway.settings import Tenant
from eke.gateway.state import deleting, documents, items, standing
from eke.gateway.state.documents import Document
from eke.gateway.state.transaction import Transaction
from eke.types.record import replace


def document(id: str, tenant: Tenant, metadata: dict[str, str] | None, now: float) -> Document:
    """A new conversation. now: UTC [s]."""
    body = msgspec.json.encode({"metadata": metadata or {}})
    expires = now + tenant.retention
    return Document(id, CONVERSATION, tenant.name, now, "kept", body, expires)


def told(document: Document) -> dict[str, Any]:
    """A conversation as OpenAI's clients know it."""
    body = msgspec.json.decode(document.body)
    created = int(document.created)
    return {"id": document.id, "object": "conversation", "created_at": created, **body}


def create(transaction: Transaction, document: Document, added: list[Item]) -> None:
    """Store a new one."""
    documents.create(transaction, document)
    items.append(transaction, document.id, document.tenant, _rows(added))


def get(transaction: Transaction, id: str, tenant: str, now: float) -> Document:
    """One of them. Raises Refusal 404."""
    found = alive(documents.get(transaction, CONVERSATION, id, tenant), now)
    if found is None:
        raise no_conversation(id)
    return found


def update(
    transaction: Transaction, id: str, tenant: str, now: float, metadata: dict[str, str]
) -> Document:
    """Change its metadata. Raises Refusal 404."""
    body = msgspec.json.encode({"metadata": metadata})
    found = get(transaction, id, tenant, now)
    return standing.change(transaction, found, lambda it: replace(it, body=body)) or found


def add(
    transaction: Transaction, id: str, tenant: str, now: float, added: list[Item], until: float
) -> None:
    """Add items at its end; it is kept until then [s]. Raises Refusal 404."""
    found = get(transaction, id, tenant, now)
    items.append(transaction, id, tenant, _rows(added))
    standing.change(transaction, found, lambda it: replace(it, expires=until))


def page(transaction: Transaction, wanted: items.Slice, now: float) -> tuple[list[Item], bool]:
    """A page of its items, and whether there are more. Raises Refusal 404."""
    get(transaction, wanted.owner, wanted.tenant, now)
    return kept.page(transaction, wanted) or ([], False)


def item(transaction: Transaction, id: str, tenant: str, now: float, name: str) -> Item:
    """One of its items. Raises Refusal 404."""
    get(transaction, id, tenant, now)
    found = items.get(transaction, id, name, tenant)
    if found is None:
        raise not_found(f"Item with id '{name:.80}' not found.")
    return Text.decode(found.body)


def remove(transaction: Transaction, id: str, tenant: str, now: float, name: str) -> Document:
    """Delete one of its items. Raises Refusal 404."""
    found = get(transaction, id, tenant, now)
    if not items.delete(transaction, id, name, tenant):
        raise not_found(f"Item with id '{name:.80}' not found.")
    return found


def delete(transaction: Transaction, id: str, tenant: str) -> bool:
    """Delete it with its items; whether it was there."""
    return deleting.delete(transaction, CONVERSATION, id, tenant)


def _rows(added: list[Item]) -> list[items.Item]:
    return [items.Item(item["id"], msgspec.json.encode(item)) for item in added]
