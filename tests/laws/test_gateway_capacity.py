"""How many an engine takes at once is found out, whatever kind of engine it is."""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import NamedTuple, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eke.gateway.engines.capacity import FIRST, MOST, Capacity
from eke.gateway.engines.speeds import Seen, Speed, pooled

TOKEN = 0.01  # a sequence takes per token in a place of its own [s]
Sizes = Callable[[], float]


class Machine(Protocol):
    """An engine that answers requests of so many tokens each."""

    def start(self, who: int, tokens: float, now: float) -> None: ...

    def next(self) -> float:
        """When the next answer is complete."""

    def end(self, now: float) -> int:
        """Whose it is."""


class Places:
    """So many places, and a queue before them that nobody sees."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.busy: list[tuple[float, int]] = []
        self.queue: deque[tuple[int, float]] = deque()

    def start(self, who: int, tokens: float, now: float) -> None:
        self.queue.append((who, tokens))
        self.fill(now)

    def fill(self, now: float) -> None:
        while self.queue and len(self.busy) < self.places:
            who, tokens = self.queue.popleft()
            heappush(self.busy, (now + tokens * TOKEN, who))

    def next(self) -> float:
        return self.busy[0][0]

    def end(self, now: float) -> int:
        who = heappop(self.busy)[1]
        self.fill(now)
        return who


class Batch:
    """All that are there get a token in each step, which takes a + b·n; beyond `most` at once
    steps are slower by `slower` times what is too many."""

    def __init__(self, a: float, b: float, most: int = MOST, slower: float = 0.0) -> None:
        self.a, self.b, self.most, self.slower = a, b, most, slower
        self.given = self.now = 0.0  # tokens to each so far
        self.there: list[tuple[float, int]] = []

    def step(self) -> float:
        n = len(self.there)
        return (self.a + self.b * n) * (1 + self.slower * max(n / self.most - 1, 0.0))

    def passes(self, now: float) -> None:
        if self.there:
            self.given += (now - self.now) / self.step()
        self.now = now

    def start(self, who: int, tokens: float, now: float) -> None:
        self.passes(now)
        heappush(self.there, (self.given + tokens, who))

    def next(self) -> float:
        return self.now + (self.there[0][0] - self.given) * self.step()

    def end(self, now: float) -> int:
        self.passes(now)
        self.given, who = heappop(self.there)
        return who


class Moment(NamedTuple):
    """After an answer: when, how many were given at once from then on, tokens of the answer."""

    now: float
    limit: int
    tokens: float


def drive(
    machine: Machine,
    sizes: Sizes,
    count: int,
    capacity: Capacity | None = None,
    changes: tuple[float, Callable[[float], None]] = (math.inf, lambda now: None),
) -> list[Moment]:
    """So many answers of a machine behind which there is always more to do. changes: what happens
    to it, and when."""
    capacity = capacity or Capacity()
    flying: dict[int, tuple[float, int, float]] = {}
    found: list[Moment] = []
    now, number, (when, change) = 0.0, 0, changes
    while len(found) < count:
        while len(flying) < capacity.limit:
            number += 1
            flying[number] = (now, len(flying) + 1, sizes())
            machine.start(number, flying[number][2], now)
        if machine.next() >= when:
            now, when = when, math.inf
            change(now)
            continue
        now = machine.next()
        who = machine.end(now)
        level = len(flying)
        began, begun, tokens = flying.pop(who)
        capacity.ended((begun, level), tokens, now - began, now)
        capacity.look(now, pressed=True)
        found.append(Moment(now, capacity.limit, tokens))
    return found


def even(seed: int) -> Sizes:
    chance = random.Random(seed)
    return lambda: chance.uniform(60, 140)


def uneven(seed: int) -> Sizes:
    """As answers are: many short ones, few long ones."""
    chance = random.Random(seed)
    return lambda: chance.lognormvariate(math.log(100), 0.8)


def alike(seed: int) -> Sizes:
    return lambda: 100.0


def settled(moments: list[Moment]) -> int:
    """The limit most of the time."""
    return Counter(moment.limit for moment in moments).most_common(1)[0][0]


def rate(moments: list[Moment]) -> float:
    """Tokens per second."""
    return sum(each.tokens for each in moments[1:]) / (moments[-1].now - moments[0].now)


@pytest.mark.parametrize("places", [*range(1, 13), 16, 20, 27, 32, 41, 48, 57, 64])
def test_hidden_places_are_found_within_some_hundred_answers(places: int) -> None:
    moments = drive(Places(places), even(places), 600 + 6 * places)
    assert abs(settled(moments[-5 * places - 100 :]) - places) <= (places > 8)


@pytest.mark.parametrize("places", [1, 2, 3, 5, 6, 7, 8, 12, 24, 48])
@pytest.mark.parametrize("sizes", [alike, uneven])
def test_hidden_places_are_used_whatever_the_answers(places: int, sizes: Callable) -> None:
    moments = drive(Places(places), sizes(places), 1500 + 40 * places)
    assert rate(moments[600:]) >= 0.95 * places / TOKEN
    assert settled(moments[-800:]) <= places + max(1, places // 4)


@pytest.mark.parametrize("a,b", [(0.010, 0.001), (0.010, 0.003), (0.020, 0.0005), (0.005, 0.005)])
@pytest.mark.parametrize("sizes", [even, uneven])
def test_an_engine_that_batches_is_given_enough(a: float, b: float, sizes: Callable) -> None:
    machine = Batch(a, b)
    moments = drive(machine, sizes(1), 5000)
    best, limit = 1 / b, settled(moments[2500:])
    assert limit / (a + b * limit) >= 0.90 * best
    assert rate(moments[2500:]) >= 0.90 * best


@pytest.mark.parametrize("sizes", [even, uneven])
@pytest.mark.parametrize("before,after", [(16, 8), (8, 16), (32, 64), (32, 16), (4, 8), (6, 3)])
def test_a_change_is_followed_within_a_minute(before: int, after: int, sizes: Callable) -> None:
    machine = Places(before)

    def change(now: float) -> None:
        machine.places = after
        machine.fill(now)

    moments = drive(machine, sizes(before), 100 * before + 150 * after, changes=(100.0, change))
    later = [each for each in moments if each.now > 160]
    assert abs(settled(later) - after) <= max(1, after // 12)
    assert rate(later) >= 0.90 * after / TOKEN


@pytest.mark.parametrize("sizes", [even, uneven])
def test_an_engine_whose_memory_overflows_is_given_less(sizes: Callable) -> None:
    moments = drive(Batch(0.01, 0.0003, most=48, slower=1.0), sizes(1), 6000)
    best = 48 / (0.01 + 0.0003 * 48)
    assert 36 <= settled(moments[2000:]) <= 52
    assert rate(moments[2000:]) >= 0.85 * best


def test_a_number_that_was_given_is_kept() -> None:
    capacity = Capacity(5)
    moments = drive(Places(2), even(1), 300, capacity)
    capacity.told(3, 8, True, 1.0)
    capacity.full(1, 1.0)
    assert {each.limit for each in moments} | {capacity.limit} == {5}


def test_nothing_is_tried_while_nobody_waits() -> None:
    capacity = Capacity()
    for _ in range(500):
        capacity.ended((FIRST, FIRST), 100.0, 1.0, 1.0)
        assert not capacity.look(1.0, pressed=False)
    assert capacity.limit == FIRST


def test_what_waits_inside_is_taken_off_and_tried_again_later() -> None:
    capacity = Capacity()
    capacity.ended((FIRST, FIRST), 500.0, 5.0, 5.0)  # requests take long
    for now in range(3):
        capacity.told(0, 8, True, float(now))
    assert capacity.limit == 8 * FIRST
    for now, inside in ((3, 24), (4, 30)):
        capacity.told(inside, 64, True, float(now))
        assert capacity.limit == 8 * FIRST  # it might be the next step that they wait for
    capacity.told(25, 64, True, 5.0)
    assert capacity.limit == 40
    capacity.told(0, 40, True, 7.0)
    assert capacity.limit == 40  # it is known by now
    moments = drive(Places(40), even(1), 3000, capacity)
    assert max(each.limit for each in moments if each.now < 33) == 40
    assert max(each.limit for each in moments) > 40


def test_an_engine_that_does_not_say_any_more_is_found_out_all_the_same() -> None:
    capacity = Capacity()
    capacity.told(0, FIRST, True, 0.0)
    capacity.unseen()
    moments = drive(Batch(0.02, 0.0005), even(1), 3000, capacity)
    assert settled(moments[-1000:]) > 2 * FIRST


class Steps:
    """Requests get in between two steps, which take a + b·n, and c for each that is new; those that
    come while one is computed wait for it, inside, and for a place."""

    def __init__(self, a: float, b: float, c: float, places: int, seed: int) -> None:
        self.a, self.b, self.c, self.places = a, b, c, places
        self.chance = random.Random(seed)
        self.coming: list[tuple[float, int, float]] = []
        self.batch: list[list[float]] = []  # tokens still to come, and whose
        self.fresh = 0
        self.until: float | None = None
        self.over: deque[tuple[float, int]] = deque()

    def start(self, who: int, tokens: float, now: float) -> None:
        heappush(self.coming, (now + self.chance.uniform(0.001, 0.005), who, max(1, round(tokens))))

    def waiting(self, now: float) -> int:
        return sum(each[0] <= now for each in self.coming)

    def next(self) -> float:
        while not self.over:
            self.step()
        return self.over[0][0]

    def end(self, now: float) -> int:
        return self.over.popleft()[1]

    def step(self) -> None:
        begins = self.until or 0.0
        if not self.batch:
            begins = max(begins, self.coming[0][0])
        new = 0
        while self.coming and self.coming[0][0] <= begins and len(self.batch) < self.places:
            _, who, tokens = heappop(self.coming)
            self.batch.append([tokens, who])
            new += 1
        self.until = begins + self.a + self.b * len(self.batch) + self.c * new
        for each in self.batch:
            each[0] -= 1
        self.over.extend((self.until, int(who)) for left, who in self.batch if left <= 0)
        self.batch = [each for each in self.batch if each[0] > 0]


def press(
    machine: Steps, sizes: Sizes, clients: int, capacity: Capacity, count: int = 3000
) -> list[Moment]:
    """So many clients that ask again at once, and an engine that is looked at once a second; the
    last half of the answers."""
    flying: dict[int, tuple[float, int, float]] = {}
    number, look, now = 0, 1.0, 0.0
    moments: list[Moment] = []
    while len(moments) < count:
        while len(flying) < min(capacity.limit, clients):
            number += 1
            flying[number] = (now, len(flying) + 1, sizes())
            machine.start(number, flying[number][2], now)
        now = machine.next()
        while look < now:
            pressed = capacity.limit < clients
            capacity.told(machine.waiting(look), len(flying), pressed, look)
            look += 1.0
        who, level = machine.end(now), len(flying)
        began, begun, tokens = flying.pop(who)
        capacity.ended((begun, level), tokens, now - began, now)
        capacity.look(now, pressed=capacity.limit < clients)
        moments.append(Moment(now, capacity.limit, 1.0))
    return moments[count // 2 :]


@pytest.mark.parametrize("tokens", [1, 5, 30, 150])
@pytest.mark.parametrize("clients,places", [(32, 1024), (128, 1024), (128, 16), (16, 4)])
def test_who_waits_for_a_step_is_not_taken_for_one_without_a_place(
    tokens: float, clients: int, places: int
) -> None:
    def sizes(seed: int) -> Sizes:
        chance = random.Random(seed)
        return lambda: chance.lognormvariate(math.log(tokens), 0.5)

    def machine() -> Steps:
        return Steps(0.02, 0.0005, 0.001, places, 1)

    best = press(machine(), sizes(1), clients, Capacity(clients))
    found = press(machine(), sizes(1), clients, Capacity())
    assert rate(found) >= 0.85 * rate(best)
    if tokens >= 150:
        assert settled(found) <= 1.1 * places + 1


def test_an_engine_that_refuses_gets_no_more_for_a_while() -> None:
    capacity = Capacity()
    capacity.full(3, 10.0)
    assert capacity.limit == 3
    moments = drive(Places(3), even(1), 60, capacity)
    assert max(each.limit for each in moments) == 3
    capacity.full(0, 10.0)
    assert capacity.limit == 1


@given(
    rounds=st.lists(
        st.tuples(st.integers(1, 40), st.floats(0.1, 1e4), st.floats(1e-3, 1e3)), max_size=300
    ),
    gaps=st.floats(0.0, 100.0),
)
def test_any_samples_leave_a_limit_that_can_be(
    rounds: list[tuple[int, float, float]], gaps: float
) -> None:
    capacity, now = Capacity(), 0.0
    for level, work, seconds in rounds:
        now += gaps
        for _ in range(level):
            capacity.ended((capacity.limit, capacity.limit), work, seconds, now)
        capacity.look(now, pressed=True)
        assert 1 <= capacity.limit <= MOST


@given(
    samples=st.lists(st.tuples(st.floats(1.0, 1e4), st.floats(1e-3, 1e3)), min_size=1),
    level=st.integers(1, 1000),
    usual=st.floats(1.0, 1e4),
)
def test_a_speed_is_a_number_whatever_was_seen(
    samples: list[tuple[float, float]], level: int, usual: float
) -> None:
    seen = Seen()
    for work, seconds in samples:
        seen.add(level, work, seconds)
    speed = seen.speed(usual)
    assert 0 < speed.rate < math.inf and 0 < speed.error < math.inf


@given(
    level=st.integers(1, 100),
    pace=st.floats(1e-3, 1.0),
    works=st.lists(st.floats(1.0, 1e4), min_size=2),
)
def test_a_steady_pace_is_seen_exactly(level: int, pace: float, works: list[float]) -> None:
    seen = Seen()
    for work in works:
        seen.add(level, work, pace * work)
    assert seen.speed(100.0).rate == pytest.approx(level / pace, rel=1e-3)


@given(st.dictionaries(st.integers(1, 100), st.tuples(st.floats(1, 1e6), st.floats(0.01, 0.5))))
def test_pooled_speeds_never_fall_and_stay_between_the_given(found: dict) -> None:
    speeds = {level: Speed(*each) for level, each in found.items()}
    rates = [speed.rate for _, speed in sorted(pooled(speeds).items())]
    assert rates == sorted(rates)
    given = [speed.rate for speed in speeds.values()]
    assert all(min(given) * 0.999 <= rate <= max(given) * 1.001 for rate in rates)
