"""Looks at engines: whether they are there, what they serve, and how full they are."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from eke.gateway.engines.engine import Engine
from eke.gateway.engines.prometheus import parsed
from eke.gateway.engines.wire import Headers, Wire

TIMEOUT = 5.0  # of a look [s]
LARGEST = 8 << 20  # bytes of an answer


class Look:
    """A short answer, collected."""

    def __init__(self) -> None:
        self.exchange: Any = None
        self.status = 0
        self.body = b""
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_head(self, status: int, headers: Headers) -> None:
        self.status = status

    def on_piece(self, data: bytes) -> None:
        self.body += data
        if len(self.body) > LARGEST:
            self.exchange.abort()
            self.on_broken("too long an answer")

    def on_end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def on_broken(self, reason: str) -> None:
        self.status, self.body = 0, reason.encode()
        self.on_end()

    async def answer(self) -> tuple[int, bytes]:
        """Status and body; 0 and why where nothing came."""
        await self._over
        return self.status, self.body


async def get(wire: Wire, path: str, seconds: float = TIMEOUT) -> tuple[int, bytes]:
    """Ask an engine for a path from the root of its server; status 0, and why, where nothing
    came."""
    look = Look()
    try:
        async with asyncio.timeout(seconds):
            await wire.get(look, path)
            return await look.answer()
    except (TimeoutError, OSError) as error:
        if look.exchange is not None:
            look.exchange.abort()
        return 0, (str(error) or f"nothing came for {seconds:g} s").encode()


class Served(msgspec.Struct):
    """One model of an engine's list."""

    id: str
    max_model_len: int | None = None


class List(msgspec.Struct):
    """An engine's list of models."""

    data: list[Served] = []


async def look(engine: Engine, now: float) -> bool:
    """Look at an engine's models and metrics; whether it is there."""
    status, body = await get(engine.wire, engine.wire.root + "/models")
    healthy = status == 200 or (0 < status < 500 and engine.settings.models is not None)
    if not healthy:
        words = f"no answer: {body.decode()}"
        engine.trouble = words if status == 0 else f"/models answered {status}"
        return False
    _learn(engine, body if status == 200 else b"")
    await _measure(engine)
    if not engine.models:
        engine.trouble = engine.trouble or "/models lists none"
    return bool(engine.models)


def _learn(engine: Engine, body: bytes) -> None:
    """What it serves, and how long a context."""
    try:
        served = msgspec.json.decode(body, type=List).data if body else []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        engine.trouble = "/models is not a list of models"
        served = []
    if engine.settings.models is None and served:
        engine.models = {each.id: each.id for each in served}
    there = set(engine.models.values())
    lengths = [each.max_model_len for each in served if each.id in there and each.max_model_len]
    if lengths:
        engine.longest = min(lengths)


async def _measure(engine: Engine) -> None:
    """How full it is, where it says so."""
    path = engine.settings.metrics
    if path == "" or engine.silent:
        return
    status, body = await get(engine.wire, path or "/metrics")
    if status != 200:
        engine.silent = path is None and status in (404, 405)
        return
    found = parsed(body.decode("utf-8", "replace"))
    engine.metered, engine.inside = found.waiting is not None, found.waiting or 0
    if found.room and engine.settings.room is None:
        engine.room = found.room
    if found.used is not None:
        engine.used = found.used
        engine.held = int(found.used * engine.room) if found.room else 0
