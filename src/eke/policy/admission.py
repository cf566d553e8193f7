"""Saying no at once, with a time to ask again and a place in the queue."""

from __future__ import annotations

from collections.abc import Sized

from eke.policy.forecast import Forecast
from eke.policy.protocol import Reject
from eke.types.request import Request

SOON = 1.0  # shortest time to ask again [s]; HTTP's Retry-After counts whole seconds


class Gate:
    """Decides who may wait.

    forecast: of waits.  flying: requests in flight.
    """

    forecast: Forecast
    flying: Sized

    def attach(self, forecast: Forecast, flying: Sized) -> None:
        """What it decides by."""
        self.forecast, self.flying = forecast, flying

    def arrives(self, request: Request, now: float) -> Reject | None:
        """Whether to refuse a request that just came."""
        return None

    def starts(self, request: Request, now: float) -> Reject | None:
        """Whether to refuse a request whose turn it is, or that waits no longer."""
        return None

    def until(self, request: Request) -> float | None:
        """How long a request waits at most [s]; None for as long as it takes."""
        return None


class Full(Gate):
    """Refuses whoever would have too many before it.

    Those that go first are counted, not all that wait: a full queue of low priority keeps nobody
    of high priority out, and one tenant's backlog no other tenant.

    most: requests before a newcomer.
    """

    def __init__(self, most: float = 1000) -> None:
        self.most = most

    def arrives(self, request: Request, now: float) -> Reject | None:
        ahead = self.forecast.order.ahead(request)
        if ahead < self.most:
            return None
        again = (ahead - self.most + 1) * self.forecast.turn(request)
        return Reject(request.id, "queue full", max(again, SOON), round(ahead))


class Promise(Gate):
    """Refuses what would miss its promise anyway, rather than let it wait and fail.

    A newcomer that must wait is refused when its foretold time to the first token, or to the last,
    is beyond what it was promised; it is told to come back when the queue will be that much
    shorter. Who misses its time while it waits is refused then. Requests without promises always
    wait. Source: qin2024 (early rejection by prediction).

    margin: foretold times are taken this many times as long.
    """

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = margin

    def arrives(self, request: Request, now: float) -> Reject | None:
        if request.ttft is None and request.deadline is None:
            return None
        forecast = self.forecast
        if self._over(request, forecast.wait(request, len(forecast.order.waiting))) <= 0:
            return None  # in time even as the last: no need to find out its place
        ahead = forecast.order.ahead(request)
        over = self._over(request, forecast.wait(request, ahead))
        if over <= 0:
            return None
        return Reject(request.id, "would miss its promise", max(over, SOON), round(ahead))

    def starts(self, request: Request, now: float) -> Reject | None:
        until = self.until(request)
        if until is None or now <= until:
            return None
        ahead = max(len(self.forecast.order.waiting) - 1, 0)
        again = (ahead + 1) * self.forecast.turn(request)
        return Reject(request.id, "missed its promise", max(again, SOON), ahead)

    def until(self, request: Request) -> float | None:
        promised = request.deadline if request.ttft is None else request.ttft
        return None if promised is None else request.arrived + promised

    def _over(self, request: Request, wait: float | None) -> float:
        """By how much a request that waits so long will miss its promises [s]; below 0 when it
        will not, or need not wait."""
        forecast, over = self.forecast, float("-inf")
        if not wait:
            return over
        first = wait + forecast.reading(request)
        if request.ttft is not None:
            over = first * self.margin - request.ttft
        if request.deadline is not None:
            last = first + forecast.answering(request, len(self.flying))
            over = max(over, last * self.margin - request.deadline)
        return over
