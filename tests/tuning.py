"""Gateways that run fine-tuning jobs, for tests, with a trainer that only counts."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from eke.gateway.tuning import training
from eke.gateway.tuning.folder import Folder
from eke.gateway.tuning.runner import Runner
from eke.gateway.tuning.trainer import orphan
from tests.batching import QUICK, Bench, batching, jsonl
from tests.gateways import Fake

TRAINER = f"{sys.executable} {Path(__file__).parent / 'data' / 'tuning' / 'trainer.py'}"
EXAMPLE = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
POLICY = "classes+backfill(quiet=50ms)"
ENDED = ("succeeded", "failed", "cancelled")


def settings_of(folder: Path, **more: Any) -> dict[str, Any]:
    """Settings of a gateway with a trainer, whose state and jobs lie in a folder."""
    where = {"state": str(folder / "s.db"), "jobs": str(folder / "jobs")}
    return {"trainer": TRAINER, "policy": POLICY, **where, **more}


@asynccontextmanager
async def tuning(*fakes: Fake, folder: Path, **more: Any) -> AsyncIterator[Bench]:
    """A gateway that runs jobs before some engines."""
    before = Runner.look, training.POLL, training.LOOK
    Runner.look, training.POLL, training.LOOK = QUICK, QUICK, QUICK
    try:
        async with batching(*fakes, **settings_of(folder, **more)) as bench:
            yield bench
    finally:
        Runner.look, training.POLL, training.LOOK = before


async def job(bench: Bench, key: str = "alice", lines: Any = None, **hyper: Any) -> Any:
    """A job that was just made. hyper: what the trainer is to do."""
    client = bench.client(key)
    lines = [EXAMPLE] * 3 if lines is None else lines
    file = await client.files.create(file=("t.jsonl", jsonl(lines)), purpose="fine-tune")
    method: Any = {"type": "supervised", "supervised": {"hyperparameters": hyper}}
    return await client.fine_tuning.jobs.create(
        model="m", training_file=file.id, method=method, suffix="my-model", seed=7
    )


async def came_to(bench: Bench, made: Any, *statuses: str, key: str = "alice") -> Any:
    """The job when it has come to one of some statuses, or to its end."""
    while made.status not in (*ENDED, *statuses):
        await asyncio.sleep(0.005)
        made = await bench.client(key).fine_tuning.jobs.retrieve(made.id)
    return made


async def events_of(bench: Bench, made: Any, key: str = "alice") -> list[str]:
    """What was told of a job, oldest first."""
    events = bench.client(key).fine_tuning.jobs.list_events(made.id, limit=100)
    return [each.message async for each in events][::-1]


async def said(bench: Bench, made: Any, words: str) -> None:
    """Wait until something was told."""
    while not any(words in each for each in await events_of(bench, made)):
        await asyncio.sleep(0.005)


def logged(folder: Path, made: Any) -> list[Any]:
    """What a trainer wrote, as far as it is JSON."""
    text = (folder / "jobs" / made.id / "out.log").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def steps_of(folder: Path, made: Any) -> list[int]:
    """The steps that its trainer took, in order."""
    return [each["step"] for each in logged(folder, made) if "loss" in each]


def trains(folder: Path, made: Any) -> bool:
    """Whether a trainer of a job is there."""
    return orphan(Folder(str(folder / "jobs"), made.id)) is not None
