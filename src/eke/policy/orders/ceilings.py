"""Shares of the engines that some never have more of, though nobody else asks."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from eke.errors import BadInput
from eke.policy.orders.groups import REST, Groups
from eke.policy.orders.order import Order
from eke.policy.orders.use import Use
from eke.policy.pool import Pool
from eke.policy.says import Says
from eke.types.request import Request

ASIDE = 1000  # requests set aside at once: others are not kept waiting for milliseconds

Line = tuple[str, Hashable]  # whose ceiling a request counts for, and what tells it apart


class Ceilings(Order):
    """A group never has more in flight than its ceiling, but for one request, which it may always.

    Everybody stands in one order. Whoever comes to its head though its group has all it may is set
    aside in a line of the group's, ordered in the same way, until one of the group's ends; the
    first of a line that may start stands in the order again, before its like. Lines are told of
    all that their groups start, so that tenants share a ceiling as fairly as anything else.

    order: of all that wait.  shares: group → share of slots and of the cache; a group is a tenant,
    a class of priority written as a number, or a kind of request.  line: makes an order like the
    one of all that wait.
    """

    __slots__ = ("groups", "line", "lines", "order", "shares", "unfinished", "uses")

    counts = True
    conserving = False

    def __init__(self, order: Order, shares: dict[str, float], line: Callable[[], Order]) -> None:
        super().__init__()
        if not all(0 < share <= 1 for share in shares.values()):
            raise BadInput(
                f"ceilings of {', '.join(f'{share:.0%}' for share in shares.values())}: each must "
                "be above 0 and at most 100%."
            )
        self.order, self.shares, self.line = order, shares, line
        self.groups = Groups(shares)
        self.lines: dict[Line, Order] = {}
        self.uses = {group: Use() for group in shares}
        self.unfinished = False

    def attach(self, pool: Pool) -> None:
        super().attach(pool)
        self.order.attach(pool)

    def push(self, request: Request) -> None:
        self.waiting[request.id] = request
        group = self.groups.of(request)
        if group is REST or self.order.waiting or self._allowed(group, request):
            self.order.push(request)
        else:
            self._line(group, request).push(request)  # it would be the next, and must wait

    def back(self, request: Request) -> None:
        self.waiting[request.id] = request
        group = self.groups.of(request)
        if group is REST or self._allowed(group, request):
            self.order.back(request)
        else:
            self._line(group, request).back(request)

    def undo(self, request: Request) -> None:
        self.order.undo(request)
        group = self.groups.of(request)
        if group is not REST:
            self._line(group, request).undo(request)
            self.uses[group].remove(request)

    def peek(self, now: float) -> Request | None:
        order = self.order
        for (group, _), line in self.lines.items():
            if line.waiting:
                first = line.peek(now)
                if first and first.id not in order.waiting and self._allowed(group, first):
                    order.back(first)
        self.unfinished = False
        for _ in range(ASIDE):
            request = order.peek(now)
            if request is None:
                return None
            group = self.groups.of(request)
            if group is REST or self._allowed(group, request):
                return request
            order.drop(request)
            line = self._line(group, request)
            if request.id not in line.waiting:
                line.push(request)
        self.unfinished = True
        return None

    def take(self, request: Request) -> None:
        del self.waiting[request.id]
        self.order.take(request)
        group = self.groups.of(request)
        if group is not REST:
            line = self._line(group, request)
            if line.counts and request.id not in line.waiting:
                line.push(request)
            if request.id in line.waiting:
                line.take(request)
            self.uses[group].add(request)

    def drop(self, request: Request) -> None:
        del self.waiting[request.id]
        if request.id in self.order.waiting:
            self.order.drop(request)
        group = self.groups.of(request)
        if group is not REST and request.id in (line := self._line(group, request)).waiting:
            line.drop(request)

    def ended(self, request: Request, tokens: int | None, cached: int) -> None:
        self.order.ended(request, tokens, cached)
        group = self.groups.of(request)
        if group is not REST:
            self._line(group, request).ended(request, tokens, cached)
            self.uses[group].remove(request)

    def ahead(self, request: Request) -> float:
        group, others = self.groups.of(request), self.order.waiting
        if group is REST or request.id in others:
            return self.order.ahead(request)
        own, share = self._line(group, request).ahead(request), self.shares[group]
        if request.id not in self.waiting:  # it would stand behind both
            return own + self.order.ahead(request)
        return own + min(len(others), own * (1 / share - 1))

    def precedes(self, request: Request, head: Request, now: float) -> bool:
        group = self.groups.of(request)
        if group is not REST and not self._allowed(group, request):
            return False
        return self.order.precedes(request, head, now)

    def says(self) -> Says:
        inner = self.order.says()
        return Says(
            conserving=inner.conserving,
            waits=inner.waits,
            patient=inner.patient,
            floors=inner.floors,
            group=inner.group,
            ceilings=self.shares,
            under=self.groups.of,
        )

    def _allowed(self, group: str, request: Request) -> bool:
        """Whether a request of a group more is still below its ceiling."""
        use = self.uses[group]
        return use.count == 0 or use.within(self.shares[group], self.pool, request)

    def _line(self, group: str, request: Request) -> Order:
        """Where a request of a group is set aside: nobody behind one that may have to wait though
        its like, by ceilings, need not."""
        key = group, self.order.apart(request)
        line = self.lines.get(key)
        if line is None:
            line = self.lines[key] = self.line()
        return line
