"""Leave that is asked for: nobody is refused what is there, and nobody keeps others waiting."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateways import Fake, ask, chat, run, serving, until
from tests.states import KINDS, address, opened

from eke.gateway.clock import Clock
from eke.gateway.keeping import Keeper
from eke.gateway.ledger import UNITS, Hold, Leave, Ledger, Told, Use
from eke.gateway.refusal import Refusal
from eke.gateway.settings import Limit, Tenant

WALL = 1e9
DAY = Limit(what="tokens", amount=1000.0, period=86400.0)
EVER = Limit(what="USD", amount=1000.0)
ONE = Use(1.0, 1.0, 1.0, 1.0)

Late = Callable[[Limit], Awaitable[None]]


class Purse:
    """What one gateway has of budgets that it shares with nobody. late: is awaited before each
    answer.  others: leave that somebody else has of everything.  asked: how often."""

    def __init__(self, late: Late | None = None, others: float = 0.0) -> None:
        self.late, self.others = late, others
        self.used: dict[tuple[str, str], float] = {}
        self.leased: dict[tuple[str, str], float] = {}
        self.asked = 0

    def free(self, owner: str, limit: Limit) -> float:
        key = owner, limit.name
        return limit.amount - self.used.get(key, 0.0) - self.leased.get(key, 0.0) - self.others

    async def give(self, owner: str, limit: Limit, given: float) -> Leave:
        self.asked += 1
        if self.late is not None:
            await self.late(limit)
        key = owner, limit.name
        self.leased[key] = self.leased.get(key, 0.0) + given
        left = limit.amount - self.used.get(key, 0.0)
        return Leave(given, left, not given and self.others > 0)

    def lease(
        self, owner: str, limit: Limit, window: int, wanted: float, least: float
    ) -> Awaitable[Leave]:
        unit = UNITS[limit.what]
        given = min(ceil(wanted / unit) * unit, self.free(owner, limit))
        return self.give(owner, limit, given if given >= least else 0.0)

    def rest(self, owner: str, limit: Limit, window: int) -> Awaitable[Leave]:
        return self.give(owner, limit, 0.0 if self.others else max(self.free(owner, limit), 0.0))

    def settle(self, owner: str, limit: Limit, window: int, told: Told) -> None:
        key = owner, limit.name
        self.used[key] = self.used.get(key, 0.0) + told.used
        self.leased[key] = self.leased.get(key, 0.0) - told.used + told.beyond - told.back


def tenant(*limits: Limit, name: str = "a") -> Tenant:
    return Tenant(name=name, limits=limits)


async def had(ledger: Ledger, who: Tenant, use: Use = ONE, wall: float = WALL) -> Hold:
    return ledger.reserve(who, use, wall) or await ledger.fetch(who, use, wall)


async def refused(work: Coroutine[Any, Any, Hold]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await work
    return caught.value


def test_leave_is_not_given_back_while_more_of_another_is_asked_for() -> None:
    async def told(limit: Limit) -> None:
        ledger.tell(WALL)  # as every half second, whoever waits

    ledger = Ledger(Purse(told))

    async def work() -> None:
        for use in (ONE, Use(1.0, 900.0, 2000.0, 1.0)):  # a part, and the rest of one
            hold = await had(ledger, tenant(EVER, DAY), use)
            assert [window.limit for window in hold.windows] == [EVER, DAY]
            ledger.settle(hold, ONE)

    run(work())


@given(st.integers(0, 2**32), st.sampled_from([(DAY,), (EVER, DAY), (DAY, EVER)]))
def test_nobody_is_told_that_an_ample_budget_is_spent(seed: int, limits: tuple) -> None:
    """Twenty requests of at most 60 each, at once, of a budget of 1000: together they may be too
    many for a while, but the budget is not spent."""
    chance = random.Random(seed)

    async def late(limit: Limit) -> None:
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if chance.random() < 0.3:
            ledger.tell(WALL)

    purse = Purse(late)
    ledger, done = Ledger(purse), []

    async def one() -> None:
        for _ in range(chance.randrange(30)):
            await asyncio.sleep(0)
        amount = float(chance.randint(1, 60))
        use = Use(1.0, amount, amount, 1.0)
        try:
            hold = await had(ledger, tenant(*limits), use)
        except Refusal as refusal:
            assert refusal.code == "rate_limit_exceeded", refusal.message
            return
        await asyncio.sleep(0)
        done.append(amount)
        ledger.settle(hold, use)

    async def work() -> None:
        await asyncio.gather(*[one() for _ in range(20)])

    run(work())
    ledger.tell(WALL)
    for limit in limits:
        assert purse.used.get(("a", limit.name), 0.0) == pytest.approx(sum(done))
        assert purse.leased.get(("a", limit.name), 0.0) == pytest.approx(0.0, abs=1e-6)


def test_who_waits_for_leave_keeps_no_other_tenant_waiting() -> None:
    async def work() -> None:
        gate, stuck = asyncio.Event(), asyncio.Event()

        async def late(limit: Limit) -> None:
            if limit is EVER:
                stuck.set()
                await gate.wait()

        ledger = Ledger(Purse(late))
        waits = asyncio.ensure_future(had(ledger, tenant(EVER, name="slow")))
        await stuck.wait()
        await had(ledger, tenant(DAY, name="quick"))
        assert not waits.done()
        gate.set()
        await waits

    run(work())


def test_that_nothing_is_left_is_asked_once_a_second() -> None:
    purse = Purse()
    ledger, who = Ledger(purse), tenant(DAY)

    async def work() -> None:
        ledger.settle(await had(ledger, who, Use(1.0, 1000.0, 0.0, 0.0)), Use(1.0, 1e3, 0.0, 0.0))
        asked = purse.asked
        for number in range(200):
            refusal = await refused(had(ledger, who, ONE, WALL + number * 1e-3))
            assert refusal.kind == "insufficient_quota"
        assert purse.asked <= asked + 2  # for a part, and for the rest
        await refused(had(ledger, who, ONE, WALL + 2.0))
        assert purse.asked > asked + 2

    run(work())


def test_what_was_denied_to_a_long_request_is_had_by_a_short_one() -> None:
    purse = Purse(others=950.0)
    ledger, who = Ledger(purse), tenant(DAY)

    async def work() -> None:
        assert (await refused(had(ledger, who, Use(1.0, 100.0, 0.0, 0.0)))).retry_after == 1.0
        await had(ledger, who, Use(1.0, 50.0, 0.0, 0.0))
        more = await refused(had(ledger, who, ONE))
        assert more.code == "rate_limit_exceeded"  # others have the rest, and may not need it

    run(work())


def test_the_rest_is_had_when_the_last_one_under_way_ends() -> None:
    ledger, who = Ledger(Purse()), tenant(DAY)

    async def work() -> None:
        hold = await had(ledger, who, Use(1.0, 600.0, 0.0, 0.0))
        await refused(had(ledger, who, Use(1.0, 5000.0, 0.0, 0.0)))
        ledger.settle(hold, ONE)
        await had(ledger, who, Use(1.0, 5000.0, 0.0, 0.0))  # at once: nobody is there but it

    run(work())


def test_leave_that_comes_when_nobody_waits_any_more_is_given_back() -> None:
    async def work() -> None:
        gate = asyncio.Event()

        async def late(limit: Limit) -> None:
            await gate.wait()

        purse = Purse(late)
        ledger = Ledger(purse)
        waits = asyncio.ensure_future(had(ledger, tenant(DAY)))
        await until(lambda: purse.asked)
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        gate.set()
        await until(lambda: purse.leased)
        await asyncio.sleep(0)
        ledger.tell(WALL)
        assert purse.free("a", DAY) == DAY.amount

    run(work())


@pytest.mark.parametrize("kind", KINDS)
def test_leave_does_not_wait_for_rows(kind: str, tmp_path: Path) -> None:
    async def work() -> None:
        with opened(address(kind, tmp_path)) as state:
            keeper = Keeper(state, Clock())
            async with keeper._busy:  # as while rows are stored
                assert await keeper.lease("a", DAY, 0, 1000.0, 1.0) == (1000.0, 1000.0, False)
                keeper.settle("a", DAY, 0, Told(100.0, 600.0))
                assert await keeper.lease("a", DAY, 0, 500.0, 1.0) == (501.0, 900.0, False)
            await keeper.flush()

    run(work())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_is_told_of_all_gateways_and_starts(kind: str, tmp_path: Path) -> None:
    limit = Limit(what="requests", amount=6.0, period=3600.0)
    same = {
        "tenants": (Tenant(name="everyone", limits=(limit,)),),
        "state": address(kind, tmp_path),
    }
    left = []

    async def work() -> None:
        for _ in range(2):
            async with serving(Fake(), **same) as one, serving(Fake(), **same) as other:
                for house in (one, other):
                    got = await ask(house, body=chat())
                    left.append(got.headers["x-ratelimit-remaining-requests"])
                    for each in (one, other):
                        each.gateway.ledger.tell(each.gateway.clock.wall())
                        assert each.gateway.keeper is not None
                        await each.gateway.keeper.flush()

    run(work())
    assert left == ["5", "4", "3", "2"]
