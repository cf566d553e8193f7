"""Who waits and who is answered now, counted in slices so that nobody waits for the count."""

from __future__ import annotations

from asyncio import sleep
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from eke.gateway.call import Call
from eke.gateway.desk import Desk
from eke.gateway.gateway import Gateway

SLICE = 2000  # calls looked at before others have their turn
KEPT = 100  # waiting calls of a tenant that are kept by name
EACH = 1e-5  # time between counts, per call there is [s]: what they cost is a fiftieth of it


class Line(NamedTuple):
    """Those who wait at one desk in one class. tenant: whose they are."""

    desk: int
    tenant: str
    priority: int


class Queue:
    """How many wait in a line, and since when the first does [s]."""

    __slots__ = ("count", "since")

    def __init__(self, since: float) -> None:
        self.count, self.since = 0, since


class Census:
    """Everybody at one moment.

    at: when it was taken [s].  queues: by line.  running: of each tenant, at engines.
    own: the KEPT first of each tenant that wait, with their desks, in the order they came.
    """

    __slots__ = ("at", "own", "queues", "running")

    def __init__(self, at: float) -> None:
        self.at = at
        self.queues: dict[Line, Queue] = {}
        self.running: dict[str, int] = {}
        self.own: dict[str, list[tuple[Desk, Call]]] = {}

    def waiting(self, tenant: str) -> int:
        """How many requests of a tenant wait."""
        return sum(queue.count for line, queue in self.queues.items() if line.tenant == tenant)

    def longest(self, most: int) -> list[tuple[str, int]]:
        """Tenants of whom most requests wait, and how many."""
        waiting = Counter[str]()
        for line, queue in self.queues.items():
            waiting[line.tenant] += queue.count
        return waiting.most_common(most)

    def take(self, number: int, desk: Desk, calls: Iterable[Call]) -> None:
        """Count some calls of a desk."""
        queues, running = self.queues, self.running
        for call in calls:
            request = call.request
            tenant = request.tenant
            if call.engine is not None:
                running[tenant] = running.get(tenant, 0) + 1
                continue
            if call.left or call.refusal is not None:
                continue
            line = Line(number, tenant, request.priority)
            queue = queues.get(line)
            if queue is None:
                queue = queues[line] = Queue(request.arrived)
            queue.count += 1
            own = self.own.get(tenant)
            if own is None:
                own = self.own[tenant] = []
            if len(own) < KEPT:
                own.append((desk, call))


class Counting:
    """Counts anew when somebody asks and the last count is too old for how many there are."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.last = Census(float("-inf"))
        self._counting = False

    async def now(self) -> Census:
        """Everybody, as of a moment ago: 10 µs per call there is, at most."""
        gateway = self.gateway
        desks = gateway.all_desks()
        calls = sum(len(desk.calls) for desk in desks)
        now = gateway.clock.now()
        if self._counting or now - self.last.at < calls * EACH:
            return self.last
        self._counting = True
        try:
            self.last = await self._counted(desks, now)
        finally:
            self._counting = False
        return self.last

    async def _counted(self, desks: list[Desk], now: float) -> Census:
        census = Census(now)
        for number, desk in enumerate(desks):
            there = list(desk.calls.values())
            for start in range(0, len(there), SLICE):
                census.take(number, desk, there[start : start + SLICE])
                if len(there) > SLICE:
                    await sleep(0)
        return census
