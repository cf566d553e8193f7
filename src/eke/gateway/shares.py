"""What a policy is told of tenants."""

from __future__ import annotations

from collections.abc import Iterable

from eke.gateway.settings import Tenant
from eke.policy.naming import ORDERS, make

Shares = dict[str, dict[str, float]]  # setting of an order, such as "weights" → tenant → value


def shares_of(policy: str, tenants: Iterable[Tenant]) -> Shares:
    """The weights, floors and ceilings of tenants, as far as a policy has such settings."""
    tenants = list(tenants)
    said: Shares = {
        "weights": {each.name: each.weight for each in tenants if each.weight != 1.0},
        "floors": {each.name: each.floor for each in tenants if each.floor},
        "ceilings": {each.name: each.ceiling for each in tenants if each.ceiling},
    }
    return {name: value for name, value in said.items() if value and _takes(policy, name)}


def check(policy: str, tenants: Iterable[Tenant]) -> None:
    """Refuse a policy that cannot be, or not with the shares of its tenants. Raises BadInput."""
    make(policy, **shares_of(policy, tenants))


def _takes(policy: str, setting: str) -> bool:
    """Whether the order of a policy has a setting."""
    order = policy.partition("+")[0].partition("@")[0].partition("(")[0].strip()
    part = ORDERS.get(order)
    shared = setting in ("floors", "ceilings") and order != "tiers"
    return part is not None and (shared or setting in part.settings)
