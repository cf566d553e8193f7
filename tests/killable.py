"""A gateway in a process of its own, that tests may kill at any moment.

python -m tests.killable SETTINGS     the settings of a gateway, as JSON
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from eke.gateway.batches.runner import Runner as Batches
from eke.gateway.serving import Service
from eke.gateway.settings import Settings
from eke.gateway.tuning import training
from eke.gateway.tuning.runner import Runner as Jobs

QUICK, LEASE = 0.02, 0.4  # between looks, and that claims are good for [s]


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[tuple[str, int]]:
    """A gateway that was just started: its URL, and its process. Killed at the end, if it is still
    there."""
    text = msgspec.json.encode(settings).decode()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.killable", text), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        yield url, process.pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


async def serve(settings: Settings) -> None:
    """Serve until killed."""
    for runner in (Batches, Jobs):
        runner.look, runner.lease = QUICK, LEASE
    training.POLL = training.LOOK = QUICK

    def say(words: str) -> None:
        if words.startswith("ready"):
            print(words.split()[2].rstrip(","), flush=True)

    await Service(settings, say).run()


if __name__ == "__main__":
    asyncio.run(serve(msgspec.convert(json.loads(sys.argv[1]), Settings)))
