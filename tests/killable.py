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
from typing import Any

import msgspec

from eke.gateway import serving
from eke.gateway.api.batches import ROUTES as BATCHES
from eke.gateway.api.files import ROUTES as FILES
from eke.gateway.api.routes import Routes
from eke.gateway.batches import runner as runners
from eke.gateway.batches.runner import Runner
from eke.gateway.serving import Service
from eke.gateway.settings import Settings

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
    Runner.look, Runner.lease = QUICK, LEASE

    service = Service(settings, lambda words: None)
    task = asyncio.ensure_future(service.run())
    while not service.servers or not service.servers[0].started:
        await asyncio.sleep(0.001)
        if task.done():
            await task
    app: Any = service.servers[0].config.app
    app.rest = Routes((*serving.PUBLIC, *FILES, *BATCHES))
    host, port = service.address()
    print(f"http://{host}:{port}/v1", flush=True)
    if service.gateway not in runners._all:
        await Runner(service.gateway).run()
    await task


if __name__ == "__main__":
    asyncio.run(serve(msgspec.convert(json.loads(sys.argv[1]), Settings)))
