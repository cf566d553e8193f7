"""What a trainer says: bounded in the state and on disk, whatever it says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from tests.batching import Bench
from tests.gateways import Fake, asks, reply_of, run, told, until
from tests.tuning import came_to, events_of, job, said, tuning

from eke.gateway.tuning import folder as folders
from eke.gateway.tuning import saying, training
from eke.gateway.tuning.folder import Folder
from eke.gateway.tuning.trainer import Trainer, orphan, start

HOLES = pytest.mark.skipif(sys.platform != "linux", reason="files have no holes here")


def test_a_trainer_that_says_much_is_heard_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saying, "MOST", 20)

    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path) as bench:
            made = await job(bench, steps=200, every=20)
            done = await came_to(bench, made)
            api = bench.client().fine_tuning.jobs
            found = [each async for each in api.checkpoints.list(made.id, limit=100)]
            assert [each.step_number for each in found] == list(range(200, 0, -20))
            events = await events_of(bench, made)
            assert events[-2:] == [
                "The tuned model is there.",
                "The job has successfully completed.",
            ]
            steps = [each for each in events if each.startswith("Step ")]
            assert 20 < len(steps) < 100
            text = (await bench.client().files.content(done.result_files[0])).text
            kept = [int(line.partition(",")[0]) for line in text.splitlines()[1:]]
            assert len(kept) == len(steps) and kept[:10] == list(range(1, 11)) and kept[-1] > 180

    run(check())


@HOLES
def test_a_log_gives_its_begin_back_under_whoever_writes_and_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "LOG", 1 << 16)
    folder, read = Folder(str(tmp_path), "job"), 0
    folder.make()
    with folder.out.open("ab", buffering=0) as out, folder.errors.open("ab", buffering=0) as errors:
        for turn in range(40):
            line = b"%07d\n" % turn * 1024
            out.write(line)
            errors.write(line)
            assert folder.said(read) == line
            read += len(line)
            folder.thin(read)
            assert on_disk(folder.out) <= 1 << 17 and on_disk(folder.errors) <= 1 << 17
        out.write(b"not read yet\n" * 10_000)
        folder.thin(read)
    assert folder.said(read) == b"not read yet\n" * 10_000
    assert folder.last_words(0).endswith("0000039\n0000039")
    folder.forget()
    assert folder.out.read_bytes() == (b"not read yet\n" * 10_000)[-(1 << 16) :]
    assert folder.errors.stat().st_size == 1 << 16


@HOLES
def test_a_trainer_that_says_much_does_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "LOG", 4096)

    async def check() -> None:
        gate = tmp_path / "gate"
        async with tuning(Fake(), folder=tmp_path) as bench:
            made = await job(bench, steps=400, free=300, gate=str(gate))
            await said(bench, made, "Step 300/400")
            log = Folder(str(tmp_path / "jobs"), made.id).out
            await until(lambda: on_disk(log) <= 8192)
            assert log.stat().st_size > 16384
            gate.touch()
            done = await came_to(bench, made)
            assert done.status == "succeeded" and done.trained_tokens == 40_000
            await until(lambda: log.stat().st_size <= 4096)
            assert b"model" in log.read_bytes()

    run(check())


def test_what_trainers_said_goes_with_the_texts_of_the_tenant(tmp_path: Path) -> None:
    async def check() -> None:
        admin = {"admin": 0, "admin_key": "secret"}
        async with tuning(Fake(), folder=tmp_path, **admin) as bench:
            over = await came_to(bench, await job(bench, steps=1))
            under_way = await job(bench, gate=str(tmp_path / "never"))
            await said(bench, under_way, "learning from")
            first, second = (Folder(str(tmp_path / "jobs"), each.id) for each in (over, under_way))
            assert first.out.exists() and second.out.exists() and second.data.exists()
            assert await removed(bench) == {"tenant": "alice", "deleted": True}
            assert not first.out.exists() and (first.checkpoints / "model").exists()
            engine = bench.house.gateway.engines[0]
            await until(lambda: engine.holder is None and orphan(second) is None)
            assert not any(each.exists() for each in (second.out, second.errors, second.data))

    run(check())


def test_a_trainer_that_starts_while_its_texts_are_deleted_leaves_no_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        admin = {"admin": 0, "admin_key": "secret"}
        async with tuning(Fake(), folder=tmp_path, **admin) as bench:
            logs: list[Path] = []

            async def late(folder: Folder, *rest: Any) -> Trainer:
                await removed(bench)
                trainer = await start(folder, *rest)
                logs.extend(each for each in (folder.out, folder.errors) if each.exists())
                return trainer

            monkeypatch.setattr(training, "start", late)
            await job(bench, gate=str(tmp_path / "never"))
            await until(lambda: len(logs) == 2 and not any(each.exists() for each in logs))

    run(check())


async def removed(bench: Bench) -> Any:
    """What the administration answers that deletes the texts of a tenant."""
    asked = asks("/admin/tenants/alice/texts", None, "secret").replace(b"GET", b"DELETE", 1)
    return reply_of(await told(bench.house.service.address(1), asked)).json()


def on_disk(path: Path) -> int:
    """Bytes that a file takes there."""
    return path.stat().st_blocks * 512
