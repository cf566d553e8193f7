"""Who waits with a promise is told when it is missed, not when its turn would have come."""

from __future__ import annotations

import pytest
from tests.policies import ask, engine, started

from eke.policy.naming import make
from eke.policy.protocol import Failed, Finished, Left, Reject, Tick


def rings(policy, until: float) -> list[Reject]:
    """What a policy says at its alarms up to some time."""
    found = []
    while policy.alarm is not None and policy.alarm <= until:
        found += policy.on(Tick(), policy.alarm)
    return found


@pytest.mark.parametrize("text", ["fcfs+promise", "fair+promise+queue+backfill+anticipate@prefix"])
def test_a_promise_that_is_missed_in_the_queue_is_told_then(text: str) -> None:
    policy = make(text)
    policy.on(engine(), 0.0)
    assert started(policy.on(ask(0), 0.0)) == [0]
    for number, ttft in ((1, 3.0), (2, 1.0), (3, 2.0), (4, None)):
        assert policy.on(ask(number, ttft=ttft), 0.0) == []  # nobody knows how fast it is
    assert policy.on(Left(3), 0.5) == []
    assert rings(policy, 0.9) == []
    (refusal,) = rings(policy, 1.5)
    assert (refusal.request, refusal.reason) == (2, "missed its promise")
    assert refusal.retry_after >= 1.0
    assert started(policy.on(Finished(0, 100), 2.0)) == [1]
    assert rings(policy, 100.0) == []  # it was started in time, and one has no promise
    assert started(policy.on(Finished(1, 100), 200.0)) == [4]


def test_who_waits_again_after_its_engine_failed_has_the_same_time() -> None:
    policy = make("deadline+promise")
    policy.on(engine(), 0.0)
    assert started(policy.on(ask(0, ttft=2.0), 0.0)) == [0]
    policy.on(engine(slots=0), 1.0)
    assert policy.on(Failed(0, "gone"), 1.0) == []
    (refusal,) = rings(policy, 2.5)
    assert (refusal.request, refusal.reason) == (0, "missed its promise")


def test_a_thousand_promises_ring_no_more_often_than_they_are_missed() -> None:
    policy = make("fcfs+promise")
    policy.on(engine(slots=1), 0.0)
    policy.on(ask(0), 0.0)
    for number in range(1, 1001):
        policy.on(ask(number, number / 1e3, ttft=5.0), number / 1e3)
    found = rings(policy, 100.0)
    assert [each.request for each in found] == list(range(1, 1001))
    assert policy.alarm is None and not policy.order.waiting


def test_who_is_set_aside_for_a_larger_engine_is_told_too() -> None:
    policy = make("fcfs+promise")
    policy.on(engine(0, longest=100_000, room=100_000), 0.0)
    policy.on(engine(1, longest=1000, room=1000), 0.0)
    large = {"prompt": 5000, "likely": 100.0, "most": 100}
    assert started(policy.on(ask(0, **large), 0.0)) == [0]
    assert policy.on(ask(1, ttft=1.0, **large), 0.0) == []
    assert started(policy.on(ask(2), 0.0)) == [2]  # it fits the other
    (refusal,) = rings(policy, 2.0)
    assert (refusal.request, refusal.reason) == (1, "missed its promise")
    assert not policy.parked and policy.place(1, 2.0) is None


def test_promises_that_were_kept_are_forgotten() -> None:
    policy = make("fcfs+promise")
    policy.on(engine(slots=1), 0.0)
    for number in range(20_000):
        policy.on(ask(number, ttft=1e6), 0.0)
        if number:
            policy.on(Finished(number - 1, 100), 0.0)
    assert len(policy._dues) < 3000


def test_sequences_of_one_request_are_not_taken_for_one_that_is_too_long() -> None:
    policy = make("fcfs")
    policy.on(engine(longest=1000, room=100_000), 0.0)
    several = {"prompt": 5000, "likely": 500.0, "most": 2000, "alone": 250}
    (start,) = policy.on(ask(0, **several), 0.0)
    assert start.most is None
    assert type(policy.on(ask(1, **{**several, "alone": 0}), 0.0)[0]) is Reject
