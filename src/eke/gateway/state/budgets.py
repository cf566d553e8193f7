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
    """So much of one's leave was used, so much is given back."""

    window: Window
    used: int
    back: int


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


def settle(transaction: Transaction, gateway: str, settled: Sequence[Settled]) -> int:
    """Take in what was used and is given back; of how many windows, for some may be swept.

    What counts as lost meanwhile is taken back first that far.
    """
    inorder = sorted(settled, key=lambda each: _key(each.window))  # nobody waits in a ring
    return sum(_settle(transaction, gateway, each) for each in inorder)


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
    most, spent, leased = _locked(transaction, ask.window) or _new(transaction, ask)
    free = ask.most - spent - leased
    given = free if alone else min(ask.wanted, free)
    enough = given >= max(ask.least, 1)
    others = (alone or not enough) and leased > _held(transaction, gateway, ask.window)[0]
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


def _settle(transaction: Transaction, gateway: str, settled: Settled) -> bool:
    """Whether its window was still there."""
    window, used = settled.window, settled.used
    if _locked(transaction, window) is None:
        return False
    held, lost = _held(transaction, gateway, window)
    off = min(used + settled.back, held)
    found = min(used + settled.back - off, lost)
    transaction.run(
        f"UPDATE leases SET amount = amount - ?, lost = lost - ? WHERE {_KEY} AND gateway = ?",
        *(off, found, *_key(window), gateway),
    )
    transaction.run(
        f"UPDATE budgets SET spent = spent + ?, leased = leased - ?, lost = lost - ? WHERE {_KEY}",
        *(used - found, off, found, *_key(window)),
    )
    return True


def _key(window: Window) -> tuple[str, str, float]:
    return window.tenant, window.name, window.starts


def _locked(transaction: Transaction, window: Window) -> tuple[int, int, int] | None:
    """Limit, spent and leased, which nobody else changes now; None without such a window."""
    row = transaction.one(
        f"SELECT most, spent, leased FROM budgets WHERE {_KEY}{transaction.dialect.lock}",
        *_key(window),
    )
    return None if row is None else (row[0], row[1], row[2])


def _new(transaction: Transaction, ask: Ask) -> tuple[int, int, int]:
    """The same, of a window that nobody asked for before; or just now somebody did."""
    transaction.run(
        f"INSERT INTO budgets ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, 0, 0, 0) ON CONFLICT DO NOTHING",
        *(*_key(ask.window), ask.window.ends, ask.most),
    )
    found = _locked(transaction, ask.window)
    assert found is not None
    return found


def _held(transaction: Transaction, gateway: str, window: Window) -> tuple[int, int]:
    """Leave that a gateway has, and that counts as lost."""
    row = transaction.one(
        f"SELECT amount, lost FROM leases WHERE {_KEY} AND gateway = ?{transaction.dialect.lock}",
        *(*_key(window), gateway),
    )
    return (0, 0) if row is None else (row[0], row[1])


def _expire(transaction: Transaction, gateway: str, key: tuple[str, str, float], now: float) -> int:
    """Count one gateway's leave in one window as spent; how much it is."""
    transaction.one(f"SELECT most FROM budgets WHERE {_KEY}{transaction.dialect.lock}", *key)
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
