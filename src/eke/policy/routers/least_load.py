"""The least loaded engine."""

from __future__ import annotations

from eke.policy.pool import View
from eke.policy.routers.router import Router
from eke.types.request import Request


class LeastLoad(Router):
    """The engine with most free room in its cache, by forecasts of all that was started there."""

    __slots__ = ()

    def pick(self, request: Request, size: float) -> View | None:
        return self.least(request, size)
