"""A policy asked by hand, request by request."""

from __future__ import annotations

from eke.policy.protocol import Arrived, EngineReport, Finished, Start
from eke.types.request import Request


def ask(number: int, now: float = 0.0, **facts) -> Arrived:
    """A request of 100 tokens and as many to answer."""
    usual = {"prompt": 100, "likely": 100.0, "most": 100}
    return Arrived(Request(**{"id": number, "arrived": now, **usual, **facts}))


def engine(number: int = 0, slots: int = 1, room: int = 10_000, **facts) -> EngineReport:
    return EngineReport(engine=number, slots=slots, room=room, **{"as_of": 0.0, **facts})


def started(actions) -> list[int]:
    return [action.request for action in actions if type(action) is Start]


def order_of(policy, count: int) -> list[int]:
    """In which order a single slot serves those that wait."""
    found = []
    actions = policy.on(engine(), 0.0)
    for _ in range(count):
        (number,) = started(actions)
        found.append(number)
        actions = policy.on(Finished(number, 100), 1.0)
    return found
