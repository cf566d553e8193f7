"""Fine-tuning jobs that come to nothing, and are told why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openai import APIStatusError, BadRequestError, NotFoundError
from tests.batching import jsonl
from tests.gateways import Fake, Got, Line, ask, chat, http, run, until
from tests.tuning import EXAMPLE, came_to, events_of, job, said, tuning

from eke.gateway.engines.engine import Engine
from eke.gateway.stewards import Stewards
from eke.gateway.tuning import training, tuner
from eke.gateway.tuning.job import KIND
from eke.gateway.tuning.runner import Runner


def test_a_trainer_that_fails_says_why(tmp_path: Path) -> None:
    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path) as bench:
            done = await came_to(bench, await job(bench, fail=1))
            assert done.status == "failed" and done.error.code == "trainer_failed"
            assert "ended with 1. out of memory, or of patience" in done.error.message
            assert done.fine_tuned_model is None
            row = bench.house.rows[-1]  # which holds nothing that a trainer says
            assert (row.outcome, row.reason) == ("failed", "the trainer ended with 1")
            assert (await ask(bench.house, body=chat())).status == 200

    run(check())


def test_a_trainer_that_is_not_there_fails_the_job(tmp_path: Path) -> None:
    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path, trainer="/no/such/trainer --fast") as bench:
            done = await came_to(bench, await job(bench))
            assert done.status == "failed" and "cannot be started: No such" in done.error.message

    run(check())


@pytest.mark.parametrize(
    ("lines", "method", "words"),
    [
        ([EXAMPLE, {"messages": []}], "supervised", None),
        ([EXAMPLE], "dpo", "line 1: 'dpo' learns from"),
    ],
)
def test_files_that_do_not_fit_fail_the_job(
    lines: list[Any], method: str, words: str | None, tmp_path: Path
) -> None:
    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path) as bench:
            client = bench.client()
            if words is None:
                with pytest.raises(BadRequestError, match="line 2"):
                    await job(bench, lines=lines)
                return
            file = await client.files.create(file=("t", jsonl(lines)), purpose="fine-tune")
            made = await client.fine_tuning.jobs.create(
                model="m",
                training_file=file.id,
                method={"type": method},  # type: ignore[typeddict-item]
            )
            done = await came_to(bench, made)
            assert done.status == "failed" and words in done.error.message
            assert (done.error.code, done.error.param) == ("invalid_training_file", "training_file")

    run(check())


def test_jobs_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path) as bench:
            api, files = bench.client().fine_tuning.jobs, bench.client().files
            good = await files.create(file=("t", jsonl([EXAMPLE])), purpose="fine-tune")
            other = await files.create(file=("t", b"x"), purpose="evals")
            with pytest.raises(NotFoundError, match="does not exist"):
                await api.create(model="nobody", training_file=good.id)
            with pytest.raises(NotFoundError, match="No such File") as missing:
                await api.create(model="m", training_file="file-none")
            assert missing.value.param == "training_file"
            with pytest.raises(NotFoundError, match="No such File") as missing:
                await api.create(model="m", training_file=good.id, validation_file="file-none")
            assert missing.value.param == "validation_file"
            for fields in (
                {"training_file": other.id},
                {"training_file": good.id, "validation_file": other.id},
                {"training_file": good.id, "suffix": "x" * 65},
                {"training_file": good.id, "suffix": "a\0b"},
                {"training_file": good.id, "metadata": {"k": "v" * 600}},
                {"training_file": good.id, "method": {"type": "magic"}},
            ):
                with pytest.raises(BadRequestError):
                    await api.create(model="m", **fields)  # type: ignore[arg-type]
            assert [each async for each in api.list()] == []
        async with tuning(Fake(), folder=tmp_path, trainer="") as bench:
            with pytest.raises(APIStatusError) as caught:
                await job(bench)
            assert caught.value.status_code == 501 and "trainer" in caught.value.message

    run(check())


async def _quiet(got: Got, to: Line) -> None:
    """An engine that sleeps and wakes."""
    await to.send(http(200, b""))


@pytest.mark.parametrize(
    ("trainer", "words"),
    [("bash 'never closed", "cannot be started: No closing"), ("a\0b", "null byte")],
)
def test_a_trainer_that_no_process_can_be_fails_the_job(
    trainer: str, words: str, tmp_path: Path
) -> None:
    async def check() -> None:
        facts = {"sleep": "/sleep", "wake": "/wake_up"}
        fake = Fake(_quiet)
        async with tuning(fake, folder=tmp_path, trainer=trainer, facts=facts) as bench:
            done = await came_to(bench, await job(bench))
            assert done.status == "failed" and words in done.error.message
        assert [got.path for got in fake.got] == ["/sleep", "/wake_up"]

    run(check())


def test_what_an_engine_says_that_makes_no_room_is_in_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_room(engine: Engine) -> str:
        return "words of an engine"

    monkeypatch.setattr(training, "make_room", no_room)

    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path) as bench:
            made = await job(bench)
            await said(bench, made, "the engine makes no room: words of an engine")
            await until(lambda: bench.house.rows)
            row = bench.house.rows[-1]
            assert (row.outcome, row.reason) == ("stopped", "no room on the engine")

    run(check())


def test_a_job_whose_files_cannot_be_had_leaves_its_engine_awake(tmp_path: Path) -> None:
    async def check() -> None:
        (tmp_path / "jobs").write_text("no folder")
        fake, facts = Fake(_quiet), {"sleep": "/sleep", "wake": "/wake_up"}
        async with tuning(fake, folder=tmp_path, facts=facts) as bench:
            done = await came_to(bench, await job(bench))
            assert done.status == "failed" and "no folder for its files" in done.error.message
        assert "/sleep" not in [got.path for got in fake.got]

    run(check())


def test_a_job_over_which_the_gateway_fails_again_and_again_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise LookupError("a mistake in the gateway")

    monkeypatch.setattr(training, "start", broken)
    monkeypatch.setattr(tuner, "TRIES", 2)
    monkeypatch.setattr(Runner, "lease", 0.4)

    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path) as bench:
            made = await job(bench)
            done = await came_to(bench, made)
            assert (done.status, done.error.code) == ("failed", "server_error")
            assert "failed over this job 2 times" in done.error.message
            tried = [each for each in await events_of(bench, made) if each.startswith("Training")]
            assert len(tried) == 2
            assert (await ask(bench.house, body=chat())).status == 200

    run(check())


def test_a_look_at_jobs_that_fails_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    see, mistakes = Stewards.see, [RuntimeError("of a mistake in the gateway")]

    async def sometimes(self: Stewards, taking: bool) -> set[str]:
        if self.kind == KIND and mistakes:
            raise mistakes.pop()
        return await see(self, taking)

    monkeypatch.setattr(Stewards, "see", sometimes)

    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path) as bench:
            done = await came_to(bench, await job(bench))
            assert done.status == "succeeded" and not mistakes

    run(check())


def test_a_policy_without_jobs_says_so(tmp_path: Path) -> None:
    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path, policy="direct") as bench:
            made = await job(bench)
            await said(bench, made, "no whole replica is given away")
            assert (await came_to(bench, made, "queued")).status == "queued"

    run(check())
