"""Budgets say what rows say, whatever was overspent, raised, given back or begun again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.gateways import Fake, Got, House, Line, Reply, ask, chat, run, serving, talk, until
from tests.states import KINDS, address, opened, read, write

from eke.errors import StateError
from eke.gateway import serving as service
from eke.gateway.clock import Clock
from eke.gateway.keeping import UNITS, Keeper
from eke.gateway.ledger import Leave, Ledger, Told, Use
from eke.gateway.reloading import reload
from eke.gateway.settings import Limit, ModelSettings, Price, Tenant
from eke.gateway.state import budgets, gateways
from eke.gateway.state.budgets import Ask, Settled, Window
from eke.types.record import replace

DAY = Limit(what="tokens", amount=1000.0, period=86400.0)
EVER = Limit(what="USD", amount=0.0005)
WINDOW = Window("acme", "tokens/day", 0.0, 86400.0)


def everyone(limit: Limit) -> tuple[Tenant, ...]:
    return (Tenant(name="everyone", limits=(limit,)),)


def booked(where: str) -> budgets.Budget:
    """The one budget of everybody, of which no gateway has leave when all have ended."""
    with opened(where) as state:
        (found,) = read(state, budgets.standing, "everyone")
    assert found.leased == 0
    return found


async def burst(house: House, many: int) -> list[Reply]:
    return list(await asyncio.gather(*[ask(house, body=chat()) for _ in range(many)]))


def code(reply: Reply) -> str:
    return str(reply.json()["error"]["code"])


@pytest.mark.parametrize("kind", KINDS)
def test_bursts_after_each_start_pass_a_budget_of_time_by_one_request(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows then how long a request takes, and a spent budget is told as spent."""
    limit = Limit(what="seconds", amount=50.0)
    where, took = address(kind, tmp_path), list[float]()
    now = [0.0]  # it goes on while an engine answers, however long that takes
    monkeypatch.setattr(service, "Clock", lambda: Clock(lambda: now[0], lambda: 1.79e9 + now[0]))

    async def script(got: Got, line: Line) -> None:
        now[0] += 1.0
        await talk()(got, line)

    same: dict[str, Any] = {"tenants": everyone(limit), "state": where, "facts": {"chips": 8.0}}

    async def work() -> None:
        last = ""
        for _ in range(3):
            async with serving(Fake(script), **same) as house:
                while last != "organization_usage_limit_exceeded":
                    refused = [each for each in await burst(house, 20) if each.status != 200]
                    last = code(refused[-1]) if refused else ""
                (again,) = await burst(house, 1)
                assert code(again) == last
                assert again.json()["error"]["type"] == "insufficient_quota"
                took.extend(row.seconds for row in house.rows)
            last = ""

    run(work())
    assert sum(took) <= limit.amount + max(took)
    assert booked(where).spent == pytest.approx(sum(took) / UNITS["seconds"], abs=2)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_overspent_is_booked_once_though_the_limit_is_raised(
    kind: str, tmp_path: Path
) -> None:
    price = Price(prompt=2e-6, cached=2e-6, answer=6e-6)
    where = address(kind, tmp_path)
    same: dict[str, Any] = {"state": where, "models": (ModelSettings(name="m", price=price),)}
    charged = []

    async def work() -> None:
        fake = Fake(talk(tokens=15, prompt=50))  # more than anybody expects
        async with serving(fake, tenants=everyone(EVER), **same) as house:
            while (await ask(house, body=chat())).status == 200:
                pass
            assert sum(row.charged for row in house.rows) > EVER.amount
            house.gateway.ledger.tell(house.gateway.clock.wall())
            more = replace(house.gateway.settings, tenants=everyone(replace(EVER, amount=1.0)))
            reload(house.gateway, more)
            assert (await ask(house, body=chat())).status == 200
            charged.extend(row.charged for row in house.rows)
        async with serving(fake, tenants=everyone(replace(EVER, amount=1.0)), **same) as house:
            keeper = house.gateway.keeper
            assert keeper is not None
            await until(lambda: keeper.standing)

    run(work())
    assert booked(where).spent == round(sum(charged) / UNITS["USD"])


