"""What classes, ceilings and kept places do, request by request, and how they are given."""

from __future__ import annotations

import pytest
from tests.policies import ask, engine, order_of, started

from eke.errors import BadInput
from eke.policy.naming import make
from eke.policy.pool import Pool
from eke.policy.protocol import Arrived, EngineReport, Finished, Left, Start, Stop, Tick
from eke.types.request import Request


def test_classes_are_fair_inside_and_wait_no_longer_than_ageing() -> None:
    policy = make("classes(ageing=10s)")
    for number in range(3):
        policy.on(ask(number, tenant="many", priority=1), 0.0)
    policy.on(ask(3, tenant="few", priority=1), 0.0)
    policy.on(ask(4, 5.0, tenant="many"), 5.0)
    policy.on(ask(5, 5.0, tenant="few"), 5.0)
    policy.on(ask(6, 11.0, tenant="new"), 11.0)
    served = order_of(policy, 7)
    assert set(served[:2]) == {4, 5}  # the lower class, in turns
    assert set(served[2:4]) == {0, 3}  # in turns too, eleven seconds older than the last
    assert served[4:] == [1, 2, 6]


def test_strict_classes_and_weights_in_each() -> None:
    policy = make("classes(ageing=never)", weights={"gold": 3.0})
    for number in range(80):
        tenant = ("gold", "free")[number % 2]
        policy.on(ask(number, 1000.0 * (number < 40), tenant=tenant, priority=number // 40), 1e3)
    served = order_of(policy, 80)
    assert set(served[:40]) == set(range(40))
    assert sum(number % 2 == 0 for number in served[:20]) == pytest.approx(15, abs=1)
    assert sum(number % 2 == 0 for number in served[40:60]) == pytest.approx(15, abs=1)


def test_empty_classes_do_not_pile_up() -> None:
    policy = make("classes")
    policy.on(engine(), 0.0)
    for number in range(1000):
        policy.on(ask(number, priority=number), 0.0)
        policy.on(Finished(number, 100), 0.0)
    assert len(policy.order.classes) <= 64


def test_ceilings_hold_though_nobody_else_asks() -> None:
    policy = make("fcfs(ceilings=free:50%)")
    policy.on(engine(slots=4), 0.0)
    told = [started(policy.on(ask(number, tenant="free"), 0.0)) for number in range(5)]
    assert told == [[0], [1], [], [], []]
    assert [policy.place(number, 0.0).before for number in (2, 3, 4)] == [0, 1, 2]
    assert [started(policy.on(ask(number), 0.0)) for number in (10, 11, 12)] == [[10], [11], []]
    assert started(policy.on(Finished(10, 100), 1.0)) == [12]
    assert started(policy.on(Finished(0, 100), 1.0)) == [2]
    assert policy.on(Left(3), 1.0) == []
    assert started(policy.on(Finished(1, 100), 1.0)) == [4]


def test_whoever_waited_for_its_ceiling_keeps_its_turn() -> None:
    policy = make("fcfs(ceilings=free:50%)")
    policy.on(engine(slots=2), 0.0)
    for number, tenant in enumerate(["free", "", "free", "", "", ""]):
        policy.on(ask(number, tenant=tenant), 0.0)
    assert started(policy.on(Finished(1, 100), 1.0)) == [3]  # 2 is next, and has to wait
    assert started(policy.on(Finished(0, 100), 1.0)) == [2]


def test_a_ceiling_counts_the_cache_too_and_always_lets_one() -> None:
    policy = make("fair(ceilings=free:50%)")
    policy.on(engine(slots=100, room=1000), 0.0)
    told = [started(policy.on(ask(number, tenant="free"), 0.0)) for number in range(3)]
    assert told == [[0], [1], []]
    policy.on(Finished(0, 100), 1.0), policy.on(Finished(1, 100), 1.0), policy.on(Left(2), 1.0)
    assert started(policy.on(ask(5, tenant="free", prompt=800), 2.0)) == [5]


def test_floors_hold_within_ceilings() -> None:
    """Of those who share a ceiling, who has less than its floor goes first."""
    policy = make("fcfs(floors=gold:25%,ceilings=batch:50%)")
    policy.on(engine(slots=4), 0.0)
    for number in range(4):
        policy.on(ask(number, tenant="free", kind="batch"), 0.0)
    policy.on(ask(9, tenant="gold", kind="batch"), 0.0)
    assert set(policy.order.waiting) == {2, 3, 9}
    assert started(policy.on(Finished(0, 100), 1.0)) == [9]


def test_whoever_can_wait_keeps_nobody_of_its_tenant_waiting() -> None:
    """A line of a batch waits for a trough that never comes; a user below the ceiling does not."""
    policy = make("fcfs(ceilings=free:25%)+backfill(spare=10%)")
    policy.on(engine(slots=8), 0.0)
    for number in range(8):
        policy.on(ask(number, tenant="gold" if number < 6 else "free"), 0.0)
    policy.on(ask(8, tenant="free", kind="batch"), 0.0)
    policy.on(ask(9, tenant="free"), 0.0)
    for number in (10, 11):
        policy.on(ask(number, tenant="gold"), 0.0)
    told = [started(policy.on(Finished(number, 100), 1.0)) for number in (0, 6, 1)]
    assert told == [[10], [9], [11]] and set(policy.order.waiting) == {8}


def test_a_long_queue_at_its_ceiling_is_set_aside_little_by_little() -> None:
    policy = make("fcfs(ceilings=free:25%)")
    policy.on(engine(slots=4), 0.0)
    for number in range(3):
        policy.on(ask(number), 0.0)
    for number in range(3, 3000):
        policy.on(ask(number, tenant="free"), 0.0)
    assert policy.on(ask(5000), 0.0) == []
    actions, now = policy.on(Finished(0, 100), 1.0), 1.0
    while not actions:
        assert policy.alarm is not None and policy.alarm < 1.0001
        now = policy.alarm
        actions = policy.on(Tick(), now)
    assert actions == [Start(5000, 0)]


def light_and_heavy(text: str, slots: int = 2, **facts):
    """A policy where one tenant's only request ends after a second, beside another's queue."""
    policy = make(text)
    policy.on(engine(slots=slots), 0.0)
    assert started(policy.on(ask(0, tenant="light", **facts), 0.0)) == [0]
    for number in range(1, 20):
        policy.on(ask(number, tenant="heavy"), 0.0)
    return policy


def test_a_place_is_kept_for_who_is_back_at_once() -> None:
    policy = light_and_heavy("fair+anticipate(hold=10%)")
    assert policy.on(Finished(0, 100), 1.0) == [] and policy.alarm == pytest.approx(1.1)
    assert started(policy.on(ask(50, 1.02, tenant="light"), 1.02)) == [50]
    assert policy.alarm is None
    policy.on(Finished(1, 100), 1.5)
    assert policy.on(Finished(50, 100), 2.02) == []
    assert policy.alarm == pytest.approx(2.02 + 2 * 0.02 + 0.1 / 8)  # by now its gap is known


def test_a_kept_place_is_given_up_in_time() -> None:
    policy = light_and_heavy("fair+anticipate(hold=10%)")
    assert policy.on(Finished(0, 100), 1.0) == []
    assert policy.on(Tick(), 1.05) == [] and policy.alarm == pytest.approx(1.1)
    assert started(policy.on(Tick(), policy.alarm)) == [2] and policy.alarm is None
    assert policy.on(ask(50, 9.0, tenant="light"), 9.0) == []  # so long takes its next to come
    assert started(policy.on(Finished(1, 100), 9.1)) == [3]
    assert started(policy.on(Finished(2, 100), 9.1)) == [50]
    assert started(policy.on(Finished(50, 100), 10.1)) != []  # it is not waited for again


def test_others_may_have_all_other_places() -> None:
    policy = light_and_heavy("fair+anticipate", slots=3)
    assert policy.on(Finished(0, 100), 1.0) == []
    assert started(policy.on(Finished(1, 100), 1.01)) == [3]


def test_a_kept_place_goes_to_whom_the_order_puts_first() -> None:
    policy = light_and_heavy("classes(ageing=never)+anticipate", priority=2)
    assert started(policy.on(Finished(0, 100), 1.0)) == [2]  # heavy's are of a lower class
    policy = light_and_heavy("fair(floors=urgent:20%)+anticipate")
    assert policy.on(Finished(0, 100), 1.0) == []
    assert started(policy.on(ask(70, 1.01, tenant="urgent"), 1.01)) == [70]
    assert policy.on(ask(71, 1.02, tenant="light"), 1.02) == []


def test_a_kept_place_keeps_no_job_from_its_own_alarm() -> None:
    policy = make("fair+backfill(quiet=10s)+anticipate")
    policy.on(engine(slots=2), 0.0)
    assert policy.on(Arrived(Request(7, 0.0, 0, 0.0, 0, kind="tune", work=9.0)), 0.0) != []
    stop, *_ = policy.on(ask(1, 1.0, tenant="a"), 1.0)
    assert type(stop) is Stop
    policy.on(ask(2, 1.0, tenant="b"), 1.0)
    assert policy.on(Finished(1, 100), 2.0) == []
    assert policy.alarm == pytest.approx(2.05)  # a place is kept, and the job waits
    assert policy.on(Finished(2, 100), 2.01) == []
    assert policy.on(Tick(), policy.alarm) == [] and policy.alarm == pytest.approx(2.0605)
    assert policy.on(Tick(), policy.alarm) == [] and policy.alarm == 11.0
    assert policy.on(Tick(), 11.0) == [Start(7, 0)] and policy.alarm is None


def test_a_wait_told_is_never_nothing_for_who_waits() -> None:
    policy = make("fcfs(ceilings=free:50%)")
    policy.on(engine(slots=2, seconds_per_token=0.01), 0.0)
    policy.on(ask(0, tenant="free"), 0.0)
    policy.on(ask(1, tenant="free"), 0.0)
    place = policy.place(1, 0.0)
    assert place.before == 0 and place.eta > 0


@pytest.mark.parametrize("order", ["fcfs", "priority", "fair", "classes", "deficit", "deadline"])
def test_shares_from_a_configuration(order: str) -> None:
    """What is given in Python does the same as in words, and is taken together with these."""
    said = make(f"{order}(floors=gold:20%+a:10%,ceilings=free:50%+batch:25%)").says
    given = make(
        f"{order}(floors=a:10%,ceilings=batch:25%)", floors={"gold": 0.2}, ceilings={"free": 0.5}
    ).says
    assert dict(said.floors) == dict(given.floors) == {"gold": 0.2, "a": 0.1}
    assert dict(said.ceilings) == dict(given.ceilings) == {"free": 0.5, "batch": 0.25}
    assert make(order, floors={}, ceilings={}).says.ceilings == {}


@pytest.mark.parametrize("order", ["fair", "classes", "deficit"])
def test_weights_from_a_configuration(order: str) -> None:
    policy = make(f"{order}(weights=a:2)", weights={"gold": 4.0})
    assert policy.order.weights == {"gold": 4.0, "a": 2.0}
    with pytest.raises(BadInput, match="must be above 0"):
        make(order, weights={"gold": 0.0})


@pytest.mark.parametrize(
    "text, settings, words",
    [
        ("fcfs", {"weights": {"a": 2.0}}, "no setting 'weights'"),
        ("direct", {"weights": {"a": 2.0}}, "no setting 'weights'"),
        ("tiers(8k:50%)", {"floors": {"a": 0.1}}, "leave floors out"),
        ("fair(weights=a:2)", {"weights": {"a": 3.0}}, "weights twice"),
        ("classes(floors=a:10%)", {"ceilings": {"a": 0.05}}, "below its floor"),
        ("priority(ageing=9s)", {"ageing": 3.0}, "ageing twice"),
    ],
)
def test_no_setting_is_ignored(text: str, settings: dict, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        make(text, **settings)


def test_nobody_is_believed_fast_when_only_engines_without_a_pace_are_left() -> None:
    pool = Pool()
    paces = (0.1, 0.3, 0.7)
    for number, pace in enumerate(paces):
        pool.hear(EngineReport(number, 0.0, 4, 1000, seconds_per_token=pace))
    pool.hear(EngineReport(9, 0.0, 4, 1000))
    for number in range(len(paces)):
        pool.hear(EngineReport(number, 1.0, 4, 1000, alive=False))
    assert pool.rate == 0.0
