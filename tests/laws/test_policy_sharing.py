"""Laws of rationing: classes, ceilings, and places kept for who will be back at once."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fleets import REPLICA, play, same, traffic

from eke.policy.contract.toy import Machine, Play, World
from eke.policy.naming import make
from eke.policy.protocol import Action, Arrived, EngineReport, Event, Finished, Left, Start
from eke.simulation.watch import Watch
from eke.types.record import replace
from eke.types.request import Request

SERVICE = 0.16  # of each request in worlds with closed loops [s]


class Clock:
    """Notes how long the light tenant's requests took, and how many were done, until an end.

    since, until: when [s].  waited: of the light tenant's, from arrival to the last token [s].
    """

    def __init__(self, since: float, until: float) -> None:
        self.since, self.until = since, until
        self.came: dict[int, tuple[float, str]] = {}
        self.waited: list[float] = []
        self.done = 0

    def event(self, event: Event, now: float) -> None:
        if isinstance(event, Arrived):
            self.came[event.request.id] = now, event.request.tenant
        elif isinstance(event, Finished) and self.since <= now < self.until:
            came, tenant = self.came[event.request]
            self.done += 1
            if tenant == "light":
                self.waited.append(now - came)

    def action(self, action: Action, now: float) -> None: ...

    def settled(self, now: float) -> None: ...


def loop(slots: int, gap: float, seconds: float = 12.0) -> World:
    """64 connections of one tenant beside one of another; each asks again when it is answered."""
    requests: list[Request] = []
    follows: dict[int, tuple[int, float]] = {}

    def chain(tenant: str, start: float, pause: float, count: int) -> None:
        first = len(requests)
        for number in range(first, first + count):
            requests.append(Request(number, start, 60, 100.0, 100, tenant))
        follows.update({n: (n + 1, pause) for n in range(first, first + count - 1)})

    for connection in range(64):
        rounds = int(seconds / SERVICE * slots / 64) + 2
        chain("heavy", 0.0001 * connection, 0.0003, rounds)
    chain("light", 0.05, gap, int(seconds / (SERVICE + gap)) + 1)
    return World(
        name="loop",
        requests=requests,
        answers=dict.fromkeys(range(len(requests)), 100),
        machines=[Machine(slots=slots, room=10**6, pace=SERVICE / 160)],
        follows=follows,
    )


def measured(policy: str, slots: int, gap: float) -> tuple[float, float]:
    """The light tenant's median over its time alone, and the share of the engine that is used."""
    clock = Clock(since=2.0, until=10.0)
    Play(loop(slots, gap), make(policy), clock).run()
    return median(clock.waited) / SERVICE, clock.done * SERVICE / slots / 8.0


def test_a_light_user_beside_a_heavy_one() -> None:
    """First come, first served makes it wait for all the heavy one has; fair for one of these."""
    slow, all_of_it = measured("fcfs", 4, 0.0003)
    fair, _ = measured("fair", 4, 0.0003)
    kept, used = measured("fair+anticipate", 4, 0.0003)
    assert slow > 15 and 1.8 < fair < 2.2 and kept <= 1.2
    assert used >= 0.97 * all_of_it


@pytest.mark.parametrize("gap", [0.0003, 0.005])
@pytest.mark.parametrize("slots", [2, 4, 16])
@pytest.mark.parametrize("order", ["fair", "classes", "deficit"])
def test_with_a_share_of_its_own_it_does_not_wait(order: str, slots: int, gap: float) -> None:
    kept, used = measured(f"{order}+anticipate", slots, gap)
    assert kept <= 1.2 and used >= 0.97


@pytest.mark.parametrize("slots", [1, 2, 4, 16])
def test_nobody_waits_for_who_is_long_away(slots: int) -> None:
    before, _ = measured("fair", slots, 1.0)
    kept, used = measured("fair+anticipate", slots, 1.0)
    assert kept == pytest.approx(before, rel=0.05) and used >= 0.98


def test_one_slot_is_shared_by_turns() -> None:
    """Keeping the place gives nobody more than its share."""
    kept, used = measured("fair+anticipate", 1, 0.0003)
    assert kept == pytest.approx(2.0, rel=0.05) and used >= 0.97


@pytest.mark.parametrize("policy", ["fcfs+anticipate", "priority+anticipate"])
def test_a_place_is_kept_only_where_the_order_lets_who_comes_go_first(policy: str) -> None:
    order = policy.partition("+")[0]
    assert measured(policy, 4, 0.0003) == measured(order, 4, 0.0003)


def asks(draw: st.DrawFn) -> Iterator[Request]:
    count = draw(st.integers(1, 40))
    for number in range(count):
        yield Request(
            *(number, 0.01 * number, 50, 100.0, 100),
            tenant=draw(st.sampled_from("abcd")),
            kind=draw(st.sampled_from(["chat", "batch"])),
            priority=draw(st.integers(0, 2)),
            deadline=draw(st.sampled_from([None, 5.0, 20.0])),
        )


queues = st.composite(lambda draw: list(asks(draw)))()


