"""Jobs outlive gateways: trainers of dead ones are found, stopped and gone on with elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.batching import Bench
from tests.gateways import Fake, Got, Line, ask, chat, http, run, until
from tests.killable import started
from tests.states import opened, read, write
from tests.states import run as run_alone
from tests.tuning import came_to, events_of, job, logged, said, settings_of, tuning

from eke.gateway.settings import EngineSettings, Settings
from eke.gateway.state import documents, rows
from eke.gateway.state.documents import Document
from eke.gateway.tuning import job as jobs
from eke.gateway.tuning import notes
from eke.gateway.tuning.folder import Folder
from eke.gateway.tuning.trainer import orphan, start, stop_orphan


def kept(folder: Path) -> list[rows.Kept]:
    """The rows of jobs."""

    async def all_rows(state: Any) -> list[rows.Kept]:
        return [each async for each in state.rows(0.0, 1e12)]

    with opened(str(folder / "s.db")) as state:
        return [each for each in run_alone(all_rows(state)) if each.row.kind == "tune"]


def test_a_gateway_killed_while_it_trains_leaves_no_trainer_and_loses_no_step(
    tmp_path: Path,
) -> None:
    gate = tmp_path / "gate"

    async def check() -> None:
        fake = await Fake().start()
        engine = EngineSettings(name="e", url=fake.url, slots=4, rate=2.0)
        settings = Settings(engines=(engine,), port=0, **settings_of(tmp_path))
        async with started(settings) as (url, process):
            bench = Bench(url, {})
            made = await job(bench, steps=9, free=4, every=2, gate=str(gate))
            await said(bench, made, "Step 4/9")
            await came_to(bench, made, "running")
            os.kill(process, signal.SIGKILL)
            await bench.close()
        folder = Folder(str(tmp_path / "jobs"), made.id)
        first = orphan(folder)
        assert first is not None  # it trains on, without a gateway
        async with started(settings) as (url, _):
            bench = Bench(url, {})
            await said(bench, made, "The gateway ended, and the trainer with it.")
            await said(bench, made, "learning from 3 examples, from step 4 on")
            assert orphan(folder) != first and not _there(first)
            gate.touch()
            done = await came_to(bench, made)
            assert done.status == "succeeded" and done.trained_tokens == 900
            await bench.close()
        steps = [each["step"] for each in logged(tmp_path, made) if "loss" in each]
        assert steps == list(range(1, 10))
        await fake.stop()

    run(check())
    first, second = sorted(kept(tmp_path), key=lambda each: each.row.arrived_at)
    assert (first.row.outcome, first.row.reason) == ("stopped", "its gateway ended")
    assert second.row.outcome == "finished" and first.gateway != second.gateway
    assert all(each.row.charged == pytest.approx(2 * each.row.seconds) for each in (first, second))


def test_a_job_cancelled_while_its_gateway_is_dead_is_charged_and_its_engine_wakes(
    tmp_path: Path,
) -> None:
    async def quiet(got: Got, to: Line) -> None:
        await to.send(http(200, b""))

    async def check() -> None:
        fake = await Fake(quiet).start()
        engine = EngineSettings(name="e", url=fake.url, rate=2.0, sleep="/sleep", wake="/wake_up")
        settings = Settings(engines=(engine,), port=0, **settings_of(tmp_path))
        async with started(settings) as (url, process):
            bench = Bench(url, {})
            made = await job(bench, steps=9, free=4, gate=str(tmp_path / "never"))
            await said(bench, made, "Step 4/9")
            os.kill(process, signal.SIGKILL)
            await bench.close()
        await asyncio.to_thread(cancelled, tmp_path, made)
        async with started(settings) as (url, _):
            await until(lambda: len(fake.got) > 1)
            bench = Bench(url, {})
            await said(bench, made, "The gateway ended, and the trainer with it.")
            assert (await came_to(bench, made)).status == "cancelled"
            await bench.close()
        assert [got.path for got in fake.got] == ["/sleep", "/wake_up"]
        await fake.stop()

    run(check())
    (only,) = kept(tmp_path)
    assert only.row.charged == pytest.approx(2 * only.row.seconds) and only.row.seconds > 0


def cancelled(folder: Path, made: Any) -> None:
    """What another gateway does that is asked to cancel a job."""

    def change(found: Document) -> Document:
        return jobs.ended(found, jobs.job_of(found), jobs.CANCELLED, time.time())

    with opened(str(folder / "s.db")) as state:
        document = read(state, documents.get, jobs.KIND, made.id, "alice")
        assert document is not None
        told = notes.event("The job was cancelled.", time.time())
        write(state, notes.turn, document, jobs.OPEN, change, told)


def test_a_gateway_that_ends_in_order_lets_the_trainer_write_a_checkpoint(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def check() -> None:
        fake = Fake()
        async with tuning(fake, folder=tmp_path) as bench:
            made = await job(bench, steps=5, free=3, gate=str(gate))
            await said(bench, made, "Step 3/5")
        folder = Folder(str(tmp_path / "jobs"), made.id)
        assert orphan(folder) is None and folder.resumes
        gate.touch()
        async with tuning(fake, folder=tmp_path) as bench:
            done = await came_to(bench, made)
            assert done.status == "succeeded"
            told = await events_of(bench, made)
            assert "Stopped: the gateway ends. The job goes on with the next one." in told
            assert "learning from 3 examples, from step 3 on" in told

    run(check())
    assert [each.row.outcome for each in kept(tmp_path)] == ["stopped", "finished"]


def test_a_job_is_cancelled_through_another_gateway_than_the_one_that_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eke.gateway.tuning.training.NOTICE", 0.02)

    async def check() -> None:
        gate = str(tmp_path / "never")
        async with (
            tuning(Fake(), folder=tmp_path) as first,
            tuning(Fake(), folder=tmp_path) as second,
        ):
            made = await job(first, gate=gate)
            await came_to(first, made, "running")
            await second.client().fine_tuning.jobs.cancel(made.id)
            folder = Folder(str(tmp_path / "jobs"), made.id)
            await until(lambda: orphan(folder) is None)
            for bench in (first, second):
                assert (await ask(bench.house, body=chat())).status == 200
                engine = bench.house.gateway.engines[0]
                await until(lambda engine=engine: engine.holder is None)

    run(check())


def test_requests_of_another_gateway_get_an_engine_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eke.gateway.books.SETTLE", 0.01)
    monkeypatch.setattr("eke.gateway.tuning.training.NOTICE", 0.1)

    async def check() -> None:
        gate, fake = tmp_path / "never", Fake()
        async with tuning(fake, folder=tmp_path) as first:
            made = await job(first, gate=str(gate))
            await said(first, made, "learning from")
            folder = Folder(str(tmp_path / "jobs"), made.id)
            same = (EngineSettings(name="e0", url=fake.url),)
            async with tuning(folder=tmp_path, engines=same) as second:
                engine = second.house.gateway.engines[0]
                await until(lambda: engine.lent)
                assert (await ask(second.house, body=chat())).status == 200
                assert fake.got and orphan(folder) is None
                await second.client().fine_tuning.jobs.cancel(made.id)
                await until(lambda: not engine.lent)
                assert (await ask(first.house, body=chat())).status == 200

    run(check())


def test_a_number_that_another_process_has_by_now_is_nobodys_trainer(tmp_path: Path) -> None:
    async def check() -> None:
        folder = Folder(str(tmp_path), "job")
        folder.make()
        trainer = await start(folder, ["sleep", "1000"], dict(os.environ))
        while orphan(folder) is None:
            await asyncio.sleep(0.005)
        pid = orphan(folder)
        folder.pid.write_text(f"{pid} 1")
        assert orphan(folder) is None and not await stop_orphan(folder, 1.0)
        folder.pid.write_text(f"{os.getpid()} 1")
        assert orphan(folder) is None
        folder.pid.write_text("")
        assert orphan(folder) is None
        assert trainer.code is None
        await trainer.stop(1.0)
        assert trainer.code == -signal.SIGTERM

    run(check())


def _there(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
