"""What a policy says of itself, so that it can be held to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from eke.types.request import Request


class Says(NamedTuple):
    """Statements that the contract checks; a policy that says nothing is held to the defaults.

    conserving: no engine with room for anyone who waits is left without.
    patient: nobody waits for ever, however many come who would go first.
    key: lowest of those that wait starts first; None for another rule.
    floors: group → share of slots and cache that it gets as soon as it asks.
    group: whose floor a request counts for; "" for nobody's.
    service: what an answer of so many tokens counts, prompt included, per unit of its tenant's
    weight; None when tenants are not looked at.
    gap: most by which the service of two tenants who always wait differs, given the longest prompt
    and answer and all that engines hold [tokens].
    """

    conserving: bool = True
    patient: bool = True
    key: Callable[[Request], float] | None = None
    floors: Mapping[str, float] = {}
    group: Callable[[Request], str] | None = None
    service: Callable[[Request, float], float] | None = None
    gap: Callable[[float, float, float], float] | None = None
