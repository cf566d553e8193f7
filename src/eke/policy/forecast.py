"""How long a request will wait, as far as can be told now."""

from __future__ import annotations

from eke.policy.orders.order import Order
from eke.policy.orders.use import size
from eke.policy.pool import Pool
from eke.types.request import Request

MEMORY = 64.0  # requests that the mean of their sizes goes back


class Forecast:
    """Waits foretold from the queue's length, the mean size of requests and the engines' speed.

    A full engine lets the next request in when another ends, and those end at the rate of tokens
    over the mean of their sizes. Source: little1961.

    order: of those that wait.  pool: engines they may get.  mean: of sizes lately [tokens].
    """

    __slots__ = ("mean", "order", "pool")

    def __init__(self, order: Order, pool: Pool) -> None:
        self.order, self.pool = order, pool
        self.mean = 0.0

    def note(self, request: Request) -> None:
        """A request came; its size counts."""
        whole = size(request)
        self.mean += (whole - self.mean) / MEMORY if self.mean else whole

    def turn(self, request: Request) -> float:
        """Mean time between two requests' ends [s]; 0 while no engine's speed is known."""
        rate = self.pool.rate
        return (self.mean or size(request)) / rate if rate else 0.0

    def wait(self, request: Request, ahead: float) -> float | None:
        """Until a newcomer starts behind so many others [s]; None while nobody can know."""
        return 0.0 if ahead == 0 and self.open(request) else self.queued(request, ahead)

    def queued(self, request: Request, ahead: float) -> float | None:
        """Until one starts that waits behind so many others [s]: if there is room, it is not for it
        now. None while nobody can know."""
        return (ahead + 1) * self.turn(request) if self.pool.rate else None

    def open(self, request: Request) -> bool:
        """Whether an engine has room for a request."""
        widest = self.pool.only or self.pool.widest()
        return widest is not None and widest.free >= size(request)

    def reading(self, request: Request) -> float:
        """Time to read a prompt [s], if the engine does only that; 0 while unknown."""
        pool = self.pool
        return request.prompt * pool.engines / pool.rate if pool.rate else 0.0

    def answering(self, request: Request, flying: int) -> float:
        """Time to answer beside those in flight [s]: each gets its part of the tokens done."""
        likely, most = request.likely, request.most
        rate = self.pool.rate
        return (likely if likely < most else most) * (flying or 1) / rate if rate else 0.0
