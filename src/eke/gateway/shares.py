"""What a policy is told of tenants."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from eke.gateway.settings import Tenant
from eke.policy.naming import make, takes

log = logging.getLogger("eke.gateway")

Shares = dict[str, dict[str, float]]  # setting of an order, such as "weights" → tenant → value


def shares_of(policy: str, tenants: Iterable[Tenant]) -> Shares:
    """The weights, floors and ceilings of tenants, as far as a policy has such settings. Raises
    BadInput."""
    return {name: value for name, value in _said(tenants).items() if takes(policy, name)}


def tell_dropped(policy: str, tenants: Iterable[Tenant]) -> None:
    """Say which of them a policy has no such settings for."""
    for name, value in _said(tenants).items():
        if not takes(policy, name):
            whose = ", ".join(sorted(value))
            log.warning("policy %s has no %s: those of %s do nothing", policy, name, whose)


def check(policy: str, tenants: Iterable[Tenant]) -> None:
    """Refuse a policy that cannot be, or not with the shares of its tenants. Raises BadInput."""
    make(policy, **shares_of(policy, tenants))


def _said(tenants: Iterable[Tenant]) -> Shares:
    tenants = list(tenants)
    said: Shares = {
        "weights": {each.name: each.weight for each in tenants if each.weight != 1.0},
        "floors": {each.name: each.floor for each in tenants if each.floor},
        "ceilings": {each.name: each.ceiling for each in tenants if each.ceiling is not None},
    }
    return {name: value for name, value in said.items() if value}
