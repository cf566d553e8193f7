"""What single policies do, and what their names say."""

from __future__ import annotations

import gc

import pytest
from tests.policies import ask, engine, order_of, started

from eke.errors import BadInput
from eke.policy.naming import make, names, steps_to
from eke.policy.protocol import (
    Arrived,
    EngineReport,
    Failed,
    Finished,
    Left,
    Place,
    Reject,
    Start,
    Stop,
    Tick,
)
from eke.types.request import Request


def test_fcfs_starts_at_once_and_then_in_order() -> None:
    policy = make("fcfs")
    assert policy.on(engine(), 0.0) == []
    assert policy.on(ask(1), 0.0) == [Start(1, 0)]
    assert policy.on(ask(2), 0.0) == policy.on(ask(3), 0.0) == []
    assert policy.on(Left(2), 0.1) == []
    assert policy.place(3, 0.1) == Place(before=0, eta=None)
    assert policy.on(Finished(1, 100), 1.0) == [Start(3, 0)]


@pytest.mark.parametrize(
    "text, facts, expected",
    [
        ("priority", [{"priority": 2}, {"priority": 0}, {"priority": 1}], [1, 2, 0]),
        ("priority(ageing=1s)", [{"priority": 1}, {"arrived": 3.0}], [0, 1]),
        ("priority(ageing=never)", [{"priority": 1}, {"arrived": 3.0}], [1, 0]),
        ("deadline", [{}, {"deadline": 30.0}, {"ttft": 5.0}], [2, 1, 0]),
        ("deadline(patience=1s)", [{"ttft": 5.0}, {}], [1, 0]),
        ("shortest", [{"prompt": 900}, {"prompt": 50}, {}], [1, 2, 0]),
        ("shortest(ageing=1000)", [{"prompt": 900}, {"prompt": 50, "arrived": 1.0}], [0, 1]),
    ],
)
def test_orders(text: str, facts: list[dict], expected: list[int]) -> None:
    policy = make(text)
    for number, each in enumerate(facts):
        policy.on(ask(number, **each), 3.0)
    assert order_of(policy, len(facts)) == expected


@pytest.mark.parametrize("text", ["fair", "deficit(quantum=200)"])
def test_tenants_take_turns(text: str) -> None:
    policy = make(text)
    for number in range(6):
        policy.on(ask(number, tenant="ab"[number >= 4]), 0.0)
    served = order_of(policy, 4)
    assert sorted("ab"[number >= 4] for number in served) == ["a", "a", "b", "b"]


@pytest.mark.parametrize("order", ["fair", "deficit"])
def test_weights_are_shares(order: str) -> None:
    policy = make(f"{order}(weights=gold:3)")
    for number in range(800):
        policy.on(ask(number, tenant=("gold", "free")[number % 2]), 0.0)
    gold = sum(number % 2 == 0 for number in order_of(policy, 400))
    assert gold == pytest.approx(300, abs=25)


def test_idling_saves_nothing_up() -> None:
    policy = make("fair")
    policy.on(engine(), 0.0)
    for number in range(100):
        policy.on(ask(number, tenant="busy"), 0.0)
    for number in range(50):
        policy.on(Finished(number, 100), 1.0)
    for number in range(100, 120):
        policy.on(ask(number, tenant="back"), 2.0)
    served, last = [], 50
    for _ in range(20):
        (last,) = started(policy.on(Finished(last, 100), 3.0))
        served.append(last >= 100)
    assert 9 <= sum(served) <= 11


def test_a_wrong_forecast_is_put_right() -> None:
    policy = make("fair")
    policy.on(engine(slots=2), 0.0)
    policy.on(ask(0, tenant="talker", most=5000), 0.0)
    policy.on(ask(1, tenant="quiet", most=5000), 0.0)
    for number in range(2, 12):
        policy.on(ask(number, tenant=("talker", "quiet")[number % 2]), 0.0)
    assert started(policy.on(Finished(0, 2000), 1.0)) == [3]  # the talker was charged for 100
    assert started(policy.on(Finished(1, 100), 1.0)) == [5]


