"""The errand of a line: in the class it has by now, and charged only when its answer is stored."""

from __future__ import annotations

from eke.gateway.asked import CLASSES, Asked, Endpoint
from eke.gateway.asker import Asker
from eke.gateway.call import Call
from eke.gateway.changes import Usage
from eke.gateway.errand import Errand
from eke.gateway.gateway import Gateway
from eke.gateway.row import REFUSED, Row
from eke.gateway.settings import Tenant
from eke.gateway.settled import row_of
from eke.types.record import Record, replace
from eke.types.request import Request

TIER = KIND = "batch"


class Turn(Record):
    """When a line is asked. priority: its class by now.  deadline: time to the end of its window
    [s]."""

    priority: int
    deadline: float


class Deferred(Errand):
    """An errand that is charged when its result is stored, and for nothing if it is not.

    row: what it took, when it is over; None if it was taken back.
    """

    __slots__ = ("row",)

    def __init__(self, gateway: Gateway, asker: Asker, body: bytes) -> None:
        self.row: Row | None = None
        super().__init__(gateway, asker, body)

    def settle(self, usage: Usage | None, tokens: int, outcome: str, reason: str = "") -> Row:
        """It is over. One that was taken back is over already, and took nothing."""
        if not self.settled:
            return super().settle(usage, tokens, outcome, reason)
        return row_of(self, (0, 0, 0), (REFUSED, reason), self.gateway.clock.now())

    def charge(self, row: Row) -> None:
        """Wait for what becomes of it."""
        self.row = row

    def close(self, charged: bool) -> None:
        """Tell the ledger and the log, now that it is known whether it is charged."""
        if self.row is not None:
            super().charge(self.row if charged else spared(self.row))


def spared(row: Row) -> Row:
    """What a line takes that is not charged: chips were used, tokens are not counted."""
    return row._replace(prompt=0, tokens=0, cached=0, charged=0.0, saved=0.0)


def deferred(
    gateway: Gateway, tenant: Tenant, endpoint: Endpoint, asked: Asked, body: bytes, turn: Turn
) -> Deferred:
    """The errand of a line. Raises Refusal where it can never be answered."""
    errand = Deferred(gateway, Asker(tenant, endpoint, asked, TIER, KIND, turn.deadline), body)
    errand.call = Call(_in_class(errand.call.request, turn.priority, endpoint.kind))
    return errand


def _in_class(request: Request, priority: int, kind: str) -> Request:
    """A request as the policy is to see it: one that became urgent is of the kind that it would be
    by itself, so that it does not wait for troughs any more."""
    waits = priority == CLASSES[TIER]
    return replace(request, priority=priority, kind=request.kind if waits else kind)
