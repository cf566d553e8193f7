"""Fair queueing of tenants by tokens: virtual token counters."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush, heapreplace
from math import ceil, floor

from eke.policy.orders.order import SPARE, Order, place_in
from eke.policy.orders.weights import checked
from eke.policy.says import Says
from eke.types.request import Request

TINY = 1e-9  # charge of a request that has nothing to read nor to answer [tokens]
KEPT = 1024  # tenants, before those of whom nothing need be remembered are forgotten


class Tenant:
    """What is known of one tenant.

    counter: service it had, over its weight [tokens].  key: counter under which it stands in the
    heap, None when it does not.  count: requests that wait.  flying: requests started.
    """

    __slots__ = ("count", "counter", "flying", "key", "name", "queue", "weight")

    def __init__(self, name: str, weight: float) -> None:
        self.name, self.weight = name, weight
        self.counter = 0.0
        self.key: float | None = None
        self.queue: deque[Request] = deque()
        self.count = self.flying = 0


class Fair(Order):
    """The tenant that had least service goes next; among its own, first come, first served.

    Service is tokens, an answer's weighing more than a prompt's, over the tenant's weight. A
    forecast is charged when a request starts and put right when it ends. Who comes back from
    idling is lifted to the least of those waiting, so idling saves nothing up.
    Source: sheng2024 (virtual token counter; with predicted lengths).

    weights: tenant → weight; 1 for others.  prompt, answer: what a token of each counts.
    """

    __slots__ = ("answer", "heap", "kept", "level", "prompt", "shares", "tenants", "weights")

    counts = True

    def __init__(
        self, weights: dict[str, float] | None = None, prompt: float = 1.0, answer: float = 2.0
    ) -> None:
        super().__init__()
        self.weights = checked(weights)
        self.prompt, self.answer = prompt, answer
        self.tenants: dict[str, Tenant] = {}
        self.heap: list[tuple[float, str]] = []
        self.kept = KEPT
        self.level = 0.0  # counter of who waited last or waits least served
        self.shares = 0.0  # weights of tenants that wait

    def push(self, request: Request) -> None:
        self.waiting[request.id] = request
        tenant = self.tenants.get(request.tenant) or self._met(request.tenant)
        tenant.queue.append(request)
        if tenant.count == 0:
            self._returned(tenant)
        tenant.count += 1

    def back(self, request: Request) -> None:
        self.waiting[request.id] = request
        tenant = self.tenants.get(request.tenant) or self._met(request.tenant)
        tenant.queue.appendleft(request)
        if tenant.count == 0:
            self._returned(tenant)  # it was kept from starting: that saves nothing up either
        else:
            self._stand(tenant)
        tenant.count += 1

    def undo(self, request: Request) -> None:
        tenant = self.tenants[request.tenant]
        tenant.flying -= 1
        tenant.counter -= self._charge(request) / tenant.weight

    def peek(self, now: float) -> Request | None:
        heap, tenants = self.heap, self.tenants
        while heap:
            key, name = heap[0]
            tenant = tenants.get(name)
            if tenant is None or tenant.key != key:
                heappop(heap)  # it stands elsewhere
            elif tenant.count == 0:
                heappop(heap)
                tenant.key = None
            elif tenant.counter > key:
                tenant.key = tenant.counter
                heapreplace(heap, (tenant.counter, name))
            else:
                self.level = key
                return self._first(tenant)
        return None

    def take(self, request: Request) -> None:
        tenant = self.tenants[request.tenant]
        tenant.counter += self._charge(request) / tenant.weight
        tenant.flying += 1
        self.drop(request)

    def through(self, request: Request) -> None:
        tenant = self.tenants.get(request.tenant) or self._met(request.tenant)
        if tenant.counter < self.level:
            tenant.counter = self.level
        self.level = tenant.counter
        tenant.counter += self._charge(request) / tenant.weight
        tenant.flying += 1

    def drop(self, request: Request) -> None:
        del self.waiting[request.id]
        tenant = self.tenants[request.tenant]
        tenant.count -= 1
        if tenant.count == 0:
            self.shares -= tenant.weight
            tenant.queue.clear()
        elif tenant.queue[0] is request:
            tenant.queue.popleft()
        elif len(tenant.queue) > 2 * tenant.count + SPARE:
            tenant.queue = deque(each for each in tenant.queue if each.id in self.waiting)

    def ended(self, request: Request, tokens: int | None, cached: int) -> None:
        tenant = self.tenants[request.tenant]
        tenant.flying -= 1
        if tokens is None:
            return
        likely = request.likely if request.likely < request.most else request.most
        change = (tokens - likely) * self.answer - cached * self.prompt
        tenant.counter += change / tenant.weight
        if change < 0 and tenant.count:
            self._stand(tenant)

    def ahead(self, request: Request) -> float:
        tenant = self.tenants.get(request.tenant) or self._met(request.tenant)
        if request.id in self.waiting:
            return self._before(request, tenant)
        own = tenant.count
        shares = self.shares + (0.0 if tenant.count else tenant.weight)
        others = len(self.waiting) - tenant.count
        return own + min(others, (own + 0.5) * (shares / tenant.weight - 1))

    def precedes(self, request: Request, head: Request, now: float) -> bool:
        tenant = self.tenants.get(request.tenant)
        return tenant is None or tenant.counter <= self.tenants[head.tenant].counter

    @property
    def idle(self) -> bool:
        """Whether nobody waits, and nobody was started who has not ended."""
        return not self.waiting and not any(each.flying for each in self.tenants.values())

    def says(self) -> Says:
        return Says(service=self.service, gap=self.gap)

    def service(self, request: Request, tokens: float) -> float:
        """What an answer of so many tokens counts, with its prompt, over the tenant's weight."""
        weight = self.weights.get(request.tenant, 1.0)
        return (request.prompt * self.prompt + tokens * self.answer) / weight

    def gap(self, prompt: float, answer: float, room: float) -> float:
        """Most by which the service of two tenants who always wait differs.

        prompt, answer: longest there are.  room: all that engines hold [tokens].
        Counters of tenants who wait differ by one request's charge at most when it starts, and
        by what forecasts in flight are put right by when it ends, at most all that engines hold;
        what was finished differs from counters by what is in flight. Both ends of the time looked
        at count. Source: sheng2024 (theorem on backlogged clients, twice the most in flight).
        """
        charge = prompt * self.prompt + answer * self.answer
        dearer = max(self.prompt, self.answer)
        return 2 * (charge + 2 * room * dearer) / min([1.0, *self.weights.values()])

    def _before(self, request: Request, tenant: Tenant) -> float:
        """How many go before one that waits, if a tenant's are like its first and nobody comes."""
        own = place_in(tenant.queue, request, self.waiting.__contains__)
        start = tenant.counter + own * self._charge(request) / tenant.weight
        before = float(own)
        for other in self.tenants.values():
            behind = start - other.counter
            if other.count and behind >= 0 and other is not tenant:
                step = self._charge(self._first(other)) / other.weight or TINY
                first = other.name < tenant.name  # of counters alike
                before += min(
                    floor(behind / step) + 1 if first else ceil(behind / step), other.count
                )
        return before

    def _charge(self, request: Request) -> float:
        likely = request.likely if request.likely < request.most else request.most
        return request.prompt * self.prompt + likely * self.answer

    def _first(self, tenant: Tenant) -> Request:
        """Who of a tenant came first; one waits."""
        queue, waiting = tenant.queue, self.waiting
        while queue[0].id not in waiting:
            queue.popleft()
        return queue[0]

    def _stand(self, tenant: Tenant) -> None:
        """Put a waiting tenant into the heap where its counter has fallen."""
        if tenant.key is None or tenant.counter < tenant.key:
            tenant.key = tenant.counter
            heappush(self.heap, (tenant.key, tenant.name))

    def _returned(self, tenant: Tenant) -> None:
        """A tenant waits that did not: it asks for nothing that it did not ask for then."""
        if len(self.waiting) > 1:
            self.peek(0.0)
        if tenant.counter < self.level:
            tenant.counter = self.level
        self.shares += tenant.weight
        self._stand(tenant)

    def _met(self, name: str) -> Tenant:
        """A tenant that was not known, or was forgotten."""
        if len(self.tenants) >= self.kept:
            self.tenants = {
                each.name: each
                for each in self.tenants.values()
                if each.count or each.flying or each.counter > self.level
            }
            self.kept = max(KEPT, 2 * len(self.tenants))
        tenant = self.tenants[name] = Tenant(name, self.weights.get(name, 1.0))
        return tenant