def test_a_shared_prefix_goes_first_while_there_is_credit() -> None:
    policy = make("deficit")
    for number, stem in enumerate([1, 2, 1, 2]):
        policy.on(ask(number, tenant="ab"[number % 2], stem=stem), 0.0)
    assert order_of(policy, 4) == [0, 2, 1, 3]


def test_floors_lend_and_are_reclaimed_at_once() -> None:
    policy = make("fcfs(floors=gold:50%)")
    policy.on(engine(slots=4), 0.0)
    lent = [started(policy.on(ask(number), 0.0)) for number in range(6)]
    assert lent == [[0], [1], [2], [3], [], []]  # the floor is lent while nobody asks
    for number in (10, 11, 12):
        policy.on(ask(number, tenant="gold"), 1.0)
    assert started(policy.on(Finished(0, 100), 2.0)) == [10]
    assert started(policy.on(Finished(1, 100), 2.0)) == [11]
    assert started(policy.on(Finished(2, 100), 2.0)) == [4]  # gold has its floor


def test_tiers_keep_room_for_the_long_and_the_short() -> None:
    policy = make("tiers(8k:50%,32k:50%)")
    policy.on(engine(slots=8, room=64_000), 0.0)
    for number in range(8):
        policy.on(ask(number, prompt=7000), 0.0)
    for number in range(8, 20):
        policy.on(ask(number, prompt=7000), 0.0)
    policy.on(ask(50, prompt=30_000), 0.1)
    freed = [started(policy.on(Finished(number, 100), 1.0)) for number in range(5)]
    assert freed == [[], [], [], [50], [8]]  # no short one slips by while its room becomes free


def test_a_promise_that_cannot_be_kept_is_refused_at_once() -> None:
    policy = make("fcfs+promise")
    policy.on(engine(seconds_per_token=0.01), 0.0)
    assert started(policy.on(ask(0, ttft=1.0), 0.0)) == [0]
    assert policy.on(ask(1), 0.0) == []  # no promise: it waits
    (refusal,) = policy.on(ask(2, ttft=1.0), 0.0)
    # Two ends of 2 s each, then 1 s to read the prompt: 5 s, 4 s more than promised.
    assert refusal == Reject(2, "would miss its promise", 4.0, 1)
    assert policy.on(ask(3, ttft=6.0), 0.0) == []


def test_who_missed_its_promise_in_the_queue_is_refused() -> None:
    policy = make("fcfs+promise")
    policy.on(engine(), 0.0)
    policy.on(ask(0), 0.0)
    policy.on(ask(1, ttft=1.0), 0.0)
    policy.on(ask(2), 0.0)
    refusal, start = policy.on(Finished(0, 100), 5.0)
    assert refusal.request == 1 and refusal.reason == "missed its promise"
    assert start == Start(2, 0)


def test_a_full_queue_keeps_nobody_of_higher_class_out() -> None:
    policy = make("priority+queue(most=3)")
    policy.on(engine(), 0.0)
    actions = [policy.on(ask(number, priority=5), 0.0) for number in range(5)]
    assert actions[4] == [Reject(4, "queue full", 1.0, 3)]
    assert policy.on(ask(9, priority=0), 0.0) == []
    assert policy.place(9, 0.0).before == 0


def test_ladder_goes_down_rung_by_rung() -> None:
    policy = make("fcfs+ladder(short:20,small:tiny,refuse,step=10s)")
    policy.on(engine(0, model="large"), 0.0)
    policy.on(engine(1, model="tiny"), 0.0)
    assert policy.on(ask(0), 0.0) == [Start(0, 0)]
    assert policy.on(ask(1), 0.0) == []  # the small model is for worse times
    assert policy.on(ask(2), 15.0) == []
    assert policy.on(Finished(0, 100), 16.0) == [Start(1, 0, 20, "answer cut at 20 tokens")]
    (fallen,) = policy.on(ask(3), 25.0)
    assert fallen == Start(2, 1, 20, "answer cut at 20 tokens, model tiny")
    (refusal,) = policy.on(ask(4), 70.0)
    assert refusal.reason == "too much to do" and refusal.retry_after > 0


