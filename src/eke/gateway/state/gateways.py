"""Which gateways are alive, and what each tells the others."""

from __future__ import annotations

from eke.gateway.state.transaction import Transaction, columns, values
from eke.types.record import Message


class Alive(Message):
    """One gateway. started, heard: UTC [s].  body: its queues by tenant and what it has on each
    engine, as JSON."""

    id: str
    started: float
    heard: float
    body: bytes


_COLUMNS = columns(Alive)


def beat(transaction: Transaction, alive: Alive) -> None:
    """A gateway says that it is there."""
    transaction.run(
        f"INSERT INTO gateways ({_COLUMNS}) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET heard = excluded.heard, body = excluded.body",
        *values(alive),
    )


def heard(transaction: Transaction, since: float) -> list[Alive]:
    """Gateways heard of since a time [s], the oldest first."""
    found = transaction.all(
        f"SELECT {_COLUMNS} FROM gateways WHERE heard >= ? ORDER BY started, id", since
    )
    return [Alive(*row) for row in found]


def leave(transaction: Transaction, id: str) -> bool:
    """A gateway goes; whether it was there."""
    return bool(transaction.run("DELETE FROM gateways WHERE id = ?", id))


def sweep(transaction: Transaction, before: float) -> int:
    """Forget gateways not heard of since a time [s]; how many."""
    return transaction.run("DELETE FROM gateways WHERE heard < ?", before)
