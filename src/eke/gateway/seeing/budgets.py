"""What is left of tenants' limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import NamedTuple

from eke.gateway.gateway import Gateway
from eke.gateway.ledger import UNITS
from eke.gateway.periods import begin_of, number_of
from eke.gateway.settings import Counted, Limit
from eke.gateway.state.budgets import Budget as Kept
from eke.types.record import Record

WORDS: dict[Counted, str] = {
    "requests": "requests",
    "tokens": "tokens",
    "USD": "USD",
    "seconds": "chip-seconds",
}
DIGITS = 9  # of amounts behind the point: a billionth of a USD


class Standing(Record):
    """A limit of a tenant in one window of time, over all gateways.

    limit: such as "USD/month".  unit: of most, spent, leased and lost.  leased: gateways have leave
    for it.  lost: of what is spent, leave of gateways that are not heard of.  starts, ends: UTC
    [s]; None for never.
    """

    limit: str
    unit: str
    most: float
    spent: float
    leased: float
    lost: float
    starts: float
    ends: float | None


class Budget(NamedTuple):
    """One limit of one tenant in the window that now is.

    used: of its amount, by all gateways that share the state, as they told a moment ago.
    leased: what they have leave for besides.  reserved: for requests under way here.
    ends: when the next window begins, UTC [s]; inf for never.
    """

    tenant: str
    limit: Limit
    used: float
    leased: float
    reserved: float
    ends: float


def budgets(gateway: Gateway) -> Iterator[Budget]:
    """All limits of tenants that are known by name."""
    wall = gateway.clock.wall()
    for tenant in gateway.tenants.by_name.values():
        for limit in tenant.limits:
            window = gateway.ledger.known(tenant.name, limit, wall)
            used, leased = _used(gateway, tenant.name, limit, wall)
            reserved = (
                0.0 if window is None else min(window.reserved, max(limit.amount - used, 0.0))
            )
            ends = begin_of(limit.period, number_of(limit.period, wall) + 1)
            yield Budget(tenant.name, limit, used, leased, reserved, ends)


def _used(gateway: Gateway, tenant: str, limit: Limit, wall: float) -> tuple[float, float]:
    """What was used, and what there is leave for besides; without a state, by this process."""
    if gateway.keeper is None:
        window = gateway.ledger.known(tenant, limit, wall)
        return 0.0 if window is None else window.used, 0.0
    told = gateway.keeper.standing.get((tenant, limit.name))
    if told is None or wall >= told.ends:
        return 0.0, 0.0
    unit = UNITS[limit.what]
    return told.spent * unit, told.leased * unit


def standings(limits: Iterable[Limit], kept: Sequence[Kept], wall: float) -> list[Standing]:
    """How the limits of a tenant stand, and stood. kept: every window in which something was used.
    wall: the moment, UTC [s]."""
    there = {each.name: each for each in kept if each.starts <= wall < each.ends}
    unused = [_standing(_window(limit, wall)) for limit in limits if limit.name not in there]
    return [*map(_standing, kept), *unused]


def _window(limit: Limit, wall: float) -> Kept:
    """The one that a moment lies in, of which nothing is used."""
    number = number_of(limit.period, wall)
    starts, ends = (begin_of(limit.period, each) for each in (number, number + 1))
    return Kept("", limit.name, starts, ends, round(limit.amount / UNITS[limit.what]), 0, 0, 0)


def _standing(kept: Kept) -> Standing:
    what, slash, period = kept.name.partition("/")
    unit = next(each for each in UNITS if each == what)
    most, spent, leased, lost = (
        round(each * UNITS[unit], DIGITS)
        for each in (kept.most, kept.spent, kept.leased, kept.lost)
    )
    return Standing(
        limit=f"{WORDS[unit]}{slash}{period}",
        unit=WORDS[unit],
        most=most,
        spent=spent,
        leased=leased,
        lost=lost,
        starts=kept.starts,
        ends=None if kept.ends == inf else kept.ends,
    )
