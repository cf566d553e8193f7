"""Limits that hold however many gateways there are: each spends leave that it was given before.

spent + leased ≤ the limit, at every moment: leave is given in one transaction, and what a gateway
used replaces leave it had. Only the request that finds out late that it took more than it was
given leave for may pass the limit, by what it took more. Leave of a gateway that is not heard of
counts as spent, until it tells better. Amounts are whole numbers of a unit that the caller
chooses (tokens, requests, billionths of a USD), so that sums are exact. Source: gray1989.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eke.gateway.state.transaction import Transaction, columns, marks
from eke.types.record import Message


class Window(Message):
    """One limit of a tenant in one stretch of time, from `starts` to `ends` (inf for ever), UTC
    [s]."""

    tenant: str
    name: str
    starts: float
    ends: float


class Ask(Message):
    """What leave a gateway wants: `wanted`, or not less than `least`, of a limit of `most`; held
    until then [s]."""

    window: Window
    most: int
    wanted: int
    least: int
    until: float


class Given(Message):
    """What leave a gateway gets: so much more.

    left: of the limit that nobody has told to have used.  others: whether it is refused though
    another gateway has leave to use some of that.
    """

    amount: int
    left: int
    others: bool


class Settled(Message):
    """So much of a limit of `most` was used, and so much leave is given back. beyond: of what was
    used, for which there was no leave."""

    window: Window
    most: int
    used: int
    back: int
    beyond: int = 0

    def after(self, other: Settled) -> Settled:
        """This and what was settled of the same window before."""
        sums = (self.used + other.used, self.back + other.back, self.beyond + other.beyond)
        return Settled(self.window, self.most, *sums)


class Budget(Message):
    """How a window stands. lost: of what is spent, leave of gateways that are not heard of."""

    tenant: str
    name: str
    starts: float
    ends: float
    most: int
    spent: int
    leased: int
    lost: int


class Lost(Message):
    """Leave that counts as spent because its gateway was not heard of in time."""

    gateway: str
    tenant: str
    name: str
    starts: float
    amount: int


AT_ONCE = 500  # tenants that are asked for at once

Key = tuple[str, str, float]  # of a window

_KEY = "tenant = ? AND name = ? AND starts = ?"
_COLUMNS = columns(Budget)


def lease(
    transaction: Transaction, gateway: str, ask: Ask, settled: Settled | None = None
) -> Given:
    """Leave for as much as is free and wanted; none where less than its least is free.

    settled: what is to be told of the same window before.
    """
    if settled is not None:
        _settle(transaction, gateway, settled)
    return _lease(transaction, gateway, ask, alone=False)


def rest(transaction: Transaction, gateway: str, ask: Ask, settled: Settled | None = None) -> Given:
    """Leave for all that is free, where nobody else has leave; else none. settled: as above."""
    if settled is not None:
        _settle(transaction, gateway, settled)
    return _lease(transaction, gateway, ask, alone=True)


def settle(transaction: Transaction, gateway: str, settled: Sequence[Settled]) -> None:
    """Take in what was used and is given back.

    What counts as lost meanwhile is taken back first that far.
    """
    for each in sorted(settled, key=lambda each: _key(each.window)):  # nobody waits in a ring
        _settle(transaction, gateway, each)


def leave(transaction: Transaction, gateway: str) -> None:
    """Give back all leave of a gateway that ends."""
    rows = transaction.all(
        "SELECT tenant, name, starts, amount FROM leases WHERE gateway = ? AND amount > 0", gateway
    )
    for tenant, name, starts, amount in sorted(rows):
        _locked(transaction, (tenant, name, starts))
        _book(transaction, gateway, (tenant, name, starts), 0, amount)


def renew(transaction: Transaction, gateway: str, until: float) -> int:
    """Hold all one's leave until then [s]; of how many windows."""
    return transaction.run(
        "UPDATE leases SET until = ? WHERE gateway = ? AND amount > 0", until, gateway
    )


def expire(transaction: Transaction, now: float) -> list[Lost]:
    """Count as spent the leave of gateways that were not heard of in time."""
    rows = transaction.all(
        "SELECT tenant, name, starts, gateway FROM leases WHERE amount > 0 AND until < ?", now
    )
    lost = []
    for tenant, name, starts, gateway in sorted(rows):
        amount = _expire(transaction, gateway, (tenant, name, starts), now)
        if amount:  # else its gateway was heard of just now
            lost.append(Lost(gateway, tenant, name, starts, amount))
    return lost


def standing(transaction: Transaction, tenant: str) -> list[Budget]:
    """How every window of a tenant stands, by name and time."""
    rows = transaction.all(
        f"SELECT {_COLUMNS} FROM budgets WHERE tenant = ? ORDER BY name, starts", tenant
    )
    return [Budget(*row) for row in rows]


