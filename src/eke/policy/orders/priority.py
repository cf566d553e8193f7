"""Classes of priority, with ageing."""

from __future__ import annotations

from eke.policy.orders.order import Keyed
from eke.policy.says import Says
from eke.types.request import Request

NEVER = float("inf")
FOREVER = 1e9  # waiting for one class where there is no ageing: 30 years [s]


class Priority(Keyed):
    """Lower class first; each stretch of waiting lifts a request by one class.

    Everyone is lifted at the same speed, so the order among those that wait never changes and one
    number decides: class × ageing + arrival, as if the lower class had come that much later.
    Source: kleinrock1975 (time-dependent priorities).

    ageing: waiting that outweighs one class [s]; inf for strict classes, where the lowest may wait
    for ever.
    """

    __slots__ = ("ageing", "patient")

    def __init__(self, ageing: float = 30.0) -> None:
        super().__init__()
        self.patient = ageing != NEVER
        self.ageing = ageing if ageing != NEVER else FOREVER

    def key(self, request: Request) -> float:
        return request.priority * self.ageing + request.arrived

    def says(self) -> Says:
        return Says(key=self.key, patient=self.patient)
