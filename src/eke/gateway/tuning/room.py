"""Engines that make room for a job on their chips, and take them back."""

from __future__ import annotations

import asyncio
import logging

from eke.gateway.engines.engine import Engine
from eke.gateway.engines.health import Look

log = logging.getLogger("eke.gateway")

LONG = 120.0  # that an engine may take to make room, or to take it back [s]
TRIES, PAUSE = 5, 1.0  # to wake an engine, and between [s]


async def make_room(engine: Engine) -> str:
    """Let an engine let go of its chips; what went wrong, "" for nothing."""
    return await _post(engine, engine.settings.sleep)


async def take_back(engine: Engine) -> None:
    """Let an engine have its chips again."""
    for _ in range(TRIES):
        trouble = await _post(engine, engine.settings.wake)
        if not trouble:
            return
        engine.trouble = f"it does not wake: {trouble}"
        log.error("engine %s does not wake: %s", engine.name, trouble)
        await asyncio.sleep(PAUSE)


async def _post(engine: Engine, path: str) -> str:
    """Post to a path of an engine's server; what went wrong."""
    if not path:
        return ""
    look = Look()
    try:
        async with asyncio.timeout(LONG):
            await engine.wire.order(look, path)
            status, _ = await look.answer()
    except (TimeoutError, OSError) as error:
        if look.exchange is not None:
            look.exchange.abort()
        return str(error) or f"nothing came for {LONG:g} s"
    return "" if 200 <= status < 300 else f"{path} answered {status}"