def current(transaction: Transaction, tenants: Sequence[str], now: float) -> list[Budget]:
    """How the windows of some tenants stand in which a moment lies, UTC [s]."""
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(tenants), AT_ONCE):
        some = tenants[start : start + AT_ONCE]
        rows += transaction.all(
            f"SELECT {_COLUMNS} FROM budgets WHERE tenant IN ({marks(len(some))}) "
            "AND starts <= ? AND ends > ?",
            *(*some, now, now),
        )
    return [Budget(*row) for row in rows]


def sweep(transaction: Transaction, before: float) -> int:
    """Forget windows that ended before a time [s]; how many."""
    return transaction.run("DELETE FROM budgets WHERE ends < ?", before)


def _lease(transaction: Transaction, gateway: str, ask: Ask, alone: bool) -> Given:
    most, spent, leased = _there(transaction, ask.window, ask.most)
    free = ask.most - spent - leased
    given = free if alone else min(ask.wanted, free)
    enough = given >= max(ask.least, 1)
    held, _ = _held(transaction, gateway, _key(ask.window))
    others = (alone or not enough) and spent < ask.most and leased > held
    if not enough or (alone and others):
        given = 0
    if given or most != ask.most:
        transaction.run(
            f"UPDATE budgets SET most = ?, leased = leased + ? WHERE {_KEY}",
            *(ask.most, given, *_key(ask.window)),
        )
    if given:
        transaction.run(
            "INSERT INTO leases (tenant, name, starts, gateway, amount, lost, until) "
            "VALUES (?, ?, ?, ?, ?, 0, ?) ON CONFLICT (tenant, name, starts, gateway) "
            "DO UPDATE SET amount = leases.amount + excluded.amount, until = excluded.until",
            *(*_key(ask.window), gateway, given, ask.until),
        )
    return Given(given, ask.most - spent, others)


def _settle(transaction: Transaction, gateway: str, settled: Settled) -> None:
    _there(transaction, settled.window, settled.most)
    off = settled.used - settled.beyond + settled.back
    _book(transaction, gateway, _key(settled.window), settled.used, off)


def _book(transaction: Transaction, gateway: str, key: Key, used: int, off: int) -> None:
    """Add what a gateway used, and take `off` the leave that it has no more, from what counts as
    lost where it is not there."""
    held, lost = _held(transaction, gateway, key)
    found = min(max(off - held, 0), lost)
    off = min(off, held)
    transaction.run(
        f"UPDATE leases SET amount = amount - ?, lost = lost - ? WHERE {_KEY} AND gateway = ?",
        *(off, found, *key, gateway),
    )
    transaction.run(
        f"UPDATE budgets SET spent = spent + ?, leased = leased - ?, lost = lost - ? WHERE {_KEY}",
        *(used - found, off, found, *key),
    )


def _key(window: Window) -> Key:
    return window.tenant, window.name, window.starts


def _there(transaction: Transaction, window: Window, most: int) -> tuple[int, int, int]:
    """Limit, spent and leased, which nobody else changes now; a window that nobody came in before
    is new."""
    found = _locked(transaction, _key(window))
    if found is None:  # or just now somebody came
        transaction.run(
            f"INSERT INTO budgets ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, 0, 0, 0) "
            "ON CONFLICT DO NOTHING",
            *(*_key(window), window.ends, most),
        )
        found = _locked(transaction, _key(window))
        assert found is not None
    return found


def _locked(transaction: Transaction, key: Key) -> tuple[int, int, int] | None:
    """Limit, spent and leased, which nobody else changes now; None without such a window."""
    row = transaction.one(
        f"SELECT most, spent, leased FROM budgets WHERE {_KEY}{transaction.dialect.lock}", *key
    )
    return None if row is None else (row[0], row[1], row[2])


def _held(transaction: Transaction, gateway: str, key: Key) -> tuple[int, int]:
    """Leave that a gateway has, and that counts as lost."""
    row = transaction.one(
        f"SELECT amount, lost FROM leases WHERE {_KEY} AND gateway = ?{transaction.dialect.lock}",
        *(*key, gateway),
    )
    return (0, 0) if row is None else (row[0], row[1])


def _expire(transaction: Transaction, gateway: str, key: Key, now: float) -> int:
    """Count one gateway's leave in one window as spent; how much it is."""
    _locked(transaction, key)
    row = transaction.one(
        f"SELECT amount FROM leases WHERE {_KEY} AND gateway = ? AND until < ?"
        f"{transaction.dialect.lock}",
        *(*key, gateway, now),
    )
    amount = row[0] if row else 0
    if amount:
        transaction.run(
            f"UPDATE leases SET lost = lost + amount, amount = 0 WHERE {_KEY} AND gateway = ?",
            *(*key, gateway),
        )
        transaction.run(
            "UPDATE budgets SET spent = spent + ?, lost = lost + ?, leased = leased - ? "
            f"WHERE {_KEY}",
            *(amount, amount, amount, *key),
        )
    return int(amount)
