"""Runs batches in one gateway, however many others do."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from eke.errors import StateError
from eke.gateway.batches.batch import KIND, OPEN, RUNNING
from eke.gateway.batches.lines import Lines
from eke.gateway.batches.steward import Steward
from eke.gateway.gateway import Gateway
from eke.gateway.state import standing
from eke.gateway.state.state import State
from eke.gateway.state.works import Work
from eke.gateway.stewards import Stewards, owner_of

log = logging.getLogger("eke.gateway")


class Runner:
    """Claims batches and lines of batches, and lets go of them when the gateway ends.

    look: time between looks at what other gateways did [s].  lease: for which claims are good [s].
    """

    look, lease = 1.0, 15.0

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._lines: Lines | None = None
        self._due = 0.0
        self._quiet: set[str] = set()  # batches with nothing under way, that were told of it

    async def run(self) -> None:
        """Until it is cancelled; at once where the gateway keeps nothing."""
        gateway = self.gateway
        if gateway.state is None or gateway.keeper is None:
            return
        owner = owner_of(gateway.keeper.name)
        lines = self._lines = Lines(gateway, gateway.state, owner, self.lease)
        stewards = self._stewards(gateway.state, lines)
        try:
            while True:
                try:
                    await self._round(lines, stewards)
                except StateError as error:
                    log.error("batches are not looked at: %s", error)
                    self._due = gateway.clock.now() + self.look
                except Exception:
                    log.exception("a look at batches failed")
                    self._due = gateway.clock.now() + self.look
                await self._wait(lines)
        finally:
            await lines.close()
            await stewards.close()

    def wake(self) -> None:
        """A batch is new, or was changed here."""
        if self._lines is not None:
            self._lines.stale = True
            self._lines.news.set()

    def _stewards(self, state: State, lines: Lines) -> Stewards:
        def make(work: Work) -> Steward:
            return Steward(lines, work, self.look)

        times = self.look, self.lease
        return Stewards(state, self.gateway.clock, KIND, OPEN, lines.owner, times, make)

    async def _wait(self, lines: Lines) -> None:
        """Until a line ends, a batch comes, or it is time to look again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(self._due - self.gateway.clock.now(), 0.0)):
                await lines.news.wait()
        lines.news.clear()

    async def _round(self, lines: Lines, stewards: Stewards) -> None:
        closing, now = self.gateway.closing, self.gateway.clock.now()
        if closing:
            lines.withdraw()
        if now >= self._due or lines.stale:
            self._due, lines.stale = now + self.look, False
            held = await stewards.see(taking=not closing)
            running = await lines.state.read(standing.open_ones, KIND, (RUNNING,))
            lines.see(running, held)
            stewards.wake(but={each.id for each in running})
        if not closing:
            await lines.fill()
        quiet = {id for id in stewards.tasks if lines.quiet(id)}
        for id in quiet - self._quiet:
            stewards.tasks[id][0].news.set()
        self._quiet = quiet


def wake(gateway: Gateway) -> None:
    """A batch of a gateway is new, or was changed."""
    gateway.one(Runner).wake()
