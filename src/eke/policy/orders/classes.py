"""Classes of priority, inside each of which tenants are served fairly."""

from __future__ import annotations

from eke.policy.orders.fair import Fair
from eke.policy.orders.order import Order
from eke.policy.orders.priority import FOREVER, NEVER
from eke.policy.orders.weights import checked
from eke.policy.says import Says
from eke.types.request import Request

KEPT = 64  # classes, before those in which nothing is under way are forgotten


class Classes(Order):
    """Of the classes' next the one of the lowest class goes; waiting lifts it by one class after
    the other. Who is next in its class is the first of the tenant that had least service there.

    ageing: waiting of the next that outweighs one class [s]; inf for strict classes, where the
    lowest may wait for ever.  weights, prompt, answer: as for `Fair`, in every class.
    Source: kleinrock1975 (time-dependent priorities), sheng2024 (virtual token counter).
    """

    __slots__ = ("ageing", "answer", "classes", "kept", "patient", "prompt", "weights")

    counts = True

    def __init__(
        self,
        ageing: float = 30.0,
        weights: dict[str, float] | None = None,
        prompt: float = 1.0,
        answer: float = 2.0,
    ) -> None:
        super().__init__()
        self.patient = ageing != NEVER
        self.ageing = ageing if ageing != NEVER else FOREVER
        self.weights, self.prompt, self.answer = checked(weights), prompt, answer
        self.classes: dict[int, Fair] = {}
        self.kept = KEPT

    def push(self, request: Request) -> None:
        self.waiting[request.id] = request
        (self.classes.get(request.priority) or self._met(request.priority)).push(request)

    def back(self, request: Request) -> None:
        self.waiting[request.id] = request
        (self.classes.get(request.priority) or self._met(request.priority)).back(request)

    def undo(self, request: Request) -> None:
        self.classes[request.priority].undo(request)

    def peek(self, now: float) -> Request | None:
        best, lowest = None, float("inf")
        for level, fair in self.classes.items():
            if fair.waiting:
                request = fair.peek(now)
                assert request is not None
                rank = level * self.ageing + request.arrived
                if best is None or rank < lowest or (rank == lowest and request.id < best.id):
                    best, lowest = request, rank
        return best

    def take(self, request: Request) -> None:
        del self.waiting[request.id]
        self.classes[request.priority].take(request)

    def through(self, request: Request) -> None:
        (self.classes.get(request.priority) or self._met(request.priority)).through(request)

    def drop(self, request: Request) -> None:
        del self.waiting[request.id]
        self.classes[request.priority].drop(request)

    def ended(self, request: Request, tokens: int | None, cached: int) -> None:
        self.classes[request.priority].ended(request, tokens, cached)

    def ahead(self, request: Request) -> float:
        own = self.classes.get(request.priority)
        before = own.ahead(request) if own else 0.0
        for level, fair in self.classes.items():
            if fair.waiting and fair is not own:
                before += self._sooner(fair, request, level * self.ageing)
        return before

    def precedes(self, request: Request, head: Request, now: float) -> bool:
        if request.priority == head.priority:
            return self.classes[head.priority].precedes(request, head, now)
        start = head.arrived + (head.priority - request.priority) * self.ageing
        return now < start

    def says(self) -> Says:
        fair = self._fair()
        return Says(patient=self.patient, service=fair.service, gap=fair.gap, among=_class_of)

    def _sooner(self, fair: Fair, request: Request, level: float) -> float:
        """How many of another class go before a request; none before its next does.

        level: rank of that class's requests, but for their arrival [s].
        """
        head, number = fair.peek(0.0), request.id
        own = request.priority * self.ageing + request.arrived
        if head is None or (level + head.arrived, head.id) >= (own, number):
            return 0.0
        if number not in self.waiting:  # as if all had come at an even pace
            since, lead = request.arrived - head.arrived, own - level - head.arrived
            return len(fair.waiting) * (lead / since if lead < since else 1.0)
        return sum([level + each.arrived < own for each in fair.waiting.values()])

    def _fair(self) -> Fair:
        return Fair(self.weights, self.prompt, self.answer)

    def _met(self, level: int) -> Fair:
        """A class that was not known, or was forgotten."""
        if len(self.classes) >= self.kept:
            self.classes = {each: fair for each, fair in self.classes.items() if not fair.idle}
            self.kept = max(KEPT, 2 * len(self.classes))
        fair = self.classes[level] = self._fair()
        return fair


def _class_of(request: Request) -> int:
    return request.priority