def test_leave_that_comes_while_more_is_used_is_not_taken_for_what_is_over() -> None:
    """It is had on top, and what it was not there for is told as such."""
    asked, told = list[float](), list[Told]()
    gate = asyncio.Event()

    class Slow:
        async def lease(
            self, tenant: str, limit: Limit, window: int, wanted: float, least: float
        ) -> Leave:
            asked.append(least)
            if len(asked) > 1:
                await gate.wait()
            return Leave(least, limit.amount - sum(each.used for each in told), False)

        rest = lease

        def settle(self, tenant: str, limit: Limit, window: int, some: Told) -> None:
            told.append(some)

    async def work() -> None:
        ledger, who = Ledger(Slow()), Tenant(name="a", limits=(DAY,))
        hold = await ledger.fetch(who, Use(1.0, 10.0, 0.0, 0.0), 0.0)
        waits = asyncio.ensure_future(ledger.fetch(who, Use(1.0, 20.0, 0.0, 0.0), 0.0))
        await until(lambda: len(asked) == 2)
        ledger.settle(hold, Use(1.0, 35.0, 0.0, 0.0))
        ledger.tell(0.0)
        gate.set()
        ledger.settle(await waits, Use(1.0, 20.0, 0.0, 0.0))
        ledger.tell(0.0)

    run(work())
    assert asked == [10.0, 20.0]
    assert told == [Told(35.0, 0.0, 25.0), Told(20.0, 0.0, 0.0)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_used_counts_where_nobody_asked_for_leave(kind: str, tmp_path: Path) -> None:
    with opened(address(kind, tmp_path)) as state:
        write(state, budgets.settle, "g", [Settled(WINDOW, 100, 7, 0, 7)])
        (found,) = read(state, budgets.standing, "acme")
        assert (found.most, found.spent, found.leased) == (100, 7, 0)
        assert write(state, budgets.lease, "g", Ask(WINDOW, 100, 100, 1, 5.0)).amount == 93
        write(state, budgets.settle, "g", [Settled(WINDOW, 100, 95, 0, 2)])
        write(state, budgets.settle, "g", [Settled(WINDOW, 100, 3, 0, 3)])
        refused = write(state, budgets.lease, "h", Ask(WINDOW, 100, 1, 1, 5.0))
        assert (refused.amount, refused.left, refused.others) == (0, -5, False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_that_is_used_up_is_not_kept_from_others_by_leave(
    kind: str, tmp_path: Path
) -> None:
    with opened(address(kind, tmp_path)) as state:
        write(state, budgets.lease, "a", Ask(WINDOW, 100, 60, 1, 5.0))
        write(state, budgets.lease, "b", Ask(WINDOW, 100, 40, 1, 5.0))
        write(state, budgets.settle, "b", [Settled(WINDOW, 100, 99, 0, 59)])
        waits = write(state, budgets.lease, "b", Ask(WINDOW, 100, 1, 1, 5.0))
        assert (waits.amount, waits.left, waits.others) == (0, 1, True)
        write(state, budgets.settle, "b", [Settled(WINDOW, 100, 1, 0, 1)])
        for verb in (budgets.lease, budgets.rest):
            spent = write(state, verb, "b", Ask(WINDOW, 100, 1, 1, 5.0))
            assert (spent.amount, spent.left, spent.others) == (0, 0, False)


@pytest.mark.parametrize("kind", KINDS)
def test_who_ends_keeps_no_leave_unless_it_could_not_tell(kind: str, tmp_path: Path) -> None:
    async def work() -> None:
        with opened(address(kind, tmp_path)) as state:
            one, other = Keeper(state, Clock(), "one"), Keeper(state, Clock(), "other")
            for keeper in (one, other):
                await keeper.lease("acme", DAY, 0, 100.0, 100.0)
            with pytest.MonkeyPatch.context() as patch:

                def full(*nouns: Any) -> None:
                    raise StateError("no room")

                patch.setattr(budgets, "settle", full)
                one.settle("acme", DAY, 0, Told(10.0, 20.0))
                await one.leave()
                await other.leave()
            (found,) = await state.read(budgets.standing, "acme")
            assert (found.spent, found.leased) == (0, 101)  # of `one`, which may have used it
            assert not await state.read(gateways.heard, 0.0)
            await one.leave()
            (found,) = await state.read(budgets.standing, "acme")
            assert (found.spent, found.leased) == (10, 0)

    run(work())


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_of_a_limit_is_had_whole(kind: str, tmp_path: Path) -> None:
    async def work() -> None:
        with opened(address(kind, tmp_path)) as state:
            one, other = Keeper(state, Clock(), "one"), Keeper(state, Clock(), "other")
            assert (await one.lease("acme", DAY, 0, 989.0, 989.0)).given == 990.0
            assert (await other.lease("acme", DAY, 0, 10.0, 10.0)).given == 10.0

    run(work())
