"""Shares of the engines that some are sure of, lent while they do not ask for them."""

from __future__ import annotations

from collections import deque

from eke.errors import BadInput
from eke.policy.orders.order import SPARE, Order
from eke.policy.orders.use import Use
from eke.policy.pool import Pool
from eke.policy.says import Says
from eke.types.request import Request

REST = ""  # the group of all that have no floor
FREE = 0.1  # share of the engines that floors must leave to everyone


class Floors(Order):
    """A group that has less in flight than its floor goes first; otherwise another order decides.

    Nothing is kept empty: while a group does not ask, others use its share, and the next room that
    becomes free is its own again. At least one request of it is always within its floor. The group
    least served of its floor goes first; inside a group, first come, first served.

    order: of all that wait.  shares: group → share of slots and of the cache; a group is a tenant,
    a class of priority written as a number, or a kind of request.
    """

    __slots__ = ("classes", "lanes", "order", "shares", "uses")

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
        self.classes = {int(name): name for name in shares if name.lstrip("-").isdecimal()}
        self.waiting = order.waiting
        self.lanes: dict[str, deque[Request]] = {group: deque() for group in shares}
        self.uses = {group: Use() for group in shares}

    def attach(self, pool: Pool) -> None:
        super().attach(pool)
        self.order.attach(pool)

    def group(self, request: Request) -> str:
        """Whose floor a request counts for."""
        if request.tenant in self.shares:
            return request.tenant
        if request.priority in self.classes:
            return self.classes[request.priority]
        return request.kind if request.kind in self.shares else REST

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
        for group, share in self.shares.items():
            request, use = self._first(group), self.uses[group]
            if request is not None and (use.count == 0 or use.within(share, self.pool, request)):
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

    def ahead(self, request: Request) -> float:
        return self.order.ahead(request)

    def _first(self, group: str) -> Request | None:
        """Who of a group came first."""
        lane, waiting = self.lanes[group], self.waiting
        while lane:
            if lane[0].id in waiting:
                return lane[0]
            lane.popleft()
        return None
