"""Shares of the engines that some are sure of, lent while they do not ask for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from eke.errors import BadInput
from eke.policy.orders.groups import REST, Groups
from eke.policy.orders.order import SPARE, Order, place_in
from eke.policy.orders.use import Use
from eke.policy.pool import Pool
from eke.policy.says import Says
from eke.types.request import Request

FREE = 0.1  # share of the engines that floors must leave to everyone


class Floors(Order):
    """A group that has less in flight than its floor goes first; otherwise another order decides.

    Nothing is kept empty: while a group does not ask, others use its share, and the next room that
    becomes free is its own again. At least one request of it is always within its floor. The group
    least served of its floor goes first; inside a group, first come, first served.

    order: of all that wait.  shares: group → share of slots and of the cache; a group is a tenant,
    a class of priority written as a number, or a kind of request.
    """

    __slots__ = ("groups", "lanes", "order", "shares", "uses")

    counts = True

    def __init__(self, order: Order, shares: dict[str, float]) -> None:
        super().__init__()
        if sum(shares.values()) > 1 - FREE or min(shares.values(), default=1) <= 0:
            raise BadInput(
                f"floors of {', '.join(f'{share:.0%}' for share in shares.values())}: each must be "
                f"above 0, and together they must leave {FREE:.0%} to everyone else."
            )
        self._wrap(order, shares)

    def _wrap(self, order: Order, shares: dict[str, float]) -> None:
        self.order, self.shares = order, shares
        self.groups = Groups(shares)
        self.waiting = order.waiting
        self.lanes: dict[str, deque[Request]] = {group: deque() for group in shares}
        self.uses = {group: Use() for group in shares}

    def attach(self, pool: Pool) -> None:
        super().attach(pool)
        self.order.attach(pool)

    def group(self, request: Request) -> str:
        """Whose floor a request counts for."""
        return self.groups.of(request)

    def push(self, request: Request) -> None:
        self.order.push(request)
        group = self.group(request)
        if group is not REST:
            lane = self.lanes[group]
            lane.append(request)
            if len(lane) > 2 * len(self.waiting) + SPARE:
                self.lanes[group] = deque(each for each in lane if each.id in self.waiting)

    def back(self, request: Request) -> None:
        self.order.back(request)
        group = self.group(request)
        if group is not REST:
            self.lanes[group].appendleft(request)

    def undo(self, request: Request) -> None:
        self.order.undo(request)
        group = self.group(request)
        if group is not REST:
            self.uses[group].remove(request)

    def peek(self, now: float) -> Request | None:
        claims = []
        for group in self.shares:
            request = self._first(group)
            if request is not None and self._claims(group, request):
                claims.append((group, request))
        if not claims:
            return self.order.peek(now)
        if len(claims) > 1:  # the group least served of its floor
            claims.sort(
                key=lambda claim: self.uses[claim[0]].part(self.pool) / self.shares[claim[0]]
            )
        return claims[0][1]

    def take(self, request: Request) -> None:
        self.order.take(request)
        group = self.group(request)
        if group is not REST:
            self.uses[group].add(request)

    def through(self, request: Request) -> None:
        self.order.through(request)
        group = self.group(request)
        if group is not REST:
            self.uses[group].add(request)

    def drop(self, request: Request) -> None:
        self.order.drop(request)

    def ended(self, request: Request, tokens: int | None, cached: int) -> None:
        self.order.ended(request, tokens, cached)
        group = self.group(request)
        if group is not REST:
            self.uses[group].remove(request)

    def says(self) -> Says:
        inner = self.order.says()
        return Says(inner.conserving, inner.patient, floors=self.shares, group=self.group)

    def apart(self, request: Request) -> Hashable:
        return self.group(request)

    def ahead(self, request: Request) -> float:
        before, group = self.order.ahead(request), self.group(request)
        if not before or group is REST or not self._claims(group, request):
            return before
        lane = self.lanes[group]
        own = len(lane)  # of a new one
        if request.id in self.waiting:
            own = place_in(lane, request, self.waiting.__contains__)
        sure = max(self.shares[group] * self.pool.slots - self.uses[group].count, 1)
        return min(before, own) if own < sure else before

    def precedes(self, request: Request, head: Request, now: float) -> bool:
        first, group = self.group(head), self.group(request)
        if first is not REST and self._claims(first, head):
            return False
        if group is not REST and self._claims(group, request):
            return True
        return self.order.precedes(request, head, now)

    def _claims(self, group: str, request: Request) -> bool:
        """Whether a request of a group is within its floor."""
        use = self.uses[group]
        return use.count == 0 or use.within(self.shares[group], self.pool, request)

    def _first(self, group: str) -> Request | None:
        """Who of a group came first."""
        lane, waiting = self.lanes[group], self.waiting
        while lane:
            if lane[0].id in waiting:
                return lane[0]
            lane.popleft()
        return None
