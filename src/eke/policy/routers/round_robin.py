"""One engine after the other."""

from __future__ import annotations

from eke.policy.pool import Pool, View
from eke.policy.routers.router import Router, fits
from eke.types.request import Request


class RoundRobin(Router):
    """Each engine in turn, in the order in which they were introduced; full ones are passed over.

    It takes no notice of load: the plainest way, and a baseline for the others.
    """

    __slots__ = ("turn",)

    def __init__(self, pool: Pool | None = None) -> None:
        super().__init__(pool)
        self.turn = 0

    def pick(self, request: Request, size: float) -> View | None:
        if self.least(request, size) is None:
            return None
        views = list(self.pool.views.values())
        start = self.turn % len(views)
        for step in range(len(views)):
            view = views[(start + step) % len(views)]
            if fits(view, size):
                self.turn = (start + step + 1) % len(views)
                return view
        return None
