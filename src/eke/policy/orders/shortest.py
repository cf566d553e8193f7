"""Shortest expected work first."""

from __future__ import annotations

from eke.policy.orders.order import Keyed
from eke.types.request import Request


class Shortest(Keyed):
    """Least expected work first, which makes the mean wait short, and waiting counts for it.

    Everyone grows older at the same speed, so the order among those that wait never changes and
    one number decides: work + ageing × arrival. Source: schrage1966 (shortest first).

    ageing: work that one second of waiting outweighs [tokens/s].
    """

    __slots__ = ("ageing",)

    def __init__(self, ageing: float = 50.0) -> None:
        super().__init__()
        self.ageing = ageing

    def key(self, request: Request) -> float:
        return request.prompt + request.likely + self.ageing * request.arrived