def test_who_gets_a_smaller_model_is_told_so_whoever_was_there_first() -> None:
    policy = make("fcfs+ladder(small,step=10s)", "large")
    policy.on(engine(1, model="tiny"), 0.0)
    policy.on(engine(0, model="large"), 0.0)
    assert policy.on(ask(0), 0.0) == [Start(0, 0)]
    assert policy.on(ask(1), 0.0) == []
    assert policy.on(engine(0, model="large", as_of=15.0), 15.0) == [
        Start(1, 1, None, "model tiny")
    ]


@pytest.mark.parametrize(
    "text, steps",
    [
        ("fcfs+ladder(small)", True),
        ("fair+ladder(short:9,small:tiny)", True),
        ("fcfs+ladder(small:other)", False),
        ("fcfs+ladder(short:9,refuse)", False),
        ("fcfs", False),
        ("direct", False),
    ],
)
def test_whether_a_policy_steps_down_to_a_smaller_model(text: str, steps: bool) -> None:
    assert steps_to(text, "tiny") is steps


def test_batch_work_leaves_room() -> None:
    policy = make("fcfs+backfill(spare=50%)")
    policy.on(engine(slots=4), 0.0)
    batch = [started(policy.on(ask(number, kind="batch"), 0.0)) for number in range(4)]
    assert batch == [[0], [1], [], []]
    assert started(policy.on(ask(10), 1.0)) == [10]
    assert started(policy.on(Finished(10, 100), 2.0)) == []
    assert started(policy.on(Finished(0, 100), 2.0)) == [2]


def test_batch_work_near_its_deadline_joins_the_others() -> None:
    policy = make("fcfs+backfill")
    policy.on(engine(), 0.0)
    policy.on(ask(0), 0.0)
    policy.on(ask(1, kind="batch", deadline=10.0), 0.0)
    policy.on(ask(2, now=8.0), 8.0)
    policy.on(ask(3, now=9.0), 9.0)
    assert started(policy.on(Finished(0, 100), 9.0)) == [2]
    assert started(policy.on(Finished(2, 100), 9.5)) == [3]
    assert started(policy.on(Finished(3, 100), 9.9)) == [1]


def test_tuning_runs_in_troughs_and_yields() -> None:
    policy = make("fcfs+backfill(quiet=10s)")
    policy.on(engine(slots=2), 0.0)
    job = Arrived(Request(7, 0.0, 0, 0.0, 0, kind="tune", work=3600.0))
    assert policy.on(job, 0.0) == [Start(7, 0)]
    stop, start = policy.on(ask(1), 5.0)
    assert type(stop) is Stop and stop.request == 7 and start == Start(1, 0)
    assert policy.on(Finished(1, 100), 6.0) == [] and policy.alarm == 15.0
    assert policy.on(Tick(), 15.0) == [Start(7, 0)] and policy.alarm is None
    assert policy.on(Finished(7, 0), 99.0) == []


def test_a_failed_engine_gets_nothing_before_it_reports() -> None:
    policy = make("fcfs")
    policy.on(engine(0), 0.0)
    policy.on(ask(0), 0.0)
    assert policy.on(Failed(0, "engine died"), 1.0) == []
    assert policy.on(engine(0, as_of=0.9), 1.5) == []  # what it was before tells nothing
    assert policy.on(engine(0, as_of=2.0, alive=False), 2.5) == []
    assert policy.on(engine(0, as_of=9.0), 9.5) == [Start(0, 0)]


def test_what_fails_everywhere_is_refused() -> None:
    policy = make("fcfs")
    actions = [*policy.on(engine(0), 0.0), *policy.on(ask(0), 0.0)]
    for now in range(1, 20):
        if started(actions):
            actions = policy.on(Failed(0, "500"), float(now))
        if not actions:
            actions = policy.on(engine(0, as_of=now + 0.5), now + 0.5)
    assert actions == [Reject(0, "failed too often")] and now < 20


