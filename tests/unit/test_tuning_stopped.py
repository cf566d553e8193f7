"""Fine-tuning jobs that are stopped: paused, cancelled, killed, with all that they started."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError
from tests.gateways import Fake, ask, chat, run, talk, until
from tests.tuning import came_to, events_of, job, said, steps_of, trains, tuning

from eke.gateway.settings import Patience
from eke.gateway.tuning import training
from eke.gateway.tuning.trainer import Trainer, start


def test_a_job_is_paused_and_resumed(tmp_path: Path) -> None:
    async def check() -> None:
        gate = tmp_path / "gate"
        async with tuning(Fake(), folder=tmp_path) as bench:
            api = bench.client().fine_tuning.jobs
            made = await job(bench, steps=4, free=2, gate=str(gate))
            await said(bench, made, "Step 2/4")
            with pytest.raises(BadRequestError, match="paused"):
                await api.resume(made.id)
            assert (await api.pause(made.id)).status == "paused"
            await until(lambda: not trains(tmp_path, made))
            await said(bench, made, "Checkpoint created at step 2")
            gateway = bench.house.gateway
            await until(lambda: gateway.engines[0].holder is None and not gateway.desks["m"].calls)
            assert (await api.retrieve(made.id)).status == "paused"
            gate.touch()
            assert (await api.resume(made.id)).status == "queued"
            assert (await came_to(bench, made)).status == "succeeded"
            assert steps_of(tmp_path, made) == [1, 2, 3, 4]
            with pytest.raises(BadRequestError, match="succeeded"):
                await api.pause(made.id)

    run(check())


@pytest.mark.parametrize("state", ["queued", "running", "paused", "succeeded"])
def test_a_job_is_cancelled_wherever_it_stands(state: str, tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def check() -> None:
        closed, fake = tmp_path / "never", Fake(talk(gate=gate))
        async with tuning(fake, folder=tmp_path, facts={"slots": 1}) as bench:
            api, asked = bench.client().fine_tuning.jobs, None
            if state == "queued":
                asked = asyncio.ensure_future(ask(bench.house, body=chat()))
                await until(lambda: fake.running == 1)
            hyper = {} if state == "succeeded" else {"gate": str(closed)}
            made = await job(bench, steps=2, **hyper)
            if state == "paused":
                await came_to(bench, made, "running")
                await api.pause(made.id)
            await came_to(bench, made, state)
            if state == "succeeded":
                with pytest.raises(BadRequestError, match="succeeded"):
                    await api.cancel(made.id)
                return
            done = await api.cancel(made.id)
            assert done.status == "cancelled" and done.finished_at
            await until(lambda: not trains(tmp_path, made))
            gateway = bench.house.gateway
            await until(lambda: gateway.engines[0].holder is None)
            await until(lambda: len(gateway.desks["m"].calls) == (asked is not None))
            await until(lambda: not (tmp_path / "jobs" / made.id / "data").exists())
            gate.set()
            assert (await ask(bench.house, body=chat())).status == 200
            assert (await api.retrieve(made.id)).status == "cancelled"
            if asked is not None:
                await asked
            rows = bench.house.rows
            await until(lambda: len(rows) == 2)  # of two requests, or of a stretch and a request
            busy, _ = gateway.engines[0].meter.read(gateway.clock.now())
            assert sum(row.seconds for row in rows) == pytest.approx(busy)  # nobody was spared

    run(check())


def test_a_trainer_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    async def check() -> None:
        gate, patience = str(tmp_path / "never"), Patience(checkpoint=0.05)
        settings: dict[str, Any] = {"facts": {"slots": 1}, "patience": patience}
        async with tuning(Fake(), folder=tmp_path, **settings) as bench:
            made = await job(bench, gate=gate, deaf=True)
            await said(bench, made, "learning from")
            assert (await ask(bench.house, body=chat())).status == 200
            await said(bench, made, "Stopped: requests need the engine.")
            await bench.client().fine_tuning.jobs.cancel(made.id)

    run(check())


@pytest.mark.parametrize(("trainer", "status"), [("true", "succeeded"), ("false", "failed")])
def test_a_trainer_that_is_over_was_not_killed_by_a_gateway_in_a_hurry(
    trainer: str, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path, trainer=trainer) as bench:
            hurries = [bench.house.gateway.engines[0]]

            async def starts(*given: Any) -> Trainer:
                begun = await start(*given)
                await until(lambda: begun.code is not None)
                if hurries and (holder := hurries.pop().holder) is not None:
                    holder.hurry()
                return begun

            monkeypatch.setattr(training, "start", starts)
            made = await job(bench)
            assert (await came_to(bench, made)).status == status
            assert not [each for each in await events_of(bench, made) if "gateway ends" in each]

    run(check())


def test_what_a_trainer_started_ends_with_it(tmp_path: Path) -> None:
    script = tmp_path / "parent.sh"
    script.write_text("sleep 1000 & echo $! > child; wait\n")

    async def check() -> None:
        patience = Patience(checkpoint=0.05)
        trainer = f"bash {script}"
        async with tuning(Fake(), folder=tmp_path, trainer=trainer, patience=patience) as bench:
            made = await job(bench)
            child = tmp_path / "jobs" / made.id / "child"
            await until(lambda: child.exists() and child.read_text().strip())
            pid = int(child.read_text())
            await bench.client().fine_tuning.jobs.cancel(made.id)
            await until(lambda: not os.path.exists(f"/proc/{pid}") or _zombie(pid))

    run(check())


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
