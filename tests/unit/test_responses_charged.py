"""Background responses are charged once, by whoever ends them, wherever they were before."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.gateways import Fake, run, until
from tests.responding import Home, over, responding, state_of, steps
from tests.states import address

from eke.gateway.responses import makings
from eke.gateway.settings import ModelSettings, Price
from eke.gateway.state import works
from eke.gateway.state.transaction import Transaction

BODY: Any = {"model": "m", "input": "x", "background": True}
PRICED = ModelSettings(name="m", price=Price(prompt=1.0, cached=1.0, answer=1.0))
ONCE = 6.0  # for the tokens that an engine of one step counts [USD]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Of gateways that look often at one state."""
    monkeypatch.setattr(makings, "LOOK", 0.02)
    return {"state": address("sqlite", tmp_path), "models": (PRICED,)}


def slow() -> Fake:
    """An engine that never ends its answer."""
    return Fake(steps(asyncio.Event()))


def quick() -> Fake:
    gate = asyncio.Event()
    gate.set()
    return Fake(steps(gate))


async def begun(home: Home, id: str) -> None:
    """Wait until something of a response was said."""
    await until(lambda: home.makings.live[id].speech.items)


def charged(home: Home) -> list[float]:
    """What requests were charged that are over [USD]."""
    return [row.charged for row in home.house.rows]


def test_what_a_gateway_lets_go_of_is_charged_by_the_next(settings: dict[str, Any]) -> None:
    async def work() -> None:
        async with responding(slow(), **settings) as home:
            made = await home.client.responses.create(**BODY)
            await begun(home, made.id)
            await home.makings.close()
            assert charged(home) == [0.0] and home.house.rows[0].tokens == 0
        gate = asyncio.Event()
        async with responding(Fake(steps(gate)), **settings) as home:
            gate.set()  # not before its rows are seen
            assert (await over(home, made.id)).status == "completed"
            assert charged(home) == [ONCE]

    run(work())


def test_what_a_gateway_has_lost_is_charged_by_who_has_it(settings: dict[str, Any]) -> None:
    def stolen(transaction: Transaction, owner: str) -> list[works.Work]:
        works.requeue(transaction, 1e12, 9)
        wanted = works.Claim(owner=owner, kinds=("background",), most=9, now=1e12, until=2e12)
        return works.claim(transaction, wanted)

    async def work() -> None:
        async with responding(slow(), **settings) as home, responding(quick(), **settings) as other:
            made = await home.client.responses.create(**BODY)
            await begun(home, made.id)
            there = state_of(other)
            (taken,) = await there.write(stolen, other.makings.owner)
            await other.makings._resume(there, taken, other.gateway.clock.wall())
            assert (await over(other, made.id)).status == "completed"
            await until(lambda: not home.makings.live)
            assert (charged(home), charged(other)) == ([0.0], [ONCE])

    run(work())


@pytest.mark.parametrize("how", ("cancel", "delete"))
def test_what_a_tenant_ends_elsewhere_is_charged_where_it_was_made(
    how: str, settings: dict[str, Any]
) -> None:
    async def work() -> None:
        async with responding(slow(), **settings) as home, responding(slow(), **settings) as other:
            made = await home.client.responses.create(**BODY)
            await begun(home, made.id)
            await getattr(other.client.responses, how)(made.id)
            await until(lambda: not home.makings.live)
            (cost,) = charged(home)
            assert cost > 0.0 and charged(other) == []

    run(work())