@pytest.mark.parametrize(
    "policy",
    (
        *("fcfs", "priority", "priority(ageing=1s)", "deadline", "shortest", "fair"),
        *("fair(weights=a:3+b:0.5)", "classes", "classes(ageing=10ms)", "classes(ageing=never)"),
    ),
)
@settings(max_examples=25)
@given(requests=queues)
def test_whoever_starts_next_was_told_that_nobody_goes_before(policy: str, requests) -> None:
    machine = make(policy)
    flying: list[int] = []
    for request in requests:
        machine.on(Arrived(request), request.arrived)
    actions = machine.on(EngineReport(0, 0.5, 2, 10_000), 0.5)
    while True:
        flying += [each.request for each in actions if type(each) is Start]
        if not machine.order.waiting:
            break
        places = {each: machine.place(each, 1.0).before for each in machine.order.waiting}
        assert min(places.values()) >= 0 and max(places.values()) < len(places)
        actions = machine.on(Finished(flying.pop(0), 100), 1.0)
        assert [places[each.request] for each in actions] == [0]


@pytest.mark.parametrize("policy", ["fcfs", "priority", "fair", "classes(ageing=never)"])
@settings(max_examples=25)
@given(requests=queues)
def test_where_one_stands_is_how_many_go_first(policy: str, requests) -> None:
    """Of requests alike, of whom no more come."""
    machine = make(policy)
    for request in requests:
        machine.on(Arrived(request), request.arrived)
    (start,) = machine.on(EngineReport(0, 0.5, 1, 10_000), 0.5)
    foretold = {each: machine.place(each, 1.0).before for each in machine.order.waiting}
    found = {}
    while machine.order.waiting:
        (start,) = machine.on(Finished(start.request, 100), 1.0)
        found[start.request] = len(found)
    assert found == foretold


ROOMY = [Machine(slots=3, room=100_000), Machine(slots=5, room=100_000)]


@pytest.mark.parametrize("order", ["fcfs", "priority", "fair", "classes", "shortest"])
@settings(max_examples=20)
@given(requests=queues)
def test_a_ceiling_nobody_comes_to_changes_nothing(order: str, requests) -> None:
    answers = {each.id: 100 for each in requests}
    world = World(name="roomy", requests=requests, answers=answers, machines=ROOMY)
    logs = []
    for text in (order, f"{order}(ceilings=a:100%+batch:100%)"):
        game = Play(world, make(text), Clock(0.0, 0.0))
        game.run()
        logs.append(game.log)
    assert logs[0] == logs[1]


@pytest.mark.parametrize("order", ["fair", "classes", "deficit(quantum=200)"])
def test_tenants_share_a_ceiling_as_they_share_the_rest(order: str) -> None:
    """A ceiling of all batch work: who brings ten times as much gets no more of it."""
    name, _, rest = order.partition("(")
    policy = make(f"{name}({rest.rstrip(')')}{',' if rest else ''}ceilings=batch:50%)")
    policy.on(EngineReport(0, 0.0, 4, 10_000), 0.0)
    whose, flying, served = {}, [], []
    for number in range(220):
        whose[number] = "few" if number % 11 == 0 else "many"
        request = Request(number, 0.0, 100, 100.0, 100, whose[number], "batch")
        flying += [each.request for each in policy.on(Arrived(request), 0.0)]
    while len(served) < 38:
        assert len(flying) == 2
        served.append(whose[flying.pop(0)])
        flying += [each.request for each in policy.on(Finished(flying_of(policy), 100), 1.0)]
    assert 18 <= served.count("few") <= 20


def flying_of(policy) -> int:
    """Who was started first of those in flight."""
    return next(iter(policy.flying))


@pytest.mark.parametrize(
    "policy", ["fcfs(ceilings=a:25%+b:25%)", "fair(ceilings=0:50%,floors=a:20%)+anticipate"]
)
@settings(max_examples=25)
@given(requests=queues, leave=st.integers(1, 3))
def test_whoever_leaves_is_forgotten_wherever_it_waited(policy: str, requests, leave) -> None:
    machine = make(policy)
    machine.on(EngineReport(0, 0.0, 4, 10_000), 0.0)
    flying = []

    def noted(actions) -> None:
        flying.extend(each.request for each in actions if type(each) is Start)

    for request in requests:
        noted(machine.on(Arrived(request), request.arrived))
    for number in list(machine.order.waiting)[::leave]:
        noted(machine.on(Left(number), 1.0))
        assert machine.place(number, 1.0) is None
    while flying:
        noted(machine.on(Finished(flying.pop(0), 100), 2.0))
    assert not machine.order.waiting and not machine.flying


@pytest.mark.parametrize(
    "policy", ["fair+anticipate", "classes+anticipate", "fair(ceilings=t0:50%)+anticipate"]
)
@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([3.0, 9.0]))
def test_ends_told_together_change_nothing(policy: str, seed: int, rate: float) -> None:
    """In the simulator, which tells of ends later while nobody waits."""
    rng, many = np.random.default_rng(seed), 200
    coming = traffic(
        np.cumsum(rng.exponential(1 / rate, many)),
        rng.integers(1, 500, many),
        rng.integers(1, 80, many),
        most=rng.integers(40, 200, many),
        tenant=rng.integers(0, 3, many),
        tenants=("t0", "t1", "t2"),
        priority=rng.integers(0, 2, many),
    )
    kind, watch = replace(REPLICA, most=6, blocks=400), Watch(report=0.7, samples=20)

    def asked_every_time(machine) -> None:
        machine.quiet = False

    told = play(kind, coming, policy, watch)
    assert same(told, play(kind, coming, policy, watch, asked_every_time))
