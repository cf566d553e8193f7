"""Several gateways with one state: budgets hold, engines are shared, tenants are everybody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.gateways import Fake, House, ask, chat, run, serving, talk, until
from tests.states import KINDS, address

from eke.gateway.settings import EngineSettings, Limit, Tenant, TenantFile
from eke.gateway.state import budgets
from eke.gateway.tenants import hashed

HOUR = 3600.0 * 24  # a budget, not a rate: nobody is told to come back
KEY = "sk-shared"


@asynccontextmanager
async def two(fake: Fake, state: str, **settings: Any) -> AsyncIterator[tuple[House, House]]:
    """Two gateways before the same engine."""
    same = {"state": state, "open": False, **settings}
    async with serving(fake, facts={"slots": 8}, **same) as one:
        there = (EngineSettings(name="e0", url=fake.url, slots=8),)
        async with serving(engines=there, **same) as other:
            yield one, other


def tenant(*limits: Limit) -> Tenant:
    return Tenant(name="shared", keys=(hashed(KEY),), limits=limits)


async def settled(*houses: House) -> None:
    """All of them have told what was used."""
    for house in houses:
        house.gateway.ledger.tell(house.gateway.clock.wall())
        assert house.gateway.keeper is not None
        await house.gateway.keeper.flush()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["requests", "tokens"])
def test_a_budget_is_passed_by_one_request_at_most(kind: str, what: Any, tmp_path: Path) -> None:
    amount, most = (37, 1) if what == "requests" else (400, 12)  # 7 of a prompt, 5 of an answer
    limit = Limit(what=what, amount=amount, period=HOUR)

    async def work() -> None:
        fake = Fake(talk(tokens=5, prompt=7))
        state = address(kind, tmp_path)
        async with two(fake, state, tenants=(tenant(limit),)) as houses:

            async def client(house: House) -> None:
                code = ""
                while not code.startswith("organization"):  # the budget is spent
                    got = await ask(house, body=chat(max_tokens=5), key=KEY)
                    assert got.status in (200, 429), got
                    code = got.json().get("error", {}).get("code", "")
                    if code == "rate_limit_exceeded":
                        await asyncio.sleep(0.01)  # others hold the rest for now

            await asyncio.gather(*[client(house) for house in houses for _ in range(8)])
            await settled(*houses)
            rows = [row for house in houses for row in house.rows if row.outcome == "finished"]
            used = len(rows) if what == "requests" else sum(r.prompt + r.tokens for r in rows)
            assert amount <= used < amount + most
            (found,) = await houses[0].gateway.state.read(budgets.standing, "shared")
            assert found.spent == used

    run(work())


@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_is_given_no_more_by_two_than_by_one(kind: str, tmp_path: Path) -> None:
    async def work() -> None:
        gate = asyncio.Event()
        fake = Fake(talk(gate=gate))
        async with two(fake, address(kind, tmp_path), tenants=(tenant(),)) as houses:
            await beaten(*houses)
            clients = [ask(house, body=chat(), key=KEY) for house in houses for _ in range(12)]
            going = asyncio.gather(*clients)
            await until(lambda: fake.running == 8)
            await asyncio.sleep(0.05)
            assert fake.most == 8  # four from each
            gate.set()
            assert {got.status for got in await going} == {200}
            assert fake.most <= 8

    run(work())


@pytest.mark.parametrize("kind", KINDS)
def test_a_tenant_added_at_one_is_known_at_the_other(kind: str, tmp_path: Path) -> None:
    async def work() -> None:
        async with two(Fake(), address(kind, tmp_path)) as (one, other):
            assert one.gateway.membership and other.gateway.membership
            assert (await ask(other, body=chat(), key="sk-eke-nobody")).status == 401
            await one.gateway.membership.put("new", TenantFile(weight=2.0))
            key = await one.gateway.membership.new_key("new", "")
            await other.gateway.membership.refresh()
            assert (await ask(other, body=chat(), key=key)).status == 200
            await one.gateway.membership.revoke(hashed(key))
            await other.gateway.membership.refresh()
            assert (await ask(other, body=chat(), key=key)).status == 401

    run(work())


async def beaten(*houses: House) -> None:
    """Each has heard of the others."""
    for _ in range(2):
        for house in houses:
            keeper, gateway = house.gateway.keeper, house.gateway
            assert keeper is not None
            presence = gateway.presence()
            await keeper.beat(presence)
            for engine in gateway.engines.values():
                keeper.share(engine, presence.wanting[engine.settings.url])
                gateway.report(engine)
