"""Every policy keeps the contract, and the contract notices those that do not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eke.policy.anticipating import Anticipating
from eke.policy.contract import WORLDS, check, tried
from eke.policy.contract.toy import Machine, World
from eke.policy.contract.worlds import Dice, crowd
from eke.policy.dispatcher import Dispatcher
from eke.policy.naming import make
from eke.policy.orders.backfill import Backfill
from eke.policy.orders.ceilings import Ceilings
from eke.policy.orders.classes import Classes
from eke.policy.orders.deadline import Deadline
from eke.policy.orders.fair import Fair
from eke.policy.orders.fcfs import Fcfs
from eke.policy.orders.priority import Priority
from eke.policy.protocol import (
    Arrived,
    EngineReport,
    Event,
    Failed,
    Finished,
    Left,
    Place,
    Reject,
    Start,
    Stop,
)
from eke.policy.says import Says
from eke.types.request import Request

POLICIES = (
    "fcfs",
    "priority",
    "priority(ageing=never)",
    "fair",
    "fair(weights=gold:4+free:0.5)",
    "classes",
    "classes(ageing=never,weights=gold:4)",
    "deficit",
    "deficit(weights=heavy:2)@prefix",
    "deadline",
    "shortest",
    "tiers(400:50%,1k:40%)",
    "fcfs(floors=gold:20%+batch:10%)",
    "fair(floors=gold:30%)@sticky",
    "priority+promise",
    "deadline+promise(margin=2)",
    "fcfs+queue(most=5)@round-robin",
    "deadline+ladder(short:64,small:tiny,refuse,step=1s)",
    "priority+backfill",
    "fair(floors=0:20%)+promise+queue+backfill@prefix",
    "fcfs(ceilings=gold:25%)",
    "fair(floors=gold:20%,ceilings=batch:25%+free:50%)",
    "classes(floors=silver:10%,ceilings=0:50%+gold:30%)+queue(most=20)",
    "deficit(ceilings=free:40%)+backfill@sticky",
    "classes(floors=gold:10%,ceilings=free:25%)+backfill(spare=5%)",
    "fair+anticipate",
    "classes+queue+anticipate@prefix",
    "classes+promise+queue+backfill(spare=5%)+anticipate@prefix",
    "deficit(floors=3:20%)+backfill+anticipate(hold=20%)",
    "shortest(ceilings=1:50%)+ladder(short:64,small:tiny,refuse,step=1s)+anticipate",
)


@pytest.mark.parametrize("text", POLICIES)
def test_contract(text: str) -> None:
    check(lambda: make(text), seeds=(1,))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Worlds that nobody thought of."""
    dice = Dice(draw(st.integers(0, 10_000)))
    likely = draw(st.sampled_from([{}, {"likely": 150.0, "most": 300}]))
    requests, answers = crowd(dice, draw(st.integers(1, 60)), draw(st.sampled_from([0.02, 0.2])))
    machine = st.builds(
        Machine,
        slots=st.integers(1, 8),
        room=st.sampled_from([900, 2000, 50_000]),
        hidden=st.sampled_from([None, None, 2]),
        dead=st.sampled_from([None, None, (1.0, 4.0)]),
        since=st.sampled_from([0.0, 1.5]),
    )
    clients = draw(st.sampled_from([0, 0, 3, 8]))  # who wait for one answer before they ask again
    gap = draw(st.sampled_from([0.0, 0.002, 1.0]))
    return World(
        name="drawn",
        requests=[type(each)(**{**_fields(each), **likely}) for each in requests],
        answers=answers,
        machines=draw(st.lists(machine, min_size=1, max_size=4)),
        leaving={each.id: each.arrived + 0.7 for each in requests[:: draw(st.integers(2, 9))]}
        if not clients
        else {},
        follows={n: (n + clients, gap) for n in range(len(requests) - clients)} if clients else {},
        period=draw(st.sampled_from([0.2, 1.0, 5.0])),
        delay=draw(st.sampled_from([0.0, 0.3, 2.0])),
    )


def _fields(request: object) -> dict[str, object]:
    return {name: getattr(request, name) for name in request.__struct_fields__}  # type: ignore[attr-defined]


@settings(max_examples=80)
@given(st.sampled_from(POLICIES), worlds())
def test_contract_in_any_world(text: str, world: World) -> None:
    tried(lambda: make(text), world)


class Bad(Dispatcher):
    """First come, first served, to be spoilt in one way or another."""

    def __init__(self) -> None:
        super().__init__(Fcfs())


class StartsTwice(Bad):
    def on(self, event, now):
        actions = super().on(event, now)
        return actions * 2 if actions and type(actions[0]) is Start else actions


class StartsWhatEnded(Bad):
    def on(self, event, now):
        actions = super().on(event, now)
        return [*actions, Start(event.request, 0)] if type(event) is Finished else actions


class RejectsAndStarts(Bad):
    def on(self, event, now):
        actions = super().on(event, now)
        starts = [each for each in actions if type(each) is Start]
        return [*(Reject(each.request, "no", 1.0, 0) for each in starts), *actions]


class StartsNowhere(Bad):
    def on(self, event, now):
        return [Start(event.request.id, 99)] if type(event) is Arrived else super().on(event, now)


class StartsOnTheDead(Bad):
    def on(self, event, now):
        if type(event) is EngineReport:
            facts = {name: getattr(event, name) for name in event.__struct_fields__}
            event = EngineReport(**{**facts, "alive": True})
        return super().on(event, now)


