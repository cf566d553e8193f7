"""What a policy says of itself, so that it can be held to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from eke.types.request import Request


class Says(NamedTuple):
    """Statements that the contract checks; a policy that says nothing is held to the defaults.

    conserving: no engine with room for anyone who waits is left without, but for `keeps`, and for
    those at their ceiling and those who may wait.
    patient: nobody waits for ever, however many come who would go first.
    key: lowest of those that wait starts first; None for another rule.
    floors: group → share of slots and cache that it gets as soon as it asks.
    group: whose floor a request counts for; "" for nobody's.
    ceilings: group → share of slots and cache of which it never has more in flight, but for one
    request, which it may always have.  under: whose ceiling a request counts for; "" for nobody's.
    keeps: a place may be kept for a tenant for up to this share of the time of its last request.
    service: what an answer of so many tokens counts, prompt included, per unit of its tenant's
    weight; None when tenants are not looked at.
    gap: most by which the service of two tenants who always wait differs, given the longest prompt
    and answer and all that engines hold [tokens].
    among: what tells requests apart of which only the like are compared by service, such as their
    class; None for all alike.
    waits: whether a request may wait though there is room for it; None when none may.
    """

    conserving: bool = True
    patient: bool = True
    key: Callable[[Request], float] | None = None
    floors: Mapping[str, float] = {}
    group: Callable[[Request], str] | None = None
    service: Callable[[Request, float], float] | None = None
    gap: Callable[[float, float, float], float] | None = None
    ceilings: Mapping[str, float] = {}
    under: Callable[[Request], str] | None = None
    keeps: float = 0.0
    among: Callable[[Request], int] | None = None
    waits: Callable[[Request], bool] | None = None
