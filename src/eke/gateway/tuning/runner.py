"""Runs fine-tuning jobs in one gateway."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from eke.errors import StateError
from eke.gateway.gateway import Gateway
from eke.gateway.state.state import State
from eke.gateway.state.works import Work
from eke.gateway.stewards import Stewards, owner_of
from eke.gateway.troubles import troubles
from eke.gateway.tuning.job import KIND, OPEN
from eke.gateway.tuning.tuner import Tuner

log = logging.getLogger("eke.gateway")


class Runner:
    """Claims jobs and sees them through; lets go of them when the gateway ends.

    look: time between looks at what other gateways did [s].  lease: for which claims are good [s].
    """

    look, lease = 1.0, 15.0

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._news = asyncio.Event()
        self._stewards: Stewards | None = None

    async def run(self) -> None:
        """Until it is cancelled; at once where the gateway keeps nothing."""
        gateway = self.gateway
        if gateway.state is None or gateway.keeper is None:
            return
        stewards = self._begun(gateway.state, owner_of(gateway.keeper.name))
        try:
            while True:
                with troubles("a look at fine-tuning jobs"):
                    try:
                        await stewards.see(taking=not gateway.closing)
                    except StateError as error:
                        log.error("fine-tuning jobs are not looked at: %s", error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.look):
                        await self._news.wait()
                self._news.clear()
        finally:
            await stewards.close()

    def wake(self) -> None:
        """A job is new, or was changed here."""
        self._news.set()
        if self._stewards is not None:
            self._stewards.wake()

    def _begun(self, state: State, owner: str) -> Stewards:
        def make(work: Work) -> Tuner:
            return Tuner(self.gateway, state, work, self.look)

        times = self.look, self.lease
        self._stewards = Stewards(state, self.gateway.clock, KIND, OPEN, owner, times, make)
        return self._stewards


def wake(gateway: Gateway) -> None:
    """A job of a gateway is new, or was changed."""
    gateway.one(Runner).wake()