def test_capacity_is_learned() -> None:
    policy = make("fcfs")
    policy.on(engine(slots=8), 0.0)
    for number in range(8):
        policy.on(ask(number), 0.0)
    for second in (1.0, 2.0, 3.0):
        policy.on(engine(slots=8, as_of=second, running=5, waiting=3), second)
    policy.on(ask(8), 3.5)
    assert policy.on(Finished(0, 100), 4.0) == []  # seven are still more than it takes
    policy.on(Finished(1, 100), 4.0)
    policy.on(Finished(2, 100), 4.0)
    assert started(policy.on(Finished(3, 100), 4.0)) == [8]
    policy.on(ask(9), 5.0)
    assert started(policy.on(engine(slots=8, as_of=6.0, running=5), 6.0)) == [9]  # and it grows


def test_routers() -> None:
    def where(text: str, requests: list[Arrived]) -> list[int]:
        policy = make(f"fcfs@{text}")
        for number in range(3):
            policy.on(engine(number, slots=8), 0.0)
        return [policy.on(each, 0.0)[0].engine for each in requests]

    plain = [ask(number, prompt=prompt) for number, prompt in enumerate([900, 100, 100, 100])]
    assert where("least-load", plain) == [0, 1, 2, 1]
    assert where("round-robin", plain) == [0, 1, 2, 0]
    talks = [ask(number, session=number % 2) for number in range(6)]
    assert where("sticky", talks) == [0, 1, 0, 1, 0, 1]
    heads = [ask(number, stem=7) for number in range(4)]
    assert where("prefix", heads) == [0, 0, 0, 0]
    assert where("prefix(slack=99%)", heads) == [0, 1, 2, 2]


def test_short_requests_pass_long_ones_on_engines_too_small_for_them() -> None:
    policy = make("fcfs")
    policy.on(engine(0, slots=1), 0.0)
    policy.on(engine(1, slots=1, longest=1000), 0.0)
    assert policy.on(ask(0, prompt=5000), 0.0) == [Start(0, 0)]
    for number in range(1, 60):
        assert policy.on(ask(number, prompt=5000), 0.0) == []
    assert policy.on(ask(99), 0.1) == [Start(99, 1)]
    assert policy.place(30, 0.2).before == 29
    assert policy.on(Finished(0, 100), 1.0) == [Start(1, 0)]
    assert policy.on(ask(100), 1.1) == []
    assert policy.on(Finished(99, 100), 1.2) == [Start(100, 1)]


def test_a_request_longer_than_any_engine_is_refused() -> None:
    policy = make("fcfs")
    assert policy.on(ask(0, prompt=5000), 0.0) == []  # nobody knows any engine
    assert policy.on(engine(longest=2000), 0.0) == [Reject(0, "too long")]
    assert policy.on(ask(1, prompt=2000), 0.0) == [Reject(1, "too long")]
    assert policy.on(ask(2, prompt=1950), 0.0) == [Start(2, 0, 50)]


@pytest.mark.parametrize(
    "text",
    (
        *("fcfs", "priority", "fair", "deficit", "shortest", "tiers(150:50%,8k:50%)"),
        "fair(floors=gold:20%)+promise+backfill@prefix",
        "classes(floors=gold:20%,ceilings=gold:50%+batch:25%)+queue+anticipate@prefix",
    ),
)
def test_nothing_is_kept_of_what_is_over(text: str) -> None:
    policy = make(text)
    policy.on(engine(slots=4), 0.0)
    flying: list[int] = []
    for number in range(3000):
        request = ask(
            *(number, number * 0.1),
            tenant=f"user {number}" if number % 3 else "gold",
            prompt=50 + number % 100,
            kind=("chat", "batch")[number % 2],
            session=number,
            stem=number // 2,
        )
        flying += started(policy.on(request, number * 0.1))
        if number % 5 == 0:
            policy.on(Left(number - 100), number * 0.1)
        if len(flying) > 2:
            flying += started(policy.on(Finished(flying.pop(0), 90), number * 0.1))
    waiting = list(policy.order.waiting)
    for number in waiting:
        policy.on(Left(number), 400.0)
    while flying:
        flying += started(policy.on(Finished(flying.pop(0), 90), 401.0))
    assert not policy.flying and not policy.order.waiting and not policy.failures
    del request, waiting
    gc.collect()
    assert _requests(policy) < 200


