"""Looks at engines, again and again, and what policies are told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from eke.gateway.engines.engine import Engine
from eke.gateway.engines.health import look
from eke.gateway.gateway import Gateway
from eke.gateway.troubles import troubles

OFTEN = 1.0  # between looks at an engine [s]
SOON = 0.2  # between looks at one that is not there yet, while the gateway starts [s]
MISSED = 3.0  # after which an engine that was never there is told [s]

Say = Callable[[str], None]
Begin = Callable[[Coroutine[Any, Any, None]], Any]


class Looks:
    """At all engines of a gateway. say: tells whoever started it.  begin: starts a task."""

    def __init__(self, gateway: Gateway, say: Say, begin: Begin) -> None:
        self.gateway, self.say, self._begin = gateway, say, begin

    def at(self, engine: Engine) -> None:
        """Look at an engine for as long as it is one of the gateway's."""
        self._begin(self._looking(engine))

    async def _looking(self, engine: Engine) -> None:
        gateway = self.gateway
        begun, missed = gateway.clock.now(), False
        while not (engine.draining and engine.running == 0):
            with troubles(f"a look at engine {engine.name}"):
                await self._look(engine)
                gateway.orphaned(gateway.settings.patience.alone)
            if not (engine.ready or missed) and gateway.clock.now() - begun > MISSED:
                self.say(f"engine {engine.name} is not there yet: {engine.trouble}")
                missed = True
            await asyncio.sleep(OFTEN if engine.ready else SOON)
        gateway.remove_engine(engine)

    async def _look(self, engine: Engine) -> None:
        """Look at an engine once, and tell the policies."""
        gateway, breaker = self.gateway, engine.breaker
        now = gateway.clock.now()
        if not breaker.closed and now < breaker.until:
            return
        known = dict(engine.models)
        healthy = await look(engine, now)
        now = gateway.clock.now()
        if healthy:
            if not engine.ready:
                self.say(f"engine {engine.name} serves {', '.join(engine.models)}")
            engine.ready = True
        if engine.ready and breaker.looked(healthy, now):
            words = "is back" if healthy else f"is not there: {engine.trouble}"
            self.say(f"engine {engine.name} {words}")
        if engine.models != known or not all(name in gateway.desks for name in engine.models):
            gateway.found_models()
        if engine.metered:
            engine.capacity.told(engine.inside, engine.level, gateway.presses(engine), now)
        else:
            engine.capacity.unseen()
        gateway.report(engine)
