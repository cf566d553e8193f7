"""First come, first served."""

from __future__ import annotations

from collections import deque

from eke.policy.orders.order import SPARE, Order, place_in
from eke.types.request import Request


class Fcfs(Order):
    """In the order in which they came."""

    __slots__ = ("queue",)

    def __init__(self) -> None:
        super().__init__()
        self.queue: deque[Request] = deque()

    def push(self, request: Request) -> None:
        self.waiting[request.id] = request
        self.queue.append(request)

    def back(self, request: Request) -> None:
        self.waiting[request.id] = request
        self.queue.appendleft(request)

    def peek(self, now: float) -> Request | None:
        queue, waiting = self.queue, self.waiting
        while queue:
            request = queue[0]
            if request.id in waiting:
                return request
            queue.popleft()
        return None

    def take(self, request: Request) -> None:
        if self.queue[0] is request:
            del self.waiting[request.id]
            self.queue.popleft()
        else:
            self.drop(request)

    def drop(self, request: Request) -> None:
        del self.waiting[request.id]
        if len(self.queue) > 2 * len(self.waiting) + SPARE:
            self.queue = deque(each for each in self.queue if each.id in self.waiting)

    def ahead(self, request: Request) -> float:
        if request.id not in self.waiting:
            return len(self.waiting)
        return place_in(self.queue, request, self.waiting.__contains__)
