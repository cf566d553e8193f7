"""Tenants and keys that are managed while gateways run. Of keys only hashes are kept."""

from __future__ import annotations

from collections.abc import Iterable

from eke.errors import BadInput
from eke.gateway.state.transaction import Transaction, columns, insert, values
from eke.types.record import Message

DAY = 86400.0  # s


class Key(Message):
    """One API key. hash: SHA-256 of it, in hex.  created, revoked: UTC [s].  used: the day it was
    last, UTC [s]."""

    hash: str
    tenant: str
    name: str
    created: float
    revoked: float | None = None
    used: float | None = None


class Member(Message):
    """One tenant, with what the gateway is told of it, as JSON."""

    name: str
    body: bytes


_KEYS = columns(Key)


def put(transaction: Transaction, member: Member) -> None:
    """Add a tenant, or change it."""
    transaction.run(
        "INSERT INTO tenants (name, body) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        *(member.name, member.body),
    )


def members(transaction: Transaction) -> list[Member]:
    """Every tenant, by name."""
    return [Member(*row) for row in transaction.all("SELECT name, body FROM tenants ORDER BY name")]


def add_key(transaction: Transaction, key: Key) -> None:
    """Add a key. Raises BadInput where it is there already."""
    if not transaction.run(insert("keys", Key), *values(key)):
        raise BadInput("This key is there already. Make another.")


def keys(transaction: Transaction) -> list[Key]:
    """Every key, by tenant and age."""
    found = transaction.all(f"SELECT {_KEYS} FROM keys ORDER BY tenant, created, hash")
    return [Key(*row) for row in found]


def revoke(transaction: Transaction, hash: str, now: float) -> bool:
    """A key that is good no longer; whether it was until now."""
    return bool(
        transaction.run("UPDATE keys SET revoked = ? WHERE hash = ? AND revoked IS NULL", now, hash)
    )


def used(transaction: Transaction, hashes: Iterable[str], now: float) -> None:
    """Note the day on which keys were used."""
    day = now // DAY * DAY
    transaction.many(
        "UPDATE keys SET used = ? WHERE hash = ? AND (used IS NULL OR used < ?)",
        [(day, hash, day) for hash in sorted(hashes)],
    )
