"""One desk without sockets: with very many requests, and with a policy that fails."""

from __future__ import annotations

import asyncio
import random
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eke.gateway.call import Call
from eke.gateway.clock import Clock
from eke.gateway.desk import Desk
from eke.gateway.engines.engine import Engine
from eke.gateway.settings import EngineSettings, Patience
from eke.policy.naming import make
from eke.policy.protocol import Action, Event, Place
from eke.types.request import Request

MANY = 100_000
TENANTS = 50


def request(number: int) -> Request:
    return Request(
        *(number, 0.0, 100 + number % 900, 50.0, 200, f"t{number % TENANTS}", "chat"),
        *(number % 3 - 1, None, None, number % 1000, number % 1000),
    )


class Fallible:
    """A policy with a mistake in it: at some events it raises."""

    def __init__(self, mistakes: list[int]) -> None:
        self.policy, self.mistakes = make("fair"), mistakes
        self.alarm, self.hear_first = None, False

    def on(self, event: Event, now: float) -> list[Action]:
        self.mistakes[0] -= 1
        if self.mistakes[0] == 0:
            self.mistakes.pop(0)
            raise IndexError("oh")
        return self.policy.on(event, now)

    def place(self, number: int, now: float) -> Place | None:
        return self.policy.place(number, now)


@given(st.integers(0, 2**32), st.integers(5, 150))
def test_nobody_is_lost_when_a_policy_fails(seed: int, mistake: int) -> None:
    chance = random.Random(seed)
    mistakes = [mistake, 60, 60, 10**9]
    with desk_of(lambda: (Fallible(mistakes), None), slots=3) as (desk, engine):
        calls = [Call(request(number)) for number in range(40)]
        arriving, over = list(calls), list[Call]()
        while arriving or desk.calls:
            running = [call for call in desk.calls.values() if call.engine is not None]
            assert len(running) <= 3 and (arriving or running)
            what = chance.random()
            if arriving and what < 0.4:
                desk.arrive(arriving.pop())
            elif desk.calls and what < 0.5:
                over.append(chance.choice(list(desk.calls.values())))
                desk.left(over[-1])
            elif running and what < 0.6:
                desk.failed(running[0], "it died")
                desk.report(engine)
            elif running:
                over.append(running[0])
                desk.finished(running[0], 50, 0)
        assert len(over) == len(set(map(id, over))) == len(calls)
        assert desk.waiting == 0 and engine.strangers == 0


def test_a_policy_that_always_fails_is_told_of() -> None:
    with desk_of("fcfs") as (desk, _):
        desk._begin = lambda: (Fallible([1, 1, 1, 1]), None)
        desk.policy = Fallible([1, 1])
        with pytest.raises(IndexError):
            desk.arrive(Call(request(1)))


@contextmanager
def desk_of(policy: Any, slots: int = 8) -> Iterator[tuple[Desk, Engine]]:
    """A desk with one engine that is there."""
    loop = asyncio.new_event_loop()
    clock = Clock()
    settings = EngineSettings(name="e", url="http://127.0.0.1:9/v1", slots=slots)
    engine = Engine(0, settings, Patience(), clock.now())
    engine.ready = True
    begin = (lambda: (make(policy), None)) if isinstance(policy, str) else policy
    desk = Desk(begin, "m", clock, loop)
    desk.take_in({0: engine}, {0: ""})
    desk.report(engine)
    yield desk, engine
    loop.close()


@pytest.mark.parametrize(
    "policy",
    ["fcfs", "fair@prefix", "priority", "classes@prefix", "deficit", "deadline", "shortest",
     "tiers(1k:50%)", "fair(floors=t1:10%,ceilings=t2:50%)"],
)  # fmt: skip
def test_tens_of_thousands_wait_and_each_ends_once(policy: str) -> None:
    """Half of them leave, some are answered one after the other, the others are turned away."""
    with desk_of(policy) as (desk, _):
        begun = time.process_time()
        calls = [Call(request(number)) for number in range(MANY // 4)]
        for call in calls:
            desk.arrive(call)
        assert desk.waiting == len(calls) - 8
        place = desk.place(calls[-1])
        assert place is not None and 0 <= place.before < desk.waiting
        for call in calls[::2]:
            desk.left(call)
        assert len(desk.calls) == len(calls) // 2
        answered: set[int] = set()
        while len(answered) < 2000:
            running = [call for call in desk.calls.values() if call.engine is not None]
            assert len(running) == 8
            for call in running:
                desk.finished(call, 50, 0)
            answered |= {call.request.id for call in running}
        desk.turn_away("enough", 1.0)
        assert len(desk.calls) == 8 and desk.waiting == 0
        away = {call.request.id for call in calls if call.refusal is not None}
        assert not answered & away and len(answered) + len(away) + 8 == len(calls) // 2
        assert time.process_time() - begun < 12.0  # were it quadratic, it would take minutes


@pytest.mark.parametrize("policy", ["fcfs+queue", "classes+promise+queue+backfill@prefix"])
def test_a_queue_that_is_full_says_no_with_a_time_and_a_place(policy: str) -> None:
    with desk_of(policy) as (desk, engine):
        engine.pace = 1e-4  # seconds per token
        desk.report(engine)
        begun, refused = time.process_time(), 0
        for number in range(MANY):
            call = Call(request(number))
            desk.arrive(call)
            if (said := call.refusal) is not None:
                refused += 1
                assert said.reason == "queue full"
                assert said.retry_after is not None and said.retry_after >= 1.0
                assert said.place is not None and said.place >= 1000
        assert time.process_time() - begun < 20.0
        assert refused + len(desk.calls) == MANY
        assert 1000 <= desk.waiting <= 1100 * (1 if policy == "fcfs+queue" else 3 * TENANTS)


def test_who_waits_takes_little_memory() -> None:
    with desk_of("fair") as (desk, _):
        tracemalloc.start()
        for number in range(5000):
            desk.arrive(Call(request(number)))
        memory = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert memory < 2000 * desk.waiting


def test_those_who_wait_for_nothing_are_told_at_once() -> None:
    with desk_of("fair", slots=1) as (desk, engine):
        engine.ready = False
        desk.report(engine)
        calls = [Call(request(number)) for number in range(MANY // 4)]
        for call in calls:
            desk.arrive(call)
        assert desk.waiting == len(calls)
        begun = time.process_time()
        desk.turn_away("no engine is there", 15.0)
        assert time.process_time() - begun < 5.0
        assert desk.waiting == 0 and not desk.calls
        assert all(call.refusal and call.refusal.retry_after == 15.0 for call in calls)


def test_another_policy_takes_over_a_long_queue_soon() -> None:
    with desk_of("fair") as (desk, _):
        calls = [Call(request(number)) for number in range(MANY // 10)]
        for call in calls:
            desk.arrive(call)
        begun = time.process_time()
        desk.swap()
        assert time.process_time() - begun < 3.0
        assert desk.waiting == len(calls) - 8
        assert sum(call.engine is not None for call in calls) == 8
