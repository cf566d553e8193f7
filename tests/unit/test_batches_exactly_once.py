"""Each line is answered and charged once: gateways are killed at any moment, or share a batch."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from openai import APIConnectionError, AsyncOpenAI
from tests.batching import Bench, batching, line
from tests.gateways import Fake, Got, Line, run, talk, until
from tests.killable import started
from tests.states import KINDS, address, opened
from tests.states import run as run_alone

from eke.errors import StateUnsure
from eke.gateway.batches import kept, lines
from eke.gateway.settings import EngineSettings, Limit, ModelSettings, Price, Settings, Tenant
from eke.gateway.state import rows
from eke.gateway.state.state import State
from eke.gateway.stewards import gone, owner_of
from eke.gateway.tenants import hashed

LINES = 60
MODEL = ModelSettings(name="m", price=Price(prompt=1e-3, answer=1e-3))
CHARGED = (7 + 3) * 1e-3 / 2  # of each line


def slow(seconds: float) -> Fake:
    """An engine that takes its time."""

    async def script(got: Got, to: Line) -> None:
        await asyncio.sleep(seconds)
        await talk()(got, to)

    return Fake(script)


def billed(where: str) -> list[rows.Kept]:
    """The rows of batches that somebody is charged for."""

    async def all_rows(state: Any) -> list[rows.Kept]:
        return [each async for each in state.rows(0.0, 1e12)]

    with opened(where) as state:
        kept = run_alone(all_rows(state))
    return [each for each in kept if each.row.kind == "batch" and each.row.charged]


async def completed(client: AsyncOpenAI, id: str) -> Any:
    """The batch when it is completed."""
    while True:
        batch = await client.batches.retrieve(id)
        if batch.status == "completed":
            return batch
        assert batch.status in ("validating", "in_progress", "finalizing")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", range(2))
def test_a_gateway_killed_in_the_middle_of_a_batch_answers_and_charges_each_line_once(
    seed: int, tmp_path: Path
) -> None:
    chance, where = random.Random(seed), str(tmp_path / "s.db")

    async def check() -> None:
        fake = await slow(0.02).start()
        engine = EngineSettings(name="e", url=fake.url, slots=4)
        settings = Settings(engines=(engine,), models=(MODEL,), state=where, port=0)
        batch = ""
        for _ in range(3):
            async with started(settings) as (url, process):
                bench = Bench(url, {})
                batch = batch or await _made(bench)
                await asyncio.sleep(chance.uniform(0.0, 0.4))
                os.kill(process, signal.SIGKILL)
                with pytest.raises(APIConnectionError):
                    while True:
                        await bench.client().batches.retrieve(batch)
                await bench.close()
        async with started(settings) as (url, _):
            bench = Bench(url, {})
            done = await completed(bench.client(), batch)
            assert dict(done.request_counts) == {"total": LINES, "completed": LINES, "failed": 0}
            assert done.usage.total_tokens == LINES * 10
            lines = await bench.lines_of(done.output_file_id)
            assert [each["custom_id"] for each in lines] == [f"n{i}" for i in range(LINES)]
            assert len([each async for each in bench.client().files.list()]) == 2
            await bench.close()
        await fake.stop()
        asked = Counter(got.json()["messages"][0]["content"] for got in fake.got)
        assert len(asked) == LINES and sum(asked.values()) <= LINES + 3 * 8

    run(check())
    charged = billed(where)
    assert len(charged) == LINES and sum(each.row.charged for each in charged) == pytest.approx(
        LINES * CHARGED
    )


@pytest.mark.parametrize("kind", KINDS)
def test_gateways_with_one_state_share_a_batch_and_ask_each_line_once(
    kind: str, tmp_path: Path
) -> None:
    where = address(kind, tmp_path)

    async def check() -> None:
        one, other = slow(0.005), slow(0.005)
        settings: dict[str, Any] = {"state": where, "models": (MODEL,), "facts": {"slots": 4}}
        async with batching(one, **settings) as first, batching(other, **settings) as second:
            batch = await _made(first)
            done = await completed(second.client(), batch)
            assert done.request_counts.completed == LINES
            texts = [got.json()["messages"][0]["content"] for got in one.got + other.got]
            assert sorted(texts) == sorted(f"text {i}" for i in range(LINES))
            assert one.got and other.got
            lines = await second.lines_of(done.output_file_id)
            assert [each["custom_id"] for each in lines] == [f"n{i}" for i in range(LINES)]

    run(check())
    charged = billed(where)
    assert len(charged) == LINES and len({each.gateway for each in charged}) == 2


def test_what_a_gateway_had_under_way_when_it_ended_is_asked_by_the_next(tmp_path: Path) -> None:
    where = str(tmp_path / "s.db")

    async def check() -> None:
        settings: dict[str, Any] = {"state": where, "models": (MODEL,), "facts": {"slots": 4}}
        gate = asyncio.Event()

        async def script(got: Got, to: Line) -> None:
            held = got.json()["messages"][0]["content"] in ("text 9", "text 10")
            await talk(gate=gate if held else None)(got, to)

        async with batching(Fake(script), **settings) as first:
            batch = await _made(first)
            engine = first.house.gateway.engines[0]
            await until(lambda: engine.finished >= 20)
        async with batching(Fake(), **settings) as second:
            done = await completed(second.client(), batch)
            assert dict(done.request_counts) == {"total": LINES, "completed": LINES, "failed": 0}

    run(check())
    assert len(billed(where)) == LINES


def test_only_a_process_that_we_would_see_is_known_to_be_gone() -> None:
    mine = owner_of("me")
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    other = mine.replace(f"/{os.getpid()}/", f"/{int(ended.stdout)}/")
    assert not gone(mine) and gone(other)
    assert not gone(mine.replace(f"/{os.getpid()}/", "/1/"))
    name, pid, space, stamp = other.split("/")
    assert not gone("/".join([name, pid, f"{space}x", stamp]))
    assert not gone("gateway/responses") and not gone("")


def test_a_claim_that_was_lost_stores_nothing_also_where_it_comes_back(tmp_path: Path) -> None:
    where, gate = str(tmp_path / "s.db"), asyncio.Event()

    def lose(transaction: Any) -> int:
        """As another gateway does with claims that it believes to be a dead one's."""
        where = "state = 'claimed' AND kind LIKE 'batch/%'"
        return int(
            transaction.run(f"UPDATE works SET state = 'queued', owner = NULL WHERE {where}")
        )

    async def check() -> None:
        fake = Fake(talk(gate=gate))
        settings: dict[str, Any] = {"state": where, "models": (MODEL,), "facts": {"slots": 4}}
        async with batching(fake, **settings) as bench:
            batch = await _made(bench)
            await until(lambda: fake.running == 4)
            state = bench.house.gateway.state
            assert state is not None
            for _ in range(2):
                left = fake.left
                assert await state.write(lose) == 8
                await until(lambda left=left: fake.left == left + 4 and fake.running == 4)
            gate.set()
            done = await completed(bench.client(), batch)
            assert dict(done.request_counts) == {"total": LINES, "completed": LINES, "failed": 0}

    run(check())
    assert len(billed(where)) == LINES


