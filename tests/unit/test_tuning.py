"""Fine-tuning jobs: in the troughs, out of the way of requests."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError
from tests.gateways import Fake, Got, Line, ask, chat, http, run, talk, until
from tests.tuning import came_to, events_of, job, said, steps_of, trains, tuning

from eke.gateway.settings import Limit, Tenant
from eke.gateway.tenants import hashed
from eke.gateway.tuning import stay


def test_a_job_is_trained_and_told_step_by_step(tmp_path: Path) -> None:
    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path) as bench:
            made = await job(bench, steps=4, every=2)
            assert (made.status, made.seed, made.fine_tuned_model) == ("validating_files", 7, None)
            done = await came_to(bench, made)
            assert done.status == "succeeded" and done.error is None and done.finished_at
            assert done.fine_tuned_model == f"ft:m:alice:my-model:{made.id[6:14]}"
            assert done.trained_tokens == 400 and done.estimated_finish is None
            assert done.method.supervised.hyperparameters.model_extra == {"steps": 4, "every": 2}
            told = await events_of(bench, made)
            assert told[0] == f"Created fine-tuning job: {made.id}"
            assert told[-1] == "The job has successfully completed."
            assert "learning from 3 examples, from step 0 on" in told
            assert "Step 3/4: train_loss=0.3333" in told
            api = bench.client().fine_tuning.jobs
            found = [each async for each in api.checkpoints.list(made.id, limit=1)]
            assert [each.step_number for each in found] == [4, 2]
            assert found[0].metrics.train_loss == 0.25
            (results,) = done.result_files
            file = await bench.client().files.retrieve(results)
            assert file.purpose == "fine-tune-results"
            text = (await bench.client().files.content(results)).text
            assert text.splitlines()[:2] == ["step,train_loss", "1,1.0"]
            assert [each.id async for each in api.list()] == [made.id]
            (row,) = [row for row in bench.house.rows if row.kind == "tune"]
            assert (row.outcome, row.engine, row.tenant) == ("finished", "e0", "alice")
            folder = tmp_path / "jobs" / made.id
            assert (folder / "checkpoints" / "model").exists() and not (folder / "data").exists()

    run(check())


def test_a_trainer_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("EKE_ADMIN_KEY", "EKE_OTHER_ADMIN", "EKE_ENGINE_KEY", "EKE_TENANT_KEY", "EKE_SEAL")
    for name in names:
        monkeypatch.setenv(name, "secret")
    tenant = Tenant(name="t", key_env=("EKE_TENANT_KEY",), seal="EKE_SEAL")
    settings: dict[str, Any] = {
        "facts": {"models": {"m": "org/m-7b"}},
        "tenants": (tenant,),
        "key_env": ("EKE_OTHER_ADMIN", "EKE_ENGINE_KEY"),
    }

    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path, **settings) as bench:
            made = await job(bench, steps=1)
            await came_to(bench, made)
            folder = tmp_path / "jobs" / made.id
            found = json.loads((folder / "environment.json").read_text())
            assert found == {
                "EKE_JOB": made.id,
                "EKE_MODEL": "org/m-7b",
                "EKE_TRAINING_FILE": str(folder / "data" / "train.jsonl"),
                "EKE_VALIDATION_FILE": "",
                "EKE_METHOD": "supervised",
                "EKE_HYPERPARAMETERS": '{"steps":1}',
                "EKE_SUFFIX": "my-model",
                "EKE_SEED": "7",
                "EKE_CHECKPOINTS": str(folder / "checkpoints"),
                "EKE_RESUME": "",
                "EKE_ENGINE": "e0",
                "DATA": str(folder / "data"),
                "OUTPUT": str(folder / "checkpoints"),
            }

    run(check())


def test_a_job_makes_way_for_requests_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    seen: list[bool] = []
    made: Any = None

    async def script(got: Got, to: Line) -> None:
        seen.append(trains(tmp_path, made))
        await talk()(got, to)

    async def check() -> None:
        nonlocal made
        gate = tmp_path / "gate"
        async with tuning(Fake(script), folder=tmp_path, facts={"slots": 1}) as bench:
            made = await job(bench, steps=6, free=3, gate=str(gate))
            await said(bench, made, "Step 3/6")
            assert (await came_to(bench, made, "running")).status == "running"
            got = await ask(bench.house, body=chat())
            assert got.status == 200 and seen == [False]  # the trainer was gone by then
            await said(bench, made, "Stopped: requests need the engine.")
            gate.touch()
            done = await came_to(bench, made)
            assert done.status == "succeeded"
            assert steps_of(tmp_path, made) == [1, 2, 3, 4, 5, 6]
            assert "learning from 3 examples, from step 3 on" in await events_of(bench, made)
            rows = [row for row in bench.house.rows if row.kind == "tune"]
            assert [row.outcome for row in rows] == ["stopped", "finished"]
            engine = bench.house.gateway.engines[0]
            busy, _ = engine.meter.read(bench.house.gateway.clock.now())
            assert sum(row.seconds for row in bench.house.rows) == pytest.approx(busy)

    run(check())


def test_a_job_waits_while_requests_are_under_way(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def check() -> None:
        fake = Fake(talk(gate=gate))
        async with tuning(fake, folder=tmp_path, facts={"slots": 2}) as bench:
            asked = asyncio.ensure_future(ask(bench.house, body=chat()))
            await until(lambda: fake.running == 1)
            made = await came_to(bench, await job(bench, steps=2), "queued")
            await asyncio.sleep(0.1)
            assert (await came_to(bench, made, "queued")).status == "queued"
            assert bench.house.gateway.desks["m"].waiting == 0  # jobs press nobody
            gate.set()
            assert (await asked).status == 200
            assert (await came_to(bench, made)).status == "succeeded"

    run(check())


def test_an_engine_makes_room_before_and_takes_it_back_before_requests(tmp_path: Path) -> None:
    told: list[str] = []

    async def script(got: Got, to: Line) -> None:
        told.append(got.path)
        if got.path in ("/sleep?level=1", "/wake_up"):
            await to.send(http(200, b""))
        else:
            await talk()(got, to)

    async def check() -> None:
        facts = {"slots": 1, "sleep": "/sleep?level=1", "wake": "/wake_up"}
        gate = tmp_path / "gate"
        async with tuning(Fake(script), folder=tmp_path, facts=facts) as bench:
            made = await job(bench, steps=2, gate=str(gate))
            await said(bench, made, "learning from")
            assert told == ["/sleep?level=1"]
            assert (await ask(bench.house, body=chat())).status == 200
            gate.touch()
            await came_to(bench, made)
            chats = "/v1/chat/completions"
            assert told == ["/sleep?level=1", "/wake_up", chats, "/sleep?level=1", "/wake_up"]

    run(check())


def test_an_engine_that_makes_no_room_gets_no_trainer(tmp_path: Path) -> None:
    async def script(got: Got, to: Line) -> None:
        await (to.send(http(500, b"no")) if got.path == "/sleep" else talk()(got, to))

    async def check() -> None:
        async with tuning(Fake(script), folder=tmp_path, facts={"sleep": "/sleep"}) as bench:
            made = await job(bench)
            await said(bench, made, "the engine makes no room: /sleep answered 500")
            assert not (tmp_path / "jobs" / made.id / "out.log").exists()
            assert (await ask(bench.house, body=chat())).status == 200
            assert (await came_to(bench, made, "queued")).status == "queued"

    run(check())


def test_jobs_of_others_are_not_found_and_lists_can_be_searched(tmp_path: Path) -> None:
    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path) as bench:
            made = await job(bench)
            api, other = bench.client().fine_tuning.jobs, bench.client("bob").fine_tuning.jobs
            for asked in (other.retrieve, other.cancel, other.pause, other.resume):
                with pytest.raises(NotFoundError, match="Could not find fine tune"):
                    await asked(made.id)
            with pytest.raises(NotFoundError):
                await other.list_events(made.id)
            file = made.training_file
            tagged = await api.create(model="m", training_file=file, metadata={"run": "7"})
            found = [each.id async for each in api.list(metadata={"run": "7"})]
            assert found == [tagged.id]
            none: Any = {"metadata": "null"}
            found = [each.id async for each in api.list(extra_query=none)]
            assert found == [made.id]
            with pytest.raises(BadRequestError, match="metadata"):
                await api.list(extra_query={"metadata": "x"})
            assert [each.id async for each in api.list(limit=1)] == [tagged.id, made.id]
            await came_to(bench, made)
            await came_to(bench, tagged)

    run(check())


def test_a_budget_of_chip_seconds_counts_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stay, "SLICE", 0.1)
    few = (Limit(what="seconds", amount=1.0),)
    tenant = Tenant(name="t", keys=(hashed("t"),), limits=few)

    async def check() -> None:
        gate, facts = str(tmp_path / "never"), {"chips": 4.0, "rate": 0.5, "power": 100.0}
        settings: dict[str, Any] = {"tenants": (tenant,), "facts": facts}
        async with tuning(Fake(), folder=tmp_path, **settings) as bench:
            made = await job(bench, key="t", gate=gate)
            while not any("limit of 1" in each for each in await events_of(bench, made, "t")):
                await asyncio.sleep(0.005)
            assert (await came_to(bench, made, "queued", key="t")).status == "queued"
            (row,) = [row for row in bench.house.rows if row.kind == "tune"]
            window = next(iter(bench.house.gateway.ledger._windows.values()))
            assert window.used == pytest.approx(row.seconds) and window.reserved == 0.0
            assert row.charged == pytest.approx(row.seconds / 4 * 0.5)
            assert row.energy == pytest.approx(row.seconds / 4 * 100.0)
            await bench.client("t").fine_tuning.jobs.cancel(made.id)

    run(check())


def test_a_model_that_shares_an_engine_gets_it_back(tmp_path: Path) -> None:
    """Requests to another model come to the engine through another policy, which knows nothing of
    the job."""

    async def check() -> None:
        one, other = Fake(models=("m", "n")), Fake(models=("n",))
        gate = tmp_path / "gate"
        async with tuning(one, other, folder=tmp_path, facts={"slots": 2}) as bench:
            made = await job(bench, steps=2, gate=str(gate))
            await said(bench, made, "learning from")
            held = asyncio.Event()
            other.script = talk(gate=held)
            asked = [
                asyncio.ensure_future(ask(bench.house, body=chat(f"{i}") | {"model": "n"}))
                for i in range(4)
            ]
            await until(lambda: any(each.done() for each in asked))
            assert one.got and not trains(tmp_path, made)
            held.set()
            assert {(await each).status for each in asked} == {200}
            await bench.client().fine_tuning.jobs.cancel(made.id)

    run(check())
