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
KEPT = 100  # of a line whose calls are kept by name
EACH = 1e-5  # time between counts, per call there is [s]: what they cost is a fiftieth of it


class Line(NamedTuple):
    """Those who wait at one desk in one class. models: that it answered for when it was counted,
    "" for none.  tenant: whose they are."""

    desk: Desk
    models: str
    tenant: str
    priority: int


def models_of(gateway: Gateway, desk: Desk) -> list[str]:
    """What a desk answers for."""
    return [name for name, each in gateway.desks.items() if each is desk]


class Queue:
    """How many wait in a line, the KEPT first of them, and since when the first does [s]."""

    __slots__ = ("count", "first", "since")

    def __init__(self, since: float) -> None:
        self.count, self.since = 0, since
        self.first: list[Call] = []


class Census:
    """Everybody at one moment.

    at: when it was taken [s].  queues: by line.  running: of each tenant, at engines.
    """

    __slots__ = ("at", "queues", "running")

    def __init__(self, at: float) -> None:
        self.at = at
        self.queues: dict[Line, Queue] = {}
        self.running: dict[str, int] = {}

    def own(self, tenant: str) -> list[tuple[Line, Queue]]:
        """The lines of a tenant."""
        return [each for each in self.queues.items() if each[0].tenant == tenant]

    def longest(self, most: int) -> list[tuple[str, int]]:
        """Tenants of whom most requests wait, and how many."""
        waiting = Counter[str]()
        for line, queue in self.queues.items():
            waiting[line.tenant] += queue.count
        return waiting.most_common(most)


class Tally:
    """The lines of one desk while they are counted, and who of it is at engines."""

    __slots__ = ("lines", "running")

    def __init__(self, running: dict[str, int]) -> None:
        self.lines: dict[tuple[str, int], Queue] = {}
        self.running = running

    def take(self, calls: Iterable[Call]) -> None:
        """Count some calls; takes less than a microsecond for each."""
        lines, running = self.lines, self.running
        for call in calls:
            request = call.request
            if call.engine is not None:
                running[request.tenant] = running.get(request.tenant, 0) + 1
                continue
            key = (request.tenant, request.priority)
            queue = lines.get(key)
            if queue is None:
                queue = lines[key] = Queue(request.arrived)
            queue.count += 1
            if queue.count <= KEPT:
                queue.first.append(call)


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
        for desk in desks:
            models = ", ".join(models_of(self.gateway, desk))
            there, counts = list(desk.calls.values()), Tally(census.running)
            for start in range(0, len(there), SLICE):
                counts.take(there[start : start + SLICE])
                if len(there) > SLICE:
                    await sleep(0)
            for (tenant, priority), queue in counts.lines.items():
                census.queues[Line(desk, models, tenant, priority)] = queue
        return census
