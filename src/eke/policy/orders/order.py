"""What every queue discipline does, and what disciplines with a fixed key share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from heapq import heapify, heappop, heappush
from typing import Any

from eke.policy.pool import Pool
from eke.policy.says import Says
from eke.types.record import replace
from eke.types.request import Request

SAMPLE = 24  # requests looked at to tell how many go first; a tenth off in long queues
SPARE = 64  # entries of requests that left, before a queue is built anew


class Order:
    """A queue of requests that wait, asked again and again who goes next.

    A request that starts or leaves is only taken out of `waiting`; its entry in the queue proper
    is thrown away when it comes to the head, so that leaving costs nothing however long the queue.

    waiting: request by number.  pool: engines that whoever goes next may get.
    counts: whether it wants to hear how started requests ended.
    conserving: whether it never holds back who could start.
    unfinished: whether it said that nobody should start before it had looked at all of them; it is
    to be asked again at once.
    """

    __slots__ = ("pool", "waiting")

    counts = False
    conserving = True
    unfinished = False

    def __init__(self) -> None:
        self.waiting: dict[int, Request] = {}
        self.pool = Pool()

    def attach(self, pool: Pool) -> None:
        """These are the engines that whoever goes next may get."""
        self.pool = pool

    def push(self, request: Request) -> None:
        """A request waits from now on."""
        raise NotImplementedError

    def back(self, request: Request) -> None:
        """A request that was taken out waits again, before its like."""
        raise NotImplementedError

    def undo(self, request: Request) -> None:
        """What was started came to nothing; it will be put back. Only told if it counts."""

    def peek(self, now: float) -> Request | None:
        """Who goes next; None when nobody waits, or nobody should start now."""
        raise NotImplementedError

    def take(self, request: Request) -> None:
        """A waiting request starts."""
        del self.waiting[request.id]

    def through(self, request: Request) -> None:
        """A request starts as soon as it comes, since nobody waits; only told if it counts."""
        self.push(request)
        self.take(request)

    def drop(self, request: Request) -> None:
        """A waiting request left or was refused."""
        del self.waiting[request.id]

    def ended(self, request: Request, tokens: int | None, cached: int) -> None:
        """A started request is over. tokens: of its answer, None when nobody knows.
        cached: of its prompt, not computed anew."""

    def ahead(self, request: Request) -> float:
        """How many of those that wait go before a request; of a new one, roughly and soon told."""
        raise NotImplementedError

    def apart(self, request: Request) -> Hashable:
        """What tells requests apart of which one may go while another, who came before, waits."""
        return None

    def precedes(self, request: Request, head: Request, now: float) -> bool:
        """Whether one like a request, if it came now, would go before who is next."""
        return False

    def says(self) -> Says:
        """What it can be held to."""
        return Says(conserving=self.conserving)


class Keyed(Order):
    """Lowest key first, then lowest number; a key never changes while its request waits."""

    __slots__ = ("heap",)

    def __init__(self) -> None:
        super().__init__()
        self.heap: list[tuple[float, int]] = []

    def key(self, request: Request) -> float:
        """What decides; lower goes first."""
        raise NotImplementedError

    def push(self, request: Request) -> None:
        number = request.id
        self.waiting[number] = request
        heappush(self.heap, (self.key(request), number))

    back = push  # its key, which depends on when it came, is low already

    def peek(self, now: float) -> Request | None:
        heap, waiting = self.heap, self.waiting
        while heap:
            request = waiting.get(heap[0][1])
            if request is not None:
                return request
            heappop(heap)
        return None

    def take(self, request: Request) -> None:
        if self.heap[0][1] == request.id:
            del self.waiting[request.id]
            heappop(self.heap)
        else:
            self.drop(request)

    def drop(self, request: Request) -> None:
        del self.waiting[request.id]
        if len(self.heap) > 2 * len(self.waiting) + SPARE:
            self.heap = [entry for entry in self.heap if entry[1] in self.waiting]
            heapify(self.heap)

    def says(self) -> Says:
        return Says(key=self.key)

    def ahead(self, request: Request) -> float:
        own, number, waiting = self.key(request), request.id, self.waiting
        if number not in waiting:
            return below(self.heap, (own, number)) * len(waiting)
        before = [other for key, other in self.heap if key < own or (key == own and other < number)]
        if len(self.heap) == len(waiting):
            return len(before)
        return len(waiting.keys() & before)  # some left, or were put back and stand there twice

    def precedes(self, request: Request, head: Request, now: float) -> bool:
        return self.key(replace(request, arrived=now)) < self.key(head)


def below(heap: list[tuple[float, int]], entry: tuple[float, int]) -> float:
    """Share of a heap's entries below one, told from a sample when there are many."""
    if not heap:
        return 0.0
    sample = heap[:: len(heap) // SAMPLE + 1]
    return sum([other < entry for other in sample]) / len(sample)


def place_in(queue: Any, request: Request, alive: Callable[[int], bool]) -> int:
    """How many stand before a request in a line: all of it, for one that is not in it."""
    number, before = request.id, []
    for other in queue:
        if other.id == number:
            break
        before.append(other.id)
    return sum(map(alive, before))