class Overfills(Bad):
    """Believes each engine to be four times as large as it says."""

    factor = {"slots": 4}

    def on(self, event, now):
        if type(event) is EngineReport:
            facts = {name: getattr(event, name) for name in event.__struct_fields__}
            larger = {name: facts[name] * times for name, times in self.factor.items()}
            event = EngineReport(**facts | larger)
        return super().on(event, now)


class OverfillsMemory(Overfills):
    factor = {"room": 4}


class Forgets(Bad):
    def on(self, event, now):
        return [] if type(event) is Arrived and event.request.id == 17 else super().on(event, now)


class ForgetsFailures(Bad):
    def on(self, event, now):
        return [] if type(event) is Failed else super().on(event, now)


class IgnoresLeaving(Bad):
    def on(self, event, now):
        return [] if type(event) is Left else super().on(event, now)


class HoldsBack(Bad):
    """Uses half of each engine, and does not say so."""

    def on(self, event, now):
        if type(event) is EngineReport:
            facts = {name: getattr(event, name) for name in event.__struct_fields__}
            event = EngineReport(**{**facts, "slots": max(1, event.slots // 2)})
        return super().on(event, now)


class Curt(Bad):
    def on(self, event, now):
        if type(event) is Arrived and len(self.order.waiting) > 3:
            return [Reject(event.request.id, "busy")]
        return super().on(event, now)


class KeepsTooLong(Anticipating):
    """Keeps places for four times as long as it says."""

    def __init__(self):
        super().__init__(Fair(), hold=0.2)
        self.says = self.says._replace(keeps=0.05)


class Sleepless(Bad):
    def on(self, event, now):
        actions = super().on(event, now)
        self.alarm = now
        return actions


class Stops(Bad):
    def on(self, event, now):
        actions = super().on(event, now)
        waits = next(iter(self.order.waiting), None)
        return actions if waits is None else [*actions, Stop(waits, "no")]


class Boasts(Bad):
    def place(self, request, now):
        return Place(before=10_000)


class Moody(Bad):
    """Behaves another way each time it is made."""

    made = count()

    def __init__(self):
        self.mood = next(self.made) % 2
        super().__init__()

    def on(self, event, now):
        if type(event) is Arrived and self.mood and event.request.id == 3:
            return [Reject(3, "mood", 1.0, 0)]
        return super().on(event, now)


class Hoards(Bad):
    def __init__(self):
        super().__init__()
        self.hoard = []

    def on(self, event, now):
        if type(event) is Arrived:
            self.hoard.append((event.request, {"requests": [event.request]}))
        return super().on(event, now)


class Mixes(Backfill):
    def apart(self, request):
        return None


def mixes() -> Dispatcher:
    """Who comes to its ceiling waits behind its like that can wait for a trough."""
    return Dispatcher(Ceilings(Mixes(Classes(), spare=0.05), {"free": 0.25}, Classes))


def claims(order: Callable[[], Fcfs], says: Says) -> Callable[[], Dispatcher]:
    """A policy that says what it does not do."""

    def build() -> Dispatcher:
        policy = Dispatcher(order())
        policy.says = says
        return policy

    return build


def one(request: Request) -> int:
    """All requests alike."""
    return 1


@pytest.mark.parametrize(
    "bad, sentence",
    [
        (StartsTwice, "was started, but is started already"),
        (StartsWhatEnded, "was started, but is finished"),
        (RejectsAndStarts, "was started, but is rejected"),
        (StartsNowhere, "on engine 99, unknown"),
        (StartsOnTheDead, "reported dead"),
        (Overfills, "more in flight than its slots"),
        (OverfillsMemory, "more tokens in flight than its memory"),
        (Forgets, "request 17 waits, and its place is None"),
        (ForgetsFailures, "never ended|has a place|its place is"),
        (IgnoresLeaving, "was started, but is gone|has room for any"),
        (HoldsBack, "requests wait at"),
        (KeepsTooLong, "requests wait at"),
        (mixes, "requests wait at"),
        (Curt, "not told when to ask again"),
        (Sleepless, "alarm went off"),
        (Stops, "was stopped, but is not started"),
        (Boasts, "its place is|has a place"),
        (Moody, "told again of"),
        (Hoards, "still holds"),
        (claims(Fcfs, Says(service=Fair().service, gap=Fair().gap)), "drifted"),
        (claims(lambda: Priority(float("inf")), Says()), "waited for all of"),
        (claims(Fcfs, Says(key=Deadline().key)), "was started before request"),
        (
            claims(Fcfs, Says(floors={"gold": 0.5}, group=lambda each: each.tenant)),
            "waits below its floor",
        ),
        (
            claims(Fcfs, Says(ceilings={"gold": 0.3}, under=lambda each: each.tenant)),
            "above the ceiling of 'gold'",
        ),
        (
            claims(lambda: Priority(), Says(service=Fair().service, gap=Fair().gap, among=one)),
            "drifted",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_contract_notices(bad: Callable[[], Dispatcher], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check(bad, seeds=(1,))


def test_worlds_make_trouble() -> None:
    """Each world has what it is for: the laws were not checked on days of rest."""
    events: dict[str, int] = {}
    queued = 0
    for world in WORLDS:
        play = tried(lambda: make("fcfs"), world(1))
        for _, event, _ in play.log:
            kind = type(event).__name__
            events[kind] = events.get(kind, 0) + 1
            queued += kind == "EngineReport" and _waits_inside(event)
    assert events.keys() >= {"Arrived", "Finished", "Failed", "Left", "EngineReport"}
    assert events["Failed"] > 20 and events["Left"] > 20 and queued > 5


def _waits_inside(event: Event) -> bool:
    return isinstance(event, EngineReport) and event.waiting > 0