def test_a_batch_is_cancelled_through_another_gateway_than_the_one_that_runs_it(
    tmp_path: Path,
) -> None:
    where, gate = str(tmp_path / "s.db"), asyncio.Event()

    async def check() -> None:
        one, other = Fake(talk(gate=gate)), Fake(talk(gate=gate))
        settings: dict[str, Any] = {"state": where, "facts": {"slots": 2}}
        async with batching(one, **settings) as first, batching(other, **settings) as second:
            batch = await first.batch([line(f"{i}") for i in range(20)])
            await until(lambda: one.running + other.running == 4)
            await second.client().batches.cancel(batch.id)
            done = await first.came_to(batch)
            assert done.status == "cancelled" and (one.left, other.left) == (2, 2)
            assert len(await first.lines_of(done.error_file_id)) == 20

    run(check())


def test_a_line_over_which_the_gateway_fails_keeps_nothing_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_line, mistakes = kept.end_line, [RuntimeError("of a mistake in the gateway")]
    limits = (Limit(what="requests", amount=100.0),)
    tenant = Tenant(name="t", keys=(hashed("t"),), limits=limits)

    def sometimes(*given: Any) -> bool:
        if mistakes:
            raise mistakes.pop()
        return end_line(*given)

    async def check() -> None:
        settings: dict[str, Any] = {"models": (MODEL,), "tenants": (tenant,)}
        async with batching(Fake(), state=str(tmp_path / "s.db"), **settings) as bench:
            monkeypatch.setattr(kept, "end_line", sometimes)
            monkeypatch.setattr(lines, "SOON", 0.01)
            done = await bench.came_to(await bench.batch([line("a")], key="t"), key="t")
            assert done.request_counts.completed == 1
            await until(lambda: len(bench.house.rows) == 2)
            assert [row.charged for row in bench.house.rows] == [0.0, CHARGED]
            window = next(iter(bench.house.gateway.ledger._windows.values()))
            assert (window.flying, window.reserved) == (0, 0.0)

    run(check())


def test_a_line_that_is_stored_is_charged_though_the_state_was_lost_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, write, losses = str(tmp_path / "s.db"), State.write, [kept.end_line]

    async def unsure(self: State, verb: Any, *given: Any) -> Any:
        done = await write(self, verb, *given)
        if verb in losses:
            losses.remove(verb)
            raise StateUnsure("lost while it stored")
        return done

    async def check() -> None:
        async with batching(Fake(), state=where, models=(MODEL,)) as bench:
            monkeypatch.setattr(State, "write", unsure)
            monkeypatch.setattr(lines, "SOON", 0.01)
            done = await bench.came_to(await bench.batch([line("a")]))
            assert done.request_counts.completed == 1 and not losses
            await until(lambda: bench.house.rows)
            assert [row.charged for row in bench.house.rows] == [CHARGED]

    run(check())
    assert len(billed(where)) == 1


def test_a_look_that_fails_is_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill, mistakes = lines.Lines.fill, [RuntimeError("of a mistake in the gateway")]

    async def sometimes(self: lines.Lines) -> None:
        if mistakes:
            raise mistakes.pop()
        await fill(self)

    async def check() -> None:
        monkeypatch.setattr(lines.Lines, "fill", sometimes)
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            done = await bench.came_to(await bench.batch([line("a")]))
            assert done.request_counts.completed == 1 and not mistakes

    run(check())


async def _made(bench: Bench) -> str:
    """A batch of LINES lines."""
    batch = await bench.batch([line(f"n{i}", f"text {i}") for i in range(LINES)])
    return str(batch.id)
