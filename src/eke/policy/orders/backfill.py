"""Work that can wait, in the troughs of work that cannot."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from eke.policy.orders.order import SPARE, Order, place_in
from eke.policy.orders.use import Use
from eke.policy.pool import Pool
from eke.policy.says import Says
from eke.types.request import Request

HURRY = 0.5  # share of its promised time after which work that can wait is treated as any other


class Backfill(Order):
    """Requests of some kinds start only when nobody else waits and engines have room to spare.

    The room kept back is for whoever comes next: a request of a user finds a place at once, though
    batch work is there without end. Batch work with a deadline joins the others when half of its
    time is over.

    order: of everyone else.  kinds: what can wait.  spare: share of the engines kept back from it.
    """

    __slots__ = ("kinds", "lane", "order", "spare", "use")

    counts = True
    conserving = False

    def __init__(
        self, order: Order, kinds: tuple[str, ...] = ("batch",), spare: float = 0.2
    ) -> None:
        super().__init__()
        self.order, self.kinds, self.spare = order, kinds, spare
        self.lane: deque[Request] = deque()
        self.use = Use()

    def attach(self, pool: Pool) -> None:
        super().attach(pool)
        self.order.attach(pool)

    def push(self, request: Request) -> None:
        self.waiting[request.id] = request
        if request.kind not in self.kinds:
            self.order.push(request)
            return
        self.lane.append(request)
        if len(self.lane) > 2 * len(self.waiting) + SPARE:
            self.lane = deque(each for each in self.lane if self._lies(each.id))

    def back(self, request: Request) -> None:
        self.waiting[request.id] = request
        if request.kind in self.kinds:
            self.lane.appendleft(request)
        else:
            self.order.back(request)

    def undo(self, request: Request) -> None:
        self.use.remove(request)
        self.order.undo(request)

    def peek(self, now: float) -> Request | None:
        batch = self._first()
        if batch is not None and _hurries(batch, now):
            self.lane.popleft()
            self.order.push(batch)
            batch = self._first()
        request = self.order.peek(now)
        if request is not None or batch is None:
            return request
        idle = self.use.count == 0
        return batch if idle or self.use.within(1 - self.spare, self.pool, batch) else None

    def take(self, request: Request) -> None:
        self.use.add(request)
        if request.id not in self.order.waiting:
            self.order.push(request)  # it is told of everything that starts
        self.order.take(request)
        del self.waiting[request.id]

    def drop(self, request: Request) -> None:
        del self.waiting[request.id]
        if request.id in self.order.waiting:
            self.order.drop(request)

    def ended(self, request: Request, tokens: int | None, cached: int) -> None:
        self.use.remove(request)
        self.order.ended(request, tokens, cached)

    def says(self) -> Says:
        return Says(waits=self.waits, patient=False)

    def waits(self, request: Request) -> bool:
        """Whether a request can wait for a trough."""
        return request.kind in self.kinds

    def apart(self, request: Request) -> Hashable:
        return request.kind in self.kinds, self.order.apart(request)

    def ahead(self, request: Request) -> float:
        if request.kind not in self.kinds or request.id in self.order.waiting:
            return self.order.ahead(request)
        return len(self.order.waiting) + place_in(self.lane, request, self.waiting.__contains__)

    def precedes(self, request: Request, head: Request, now: float) -> bool:
        if request.kind in self.kinds:
            return False
        return self._lies(head.id) or self.order.precedes(request, head, now)

    def _lies(self, number: int) -> bool:
        """Whether a request waits, and not among the others."""
        return number in self.waiting and number not in self.order.waiting

    def _first(self) -> Request | None:
        """Who came first of those that can wait."""
        lane = self.lane
        while lane:
            if self._lies(lane[0].id):
                return lane[0]
            lane.popleft()
        return None


def _hurries(request: Request, now: float) -> bool:
    """Whether work that can wait has waited too long."""
    return request.deadline is not None and now > request.arrived + HURRY * request.deadline
