"""Batches before they run: their model, their lines, and windows that end meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError
from tests.batching import Bench, batching, line
from tests.gateways import Fake, run, until

from eke.gateway.batches import validating
from eke.gateway.batches.steward import Steward
from eke.gateway.files import upload
from eke.gateway.settings import EngineSettings, Patience
from eke.gateway.state import works

DEAD = "http://127.0.0.1:9/v1"


async def beside(fake: Fake, **dead: Any) -> tuple[EngineSettings, ...]:
    """An engine that answers, and one that is never there."""
    await fake.start()
    return (
        EngineSettings(name="here", url=fake.url),
        EngineSettings(name="dead", url=DEAD, **dead),
    )


async def there(bench: Bench) -> None:
    """Wait until the engine that answers is known."""
    await until(lambda: "m" in bench.house.gateway.desks)


def test_a_model_that_no_engine_lists_is_waited_for_until_patience_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read = validating.Lines.end

    def counted(lines: Any) -> Any:
        nonlocal reads
        reads += 1
        return read(lines)

    async def check() -> None:
        fake = Fake()
        settings: dict[str, Any] = {"engines": await beside(fake), "ready": False}
        settings |= {"patience": Patience(alone=0.2), "state": str(tmp_path / "s.db")}
        async with batching(**settings) as bench:
            await there(bench)
            made = await bench.batch([line("a", body_model="typo")])
            monkeypatch.setattr(validating.Lines, "end", counted)
            done = await bench.came_to(made)
            assert done.status == "failed" and reads <= 1
            assert [each.code for each in done.errors.data] == ["model_not_found"]
        await fake.stop()

    run(check())


def test_an_engine_that_lists_other_models_is_not_waited_for(tmp_path: Path) -> None:
    async def check() -> None:
        fake = Fake()
        engines = await beside(fake, models={"other": "other"})
        state = str(tmp_path / "s.db")
        async with batching(engines=engines, ready=False, state=state) as bench:
            await there(bench)
            done = await bench.came_to(await bench.batch([line("a", body_model="typo")]))
            assert [each.code for each in done.errors.data] == ["model_not_found"]
        await fake.stop()

    run(check())


def test_a_window_that_ends_while_engines_start_is_over(tmp_path: Path) -> None:
    async def check() -> None:
        engines = (EngineSettings(name="dead", url=DEAD),)
        settings: dict[str, Any] = {"engines": engines, "ready": False}
        settings |= {"patience": Patience(alone=3600.0), "state": str(tmp_path / "s.db")}
        async with batching(**settings) as bench:
            made = await bench.batch([line("a")], completion_window="1h")
            bench.house.gateway.clock._offset += 7200.0
            done = await bench.came_to(made)
            assert done.status == "expired" and done.expired_at >= done.expires_at
            assert done.output_file_id is None and done.error_file_id is None

    run(check())


def test_lines_that_were_all_answered_in_time_complete_a_batch_whenever_that_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, looks = Steward._watch, asyncio.Event()

    async def later(self: Steward, document: Any) -> bool:
        await looks.wait()
        return await watch(self, document)

    monkeypatch.setattr(Steward, "_watch", later)

    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            made = await bench.batch([line("a"), line("b")], completion_window="1h")
            state = bench.house.gateway.state
            assert state is not None
            while (await state.read(works.counts, made.id)).get(works.DONE) != 2:
                await asyncio.sleep(0.005)
            bench.house.gateway.clock._offset += 7200.0
            looks.set()
            done = await bench.came_to(made)
            assert done.status == "completed" and done.error_file_id is None

    run(check())


def test_more_lines_than_a_batch_has_are_refused_as_they_arrive_and_when_it_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line(f"{number}") for number in range(4)]

    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            monkeypatch.setattr(validating, "LINES", 3)
            done = await bench.came_to(await bench.batch(lines))
            assert done.status == "failed"
            assert [each.code for each in done.errors.data] == ["too_many_tasks"]
            monkeypatch.setattr(upload, "LINES", 3)
            await bench.batch(lines[:3])
            with pytest.raises(BadRequestError, match="more than 3 lines") as refused:
                await bench.batch(lines)
            assert refused.value.code == "too_many_tasks"

    run(check())
