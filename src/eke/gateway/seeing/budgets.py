"""What is left of tenants' limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from eke.gateway.gateway import Gateway
from eke.gateway.settings import Limit


class Budget(NamedTuple):
    """One limit of one tenant in the window that now is. used, reserved: of its amount.
    ends: when the next window begins, UTC [s]; inf for never."""

    tenant: str
    limit: Limit
    used: float
    reserved: float
    ends: float


def budgets(gateway: Gateway) -> Iterator[Budget]:
    """All limits of tenants that are known by name. Where gateways share them, what
    was used is this one's part."""
    wall = gateway.clock.wall()
    for tenant in gateway.tenants.by_name.values():
        for limit in tenant.limits:
            window = gateway.ledger.window(tenant.name, limit, wall)
            yield Budget(tenant.name, limit, window.used, window.reserved, window.ends)
