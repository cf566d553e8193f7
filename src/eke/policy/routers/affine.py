"""Requests that share something go where it is, while that is not much fuller than elsewhere."""

from __future__ import annotations

from collections import OrderedDict

from eke.policy.pool import Pool, View
from eke.policy.routers.router import Router, fits
from eke.types.request import Request

REMEMBERED = 65_536  # keys whose engine is remembered; those longest unused are forgotten


class Affine(Router):
    """Where the last request with the same key went, else the engine with most free room.

    slack: an engine is preferred while its free room is at least this share of the most there is;
    0 keeps to it as long as the request fits.
    """

    __slots__ = ("homes", "slack")

    def __init__(self, pool: Pool | None = None, slack: float = 0.5) -> None:
        super().__init__(pool)
        self.slack = slack
        self.homes: OrderedDict[int, int] = OrderedDict()

    def key(self, request: Request) -> int | None:
        """What requests may share; None for nothing."""
        raise NotImplementedError

    def pick(self, request: Request, size: float) -> View | None:
        widest = self.least(request, size)
        key = self.key(request)
        if widest is None or key is None:
            return widest
        homes = self.homes
        view = self.pool.views.get(homes.pop(key, -1))
        if view is None or not fits(view, size) or view.free < self.slack * widest.free:
            view = widest
        homes[key] = view.number  # last in the order of use
        if len(homes) > REMEMBERED:
            homes.popitem(last=False)
        return view
