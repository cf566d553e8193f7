"""The errand of a line: in the class it has by now, and charged only when its answer is stored."""

from __future__ import annotations

from eke.gateway.asked import CLASSES, Asked, Endpoint
from eke.gateway.asker import Asker
from eke.gateway.call import Call
from eke.gateway.deferred import Deferred
from eke.gateway.gateway import Gateway
from eke.gateway.settings import Tenant
from eke.types.record import Record, replace
from eke.types.request import Request

TIER = KIND = "batch"


class Turn(Record):
    """When a line is asked. priority: its class by now.  deadline: time to the end of its window
    [s]."""

    priority: int
    deadline: float


def errand_of(
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
