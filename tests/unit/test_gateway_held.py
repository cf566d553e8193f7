"""Prompts that wait take memory, of which there is a bound."""

from __future__ import annotations

import asyncio

import pytest
from tests.gateways import CHAT, Fake, ask, asks, chat, run, serving, talk, until

from eke.gateway import errand


def test_more_prompts_than_there_is_memory_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "MOST_HELD", 3000)

    async def work() -> None:
        gate = asyncio.Event()
        fake = Fake(talk(gate=gate))
        async with serving(fake, facts={"slots": 1}) as house:
            long = chat("x" * 1000)
            waiting = [asyncio.ensure_future(ask(house, body=long)) for _ in range(2)]
            await until(lambda: house.gateway.held > 2000)
            refused = await ask(house, body=long)
            assert (refused.status, refused.json()["error"]["code"]) == (
                503,
                "server_is_overloaded",
            )
            assert int(refused.headers["retry-after"]) >= 1
            gate.set()
            assert {(await each).status for each in waiting} == {200}
            assert house.gateway.held == 0

    run(work())


def test_nothing_is_held_of_those_who_left() -> None:
    async def work() -> None:
        fake = Fake(talk(gate=asyncio.Event()))
        async with serving(fake, facts={"slots": 1}) as house:
            clients = [await asyncio.open_connection(*house.address) for _ in range(3)]
            for _, writer in clients:
                writer.write(asks(CHAT, chat()))
            await until(lambda: house.gateway.queued() == 2)
            for _, writer in clients:
                writer.transport.abort()
            await until(lambda: len(house.rows) == 3)
            assert house.gateway.held == 0

    run(work())
