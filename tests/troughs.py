"""Traffic of users beside a batch, on an engine whose time is told step by step: nothing of what
is measured depends on how fast the machine is."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.batching import batching, line
from tests.gateways import CHAT, Fake, Got, Line, ask, chat, run, talk, until

SLOTS = 20  # requests that the engine takes at once
SERVICE = 20  # steps that each takes, on average
STEPS = 240
BUSY = (6, 18, 2, 12, 20, 0)  # users' requests that the engine has on average, each for a while


class Seen(NamedTuple):
    """What came of it, in steps. waits: from asking to the answer, of users.  idle: places times
    steps that users left free, and used: that the batch had of them."""

    waits: list[int]
    idle: int
    used: int


class Stepped:
    """An engine with so many places. A request takes from half of SERVICE to half as much again,
    in turn, so that places come free one by one."""

    def __init__(self) -> None:
        self.fake = Fake(self.answer)
        self.now = 0
        self.ends: dict[int, list[asyncio.Event]] = {}
        self.users = self.lines = 0

    async def answer(self, got: Got, to: Line) -> None:
        """Answer when it is time."""
        user = b"user-" in got.body
        self.users, self.lines = self.users + user, self.lines + (not user)
        over = asyncio.Event()
        number = int(got.json()["messages"][0]["content"].rpartition("-")[2])
        length = SERVICE // 2 + number * 8 % (SERVICE + 1)
        self.ends.setdefault(self.now + length, []).append(over)
        try:
            await over.wait()
            await talk()(got, to)
        finally:
            self.users, self.lines = self.users - user, self.lines - (not user)

    def step(self) -> None:
        """Time goes on."""
        self.now += 1
        for over in self.ends.pop(self.now, []):
            over.set()


def arrivals() -> Iterator[int]:
    """How many users ask at each step: waves, evenly spread within each."""
    owed = 0.0
    for step in range(STEPS):
        owed += BUSY[step * len(BUSY) // STEPS] / SERVICE
        count = int(owed)
        owed -= count
        yield count


def traffic(policy: str, batch: int) -> Seen:
    """Users before an engine under a policy, beside a batch of so many lines."""

    async def check() -> Seen:
        engine = Stepped()
        with tempfile.TemporaryDirectory() as folder:
            facts = {"slots": SLOTS}
            state = f"{folder}/s.db"
            async with batching(engine.fake, state=state, policy=policy, facts=facts) as bench:
                if batch:
                    await bench.batch(
                        [line(f"n{number}", f"line-{number}") for number in range(batch)]
                    )
                return await _run(engine, bench, bool(batch))

    return run(check())


async def _run(engine: Stepped, bench: Any, batch: bool) -> Seen:
    waits: list[int] = []
    asked: list[asyncio.Task[None]] = []
    idle = used = 0
    desk = bench.house.gateway.desks["m"]

    async def user(number: int) -> None:
        began = engine.now
        got = await ask(bench.house, CHAT, chat(f"user-{number}"), "user")
        assert got.status == 200
        waits.append(engine.now - began)

    def settled() -> bool:
        return _settled(engine, desk, asked, batch)

    for count in arrivals():
        asked.extend(asyncio.ensure_future(user(len(asked) + i)) for i in range(count))
        await until(settled)
        idle += SLOTS - engine.users
        used += engine.lines
        engine.step()
        await until(lambda: _answered(engine))
    while not all(each.done() for each in asked):
        engine.step()
        await asyncio.sleep(0.002)
    await asyncio.gather(*asked)
    return Seen(waits, idle, used)


def _settled(engine: Stepped, desk: Any, asked: list[Any], batch: bool) -> bool:
    """Whether whoever the policy lets start has started: all users that ask have come to it, a line
    waits where there is a batch, and those it started are on the engine."""
    calls = list(desk.calls.values())
    users = sum(call.request.tenant == "user" for call in calls)
    started = sum(call.engine is not None for call in calls)
    waiting = any(call.engine is None and call.request.tenant != "user" for call in calls)
    came = users == sum(not each.done() for each in asked)
    return came and waiting == batch and started == engine.users + engine.lines


def _answered(engine: Stepped) -> bool:
    """Whether those whose time is over are off the engine."""
    running = sum(len(each) for each in engine.ends.values())
    return engine.users + engine.lines == running
