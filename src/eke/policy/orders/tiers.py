"""Tiers of context length, each with a share of its own."""

from __future__ import annotations

from bisect import bisect_left

from eke.errors import BadInput
from eke.policy.orders.fcfs import Fcfs
from eke.policy.orders.floors import Floors
from eke.policy.orders.use import size
from eke.types.request import Request
from eke.units import show


class Tiers(Floors):
    """Long contexts for the few without starving the short ones of the many, nor the other way.

    Each tier is sure of its share while it asks and lends it while it does not; what is left goes
    first come, first served. A long request that is next waits until its room is free, so that
    short ones do not slip by for ever.

    tiers: longest context of a tier, prompt and likely answer [tokens] → share of the engines.
    Longer ones belong to the last.
    """

    __slots__ = ("edges", "names")

    def __init__(self, tiers: dict[float, float]) -> None:
        super().__init__(Fcfs(), {})
        if not tiers or min(tiers.values()) <= 0 or sum(tiers.values()) > 1 + 1e-9:
            raise BadInput(
                "tiers need shares above 0 that add up to 100% at most, such as "
                "tiers(8k:90%,32k:10%)."
            )
        self.edges = sorted(tiers)
        self.names = [show(edge) for edge in self.edges]
        self._wrap(self.order, {show(edge): tiers[edge] for edge in self.edges})

    def group(self, request: Request) -> str:
        tier = bisect_left(self.edges, size(request))
        return self.names[min(tier, len(self.names) - 1)]
