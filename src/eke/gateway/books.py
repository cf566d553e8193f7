"""What is stored and told again and again while a gateway is at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from eke.errors import StateError
from eke.gateway.gateway import Gateway
from eke.gateway.keeping import Keeper
from eke.gateway.reloading import newest
from eke.gateway.troubles import troubles

SETTLE = 0.5  # between tellings of what was used [s]
BEAT = 2  # of those to a sign of life
SAMPLE = 10  # and to a look at how engines stand
SWEEP = 120  # and to a look for what may be deleted


class Books:
    """Of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._busy = asyncio.Lock()

    async def run(self) -> None:
        """Keep them until cancelled."""
        beats = 0
        while True:
            await asyncio.sleep(SETTLE)
            with troubles("keeping the books"):
                self.gateway.ledger.tell(self.gateway.clock.wall())
            if self.gateway.keeper is not None:
                async with self._busy:
                    await self._keep(self.gateway.keeper, beats)
            beats += 1

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """While nothing is being stored; what is, is not broken off, so that it is stored once."""
        async with self._busy:
            yield

    async def leave(self) -> None:
        """Store what is left, and close the state."""
        self.gateway.ledger.tell(self.gateway.clock.wall())
        if self.gateway.keeper is not None:
            with troubles("the last of the books"):
                await self.gateway.keeper.leave()
            await self.gateway.keeper.state.close()

    async def _keep(self, keeper: Keeper, beats: int) -> None:
        """Store what is over; now and then say that we are there, and clear up. What fails keeps
        nothing else from being done."""
        with troubles("storing what is over"):
            await keeper.flush()
        if beats % BEAT == 0:
            with troubles("a sign of life"):
                await self._beat(keeper)
            with troubles("tenants and keys"):
                await self._refresh()
            with troubles("wiping what was deleted"):
                await keeper.state.scrub()
        if beats % SAMPLE == 0:
            with troubles("a sample of engines"):
                await keeper.sample(newest(self.gateway.engines.values()), self.gateway.queued())
        if beats % SWEEP == 0:
            with troubles("deleting what was kept long enough"):
                await keeper.sweep()

    async def _beat(self, keeper: Keeper) -> None:
        """Say that we are there, and divide engines with the others."""
        gateway, presence = self.gateway, self.gateway.presence()
        known = gateway.tenants.by_name.values()
        await keeper.beat(presence, [tenant.name for tenant in known if tenant.limits])
        for engine in gateway.engines.values():
            if keeper.share(engine, presence.wanting.get(engine.settings.url, 0)):
                gateway.report(engine)

    async def _refresh(self) -> None:
        """Take over tenants and keys that another gateway's administration changed, and tell which
        were used."""
        membership = self.gateway.membership
        if membership is not None:
            with suppress(StateError):
                await membership.refresh()
            with suppress(StateError):
                await membership.used()
