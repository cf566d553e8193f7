"""What is left of tenants' limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from eke.gateway.gateway import Gateway
from eke.gateway.keeping import UNITS
from eke.gateway.periods import begin_of, number_of
from eke.gateway.settings import Limit


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
            reserved = 0.0 if window is None else window.reserved
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
