"""Batches: who goes when, and how many lines stand in the queue."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.batching import batching, line
from tests.gateways import Fake, Got, Line, run, talk, until

from eke.gateway.settings import Limit, Tenant
from eke.gateway.tenants import hashed


def test_tenants_take_turns_however_long_their_batches(tmp_path: Path) -> None:
    async def check() -> None:
        gate, fake = asyncio.Event(), Fake()

        async def script(got: Got, to: Line) -> None:
            await gate.wait()
            await talk()(got, to)

        fake.script = script
        async with batching(fake, state=str(tmp_path / "s.db"), facts={"slots": 2}) as bench:
            long = await bench.batch([line(f"a{i}", "alice") for i in range(60)])
            await until(lambda: fake.running == 2)
            short = await bench.batch([line(f"b{i}", "bob") for i in range(10)], key="bob")
            await bench.came_to(short, "in_progress", key="bob")
            gate.set()
            await bench.came_to(short, key="bob")
            await bench.came_to(long)
            whose = [got.json()["messages"][0]["content"] for got in fake.got]
            assert whose.count("bob") == 10
            last = len(whose) - whose[::-1].index("bob")
            assert last <= 4 + 2 * 10 + 12  # those claimed before, then about turn by turn, not 70

    run(check())


def test_no_more_lines_stand_in_the_queue_than_engines_have_use_for(tmp_path: Path) -> None:
    async def check() -> None:
        fake = Fake(talk(gate=asyncio.Event()))
        async with batching(fake, state=str(tmp_path / "s.db"), facts={"slots": 3}) as bench:
            made = await bench.batch([line(f"{i}") for i in range(50)])
            desk = bench.house.gateway.desks["m"]
            await until(lambda: fake.running == 3)
            await until(lambda: len(desk.calls) == 6)
            await asyncio.sleep(0.1)  # several looks
            assert len(desk.calls) == 6 and desk.waiting == 3
            await bench.client().batches.cancel(made.id)
            await until(lambda: not desk.calls)

    run(check())


def test_lines_that_wait_do_not_grow_old_and_leave_no_trace_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eke.gateway.batches.active.FRESH", 0.03)
    limits = (Limit(what="requests", amount=100.0),)
    tenant = Tenant(name="t", keys=(hashed("t"),), limits=limits)

    async def check() -> None:
        gate = asyncio.Event()
        fake, settings = Fake(talk(gate=gate)), {"tenants": (tenant,), "open": True}
        state, facts = str(tmp_path / "s.db"), {"slots": 1}
        async with batching(fake, state=state, facts=facts, **settings) as bench:
            made = await bench.batch([line(f"{i}") for i in range(4)], key="t")
            desk = bench.house.gateway.desks["m"]
            await until(lambda: len(desk.calls) == 2 and fake.running == 1)
            waiting = {number for number, call in desk.calls.items() if call.engine is None}
            await until(lambda: not waiting & desk.calls.keys() and len(desk.calls) == 2)
            assert bench.house.rows == []
            gate.set()
            done = await bench.came_to(made, key="t")
            assert done.request_counts.completed == 4 and len(bench.house.rows) == 4
            window = next(iter(bench.house.gateway.ledger._windows.values()))
            assert (window.used, window.reserved, window.flying) == (4.0, 0.0, 0)

    run(check())


def test_lines_become_urgent_as_the_window_ends(tmp_path: Path) -> None:
    async def check() -> None:
        fake = Fake(talk(gate=asyncio.Event()))
        async with batching(fake, state=str(tmp_path / "s.db"), facts={"slots": 1}) as bench:
            await bench.batch([line("a"), line("b")], completion_window="2s")
            desk = bench.house.gateway.desks["m"]
            for level in (2, 1, 0):
                await until(
                    lambda level=level: any(
                        call.engine is None and call.request.priority == level
                        for call in desk.calls.values()
                    )
                )

    run(check())


def test_a_budget_that_is_spent_leaves_lines_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eke.gateway.batches.asking.LONG", 0.05)
    few = (Limit(what="requests", amount=2.0),)
    tenant = Tenant(name="t", keys=(hashed("t"),), limits=few)

    async def check() -> None:
        settings: dict[str, Any] = {"tenants": (tenant,), "facts": {"slots": 1}}
        async with batching(Fake(), state=str(tmp_path / "s.db"), **settings) as bench:
            lines = [line(f"{i}") for i in range(3)]
            made = await bench.batch(lines, key="t", completion_window="2s")
            done = await bench.came_to(made, key="t")
            assert done.status == "expired"
            assert dict(done.request_counts) == {"total": 3, "completed": 2, "failed": 0}

    run(check())
