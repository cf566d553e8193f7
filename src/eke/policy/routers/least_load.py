"""The least loaded engine."""

from __future__ import annotations

from eke.policy.routers.router import Router


class LeastLoad(Router):
    """The engine with most free room in its cache, by forecasts of all that was started there."""

    __slots__ = ()

    pick = Router.least
