"""Budgets of accelerator-seconds, and of dollars without a price list, are passed by one request at
most, though nobody knows before how long a request will have an engine."""

from __future__ import annotations

import asyncio
import random
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateways import Fake, Got, Line, ask, chat, http, run, serving, usage_of, whole

from eke.gateway.asked import ENDPOINTS, Asked
from eke.gateway.asker import Asker
from eke.gateway.call import Call
from eke.gateway.engines.durations import Durations
from eke.gateway.engines.engine import Engine
from eke.gateway.gateway import Gateway
from eke.gateway.ledger import Hold, Ledger, Use
from eke.gateway.refusal import Refusal
from eke.gateway.settings import EngineSettings, Limit, Settings, Tenant
from eke.gateway.sizing import most_use
from eke.types.request import Request

CHAT = ENDPOINTS["/v1/chat/completions"]


class Speed(NamedTuple):
    """An engine that takes so long for a request, a token of its prompt and one of its answer, when
    it is alone [s]. batching: 0 where more at once take turns, 1 where they do not slow it."""

    request: float
    prompt: float
    answer: float
    batching: float


class Flight(NamedTuple):
    """A request under way. left: what it still takes when it is alone [s], in a list."""

    engine: Engine
    call: Call
    hold: Hold
    left: list[float]


class World:
    """Engines on a clock of their own, and one tenant that asks as much as it may."""

    def __init__(self, speeds: list[Speed], limit: Limit, chance: random.Random) -> None:
        engines = tuple(
            EngineSettings(
                name=f"e{number}",
                url="http://127.0.0.1:9/v1",
                models={"m": "m"},
                chips=chance.choice([1.0, 8.0]),
                rate=chance.choice([0.001, 0.02]),
            )
            for number in range(len(speeds))
        )
        self.loop = asyncio.new_event_loop()
        self.gateway = Gateway(Settings(engines=engines), self.loop)
        self.gateway.found_models()
        self.speeds, self.chance, self.ledger = speeds, chance, Ledger()
        self.who = Tenant(name="a", limits=(limit,))
        self.now, self.used, self.largest, self.number, self.most = 0.0, 0.0, 0.0, 0, 0
        self.flights: list[Flight] = []

    def run(self, many: int, shapes: list[tuple[int, int]]) -> None:
        """So many at once, of one shape after the other, until nothing is left."""
        for shape in shapes:
            for _ in range(15):
                try:
                    while len(self.flights) < many:
                        self.begin(*shape)
                except Refusal:
                    if not self.flights:
                        return
                self.end()
        while self.flights:
            self.end()

    def begin(self, prompt: int, answer: int) -> None:
        """A request. Raises Refusal."""
        request = Request(self.number, self.now, prompt, answer / 2, answer, "a", "chat")
        asker = Asker(self.who, CHAT, Asked(model="m"))
        use = most_use(self.gateway, self.gateway.desks["m"], asker, request)
        hold = self.ledger.reserve(self.who, use, self.now)
        assert hold is not None
        self.number += 1
        engine = self.chance.choice(list(self.gateway.engines.values()))
        speed, call = self.speeds[engine.number], Call(request)
        engine.begin(call, prompt + request.likely, self.now)
        left = speed.request + speed.prompt * prompt + speed.answer * answer
        self.flights.append(Flight(engine, call, hold, [left]))
        self.most = max(self.most, len(self.flights))

    def end(self) -> None:
        """The next that is done is over."""
        ends = {id(each): each.left[0] * self.slower(each.engine) for each in self.flights}
        first = min(self.flights, key=lambda each: ends[id(each)])
        for each in self.flights:
            each.left[0] -= ends[id(first)] / self.slower(each.engine)
        self.now += ends[id(first)]
        self.flights.remove(first)
        request, call = first.call.request, first.call
        first.engine.end(call, request.prompt, request.most, self.now)
        took = Use(1.0, 0.0, call.cost, call.seconds)
        self.ledger.settle(first.hold, took)
        used = took.of(self.who.limits[0].what)
        self.used, self.largest = self.used + used, max(self.largest, used)

    def slower(self, engine: Engine) -> float:
        """Times as long as alone."""
        return max(engine.running, 1) ** (1.0 - self.speeds[engine.number].batching)


seconds = st.floats(1e-5, 0.1)
speeds = st.builds(Speed, seconds, seconds, seconds, st.floats(0.0, 1.0))
shapes = st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 2000)), min_size=1, max_size=5)


@given(speeds, shapes, st.integers(1, 40), st.floats(0.1, 1000.0), st.integers(0, 2**32))
def test_no_more_than_one_request_passes_a_budget(
    speed: Speed, shapes: list, many: int, amount: float, seed: int
) -> None:
    chance = random.Random(seed)
    engines = [speed] * chance.choice([1, 3])
    what: Any = chance.choice(["seconds", "USD"])
    world = World(engines, Limit(what=what, amount=amount), chance)
    try:
        world.run(many, shapes)
    finally:
        world.loop.close()
    assert world.used <= amount + world.largest * (1 + 1e-9)


def test_what_was_seen_lets_many_in_at_once() -> None:
    speed = Speed(0.01, 1e-4, 0.01, 0.5)
    world = World([speed], Limit(what="seconds", amount=1e6), random.Random(1))
    world.run(32, [(500, 200)])
    world.loop.close()
    assert world.most == 32


@given(speeds, shapes, st.tuples(st.integers(1, 5000), st.integers(1, 2000)))
def test_a_request_takes_no_longer_than_is_said_of_it(
    speed: Speed, shapes: list, last: tuple[int, int]
) -> None:
    durations = Durations()
    for prompt, answer in shapes:
        time = speed.request + speed.prompt * prompt + speed.answer * answer
        durations.add(prompt, answer, time)
    prompt, answer = last
    time = speed.request + speed.prompt * prompt + speed.answer * answer
    assert 2 * time <= durations.most(prompt, answer) * (1 + 1e-9)


@pytest.mark.parametrize("what", ["seconds", "USD"])
@pytest.mark.parametrize("before", [0, 20])
def test_clients_at_once_pass_a_budget_by_one_request(what: Any, before: int) -> None:
    """before: requests with an answer of one token, which tell little of long ones."""

    async def script(got: Got, line: Line) -> None:
        asked = got.json()
        await asyncio.sleep(0.002 * asked["max_tokens"])
        usage = usage_of(2000 if asked["max_tokens"] == 1 else 7, asked["max_tokens"])
        await line.send(http(200, whole(asked, got.path, 1, usage)))

    async def work() -> None:
        facts = {"slots": 32, "chips": 8.0, "rate": 8.0}
        who = Tenant(name="everyone", limits=(Limit(what=what, amount=2.0),))
        async with serving(Fake(script), tenants=(who,), facts=facts) as house:
            for _ in range(before):
                await ask(house, body=chat(max_tokens=1))
            await asyncio.gather(*[ask(house, body=chat(max_tokens=100)) for _ in range(32)])
            took = [each.seconds if what == "seconds" else each.charged for each in house.rows]
            assert sum(took) <= 2.0 + max(took)

    run(work())
