"""The stand-in as a process of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eke.errors import BadInput
from eke.gateway.sockets import BACKLOG, bound, where
from eke.standin.manner import Manner
from eke.types.record import Record

LOOK = 0.5  # between two looks at whether the parent lives [s]
PATIENCE = 1  # for answers under way, once it is to end [s]


class Settings(Record):
    """What to start. model, chips: as `eke.standin.speed.speed` takes them.  manner: how it
    behaves.  port: 0 takes a free one.  parent: process without which it ends; None outlives all.
    """

    model: str
    chips: str
    manner: Manner = Manner()
    host: str = "127.0.0.1"
    port: int = 8000
    parent: int | None = None


def main(settings: Settings) -> None:
    """Serve until told to end. Raises EkeError for what makes no sense or does not fit."""
    os.environ.setdefault("EKE_PLAIN", "1")  # nothing is simulated: spare the compiler's start
    from eke.standin.app import StandIn
    from eke.standin.speed import speed, words

    found = speed(settings.model, settings.chips)
    print(f"stand-in for {words(found)}", file=sys.stderr)
    app = StandIn(found, settings.manner)
    serve(app, settings.host, settings.port, parent=settings.parent, name=found.model)


def serve(app: Any, host: str, port: int, *, parent: int | None = None, name: str = "app") -> None:
    """Serve an ASGI application until SIGINT or SIGTERM, or until the parent has gone.

    Says on stderr where it is ready. Raises BadInput where the port cannot be had, or the extra
    `gateway` is not installed.
    """
    try:
        import uvicorn
    except ImportError:
        raise BadInput("serving needs uvicorn; pip install 'eke[gateway]'.") from None
    here = bound(host, port)
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        access_log=False,
        log_level="warning",
        backlog=BACKLOG,
        timeout_graceful_shutdown=PATIENCE,
        server_header=False,
    )
    logging.getLogger("uvicorn.error").addFilter(_not_meant)
    ready = f"{name} ready on {where(host, here.getsockname()[1])}"
    _Server(uvicorn.Server(config), ready, parent).run(here)


class _Server:
    """A server of uvicorn's with our own ways to begin and to end."""

    def __init__(self, server: Any, ready: str, parent: int | None) -> None:
        self.server, self.ready, self.parent = server, ready, parent
        server.capture_signals = self._signals  # its own would kill the process once it has ended

    def run(self, here: socket.socket) -> None:
        """Until it is told to end."""
        factory = self.server.config.get_loop_factory()
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(self._run(here))

    async def _run(self, here: socket.socket) -> None:
        watching = asyncio.ensure_future(self._watch())
        await self.server.serve(sockets=[here])
        watching.cancel()

    async def _watch(self) -> None:
        """Say when it is ready; end with the parent."""
        while not self.server.started:
            await asyncio.sleep(0.005)
        print(self.ready, file=sys.stderr, flush=True)
        while self.parent is not None:
            if os.getppid() != self.parent:
                self.server.should_exit = True
                return
            await asyncio.sleep(LOOK)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals end the server, and nothing else."""
        before = {
            number: signal.signal(number, self.server.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _not_meant(record: logging.LogRecord) -> bool:
    """Whether an error is one: connections that are cut on purpose, or by the end, are none."""
    from eke.standin.faults import Cut

    meant = (Cut, asyncio.CancelledError)
    return not (record.exc_info and isinstance(record.exc_info[1], meant))