def _requests(policy) -> int:
    """Requests that can be reached from a policy."""
    seen, ahead, found = {id(policy)}, [policy], 0
    while ahead:
        for each in gc.get_referents(ahead.pop()):
            if id(each) not in seen and not isinstance(each, type) and not callable(each):
                seen.add(id(each))
                found += isinstance(each, Request)
                ahead.append(each)
    return found


@pytest.mark.parametrize(
    "text, words",
    [
        ("fiar", "closest: fair"),
        ("fair(wieghts=a:1)", "closest: weights"),
        ("fair(weights=3)", "gold:4"),
        ("fair(weights=a:0)", "must be above 0"),
        ("fair@left", "least-load"),
        ("fair+(", "parentheses"),
        ("", "is not a name"),
        ("fair+promis", "closest: promise"),
        ("fcfs+promise+promise", "twice"),
        ("priority(ageing=3 parsecs)", "no unit"),
        ("tiers", "tiers(8k:90%,32k:10%)"),
        ("tiers(8k:90%,32k:20%)", "100%"),
        ("fcfs(floors=a:95%)", "leave 10% to everyone"),
        ("tiers(8k:90%,floors=a:2%)", "floors themselves"),
        ("fcfs+ladder", "short:TOKENS"),
        ("fcfs+ladder(short)", "short:256"),
        ("fcfs+backfill(spare=200%)", "from 0% to 100%"),
        ("fcfs(5)", "no setting '5'"),
        ("fcfs(ceilings=a:0%)", "above 0"),
        ("fcfs(floors=a:30%,ceilings=a:20%)", "below its floor"),
        ("tiers(8k:90%,ceilings=a:50%)", "leave ceilings out"),
        ("fair(weights=a:1,weights=a:2)", "weights twice"),
        ("fair(weights=a:1+a:2)", "two numbers"),
        ("fair(prompt=1,prompt=2)", "prompt twice"),
        ("fair+anticipate(hold=0%)", "above 0"),
    ],
)
def test_names_that_say_nothing(text: str, words: str) -> None:
    with pytest.raises(BadInput) as error:
        make(text)
    assert words in str(error.value)


def test_names_and_settings() -> None:
    assert names()["routers"] == ("least-load", "round-robin", "prefix", "sticky")
    for order in names()["orders"]:
        make(order if order != "tiers" else "tiers(8k:100%)")
    assert make("fair", weights={"gold": 4.0}).order.weights == {"gold": 4.0}
    with pytest.raises(BadInput, match="no setting 'wait'"):
        make("fair", wait=3)


def test_direct_sends_everybody_on_at_once() -> None:
    policy = make("direct")
    assert policy.on(ask(1), 0.0) == []  # no engine is there yet
    assert policy.place(1, 0.0).before == 0
    assert policy.on(EngineReport(4, 0.0, 1, 100), 0.0) == [Start(1, 4)]
    policy.on(EngineReport(5, 0.0, 1, 100), 0.0)
    assert [policy.on(ask(n), 1.0) for n in (2, 3, 4)] == [
        [Start(2, 5)],
        [Start(3, 4)],
        [Start(4, 5)],
    ]
    policy.on(Finished(2, 10), 2.0)
    policy.on(EngineReport(4, 2.0, 1, 100, alive=False), 2.0)
    assert policy.on(Failed(3, "its engine died"), 2.0) == [Start(3, 5)]
    assert policy.on(Left(3), 3.0) == []
    assert policy.place(3, 3.0) is None
