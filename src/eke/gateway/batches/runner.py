"""Runs batches in one gateway, however many others do."""

from __future__ import annotations

import asyncio
import logging
from asyncio import Task
from contextlib import suppress
from weakref import WeakKeyDictionary

from eke.errors import StateError
from eke.gateway.batches.batch import KIND, OPEN, RUNNING
from eke.gateway.batches.lines import Lines
from eke.gateway.batches.steward import Steward
from eke.gateway.gateway import Gateway
from eke.gateway.state import standing, works
from eke.gateway.state.works import Claim

log = logging.getLogger("eke.gateway")

BATCHES = 64  # that one gateway sees through at a time


class Runner:
    """Claims batches and lines of batches, and lets go of them when the gateway ends.

    look: time between looks at what other gateways did [s].  lease: for which claims are good [s].
    """

    look, lease = 1.0, 15.0

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._stewards: dict[str, tuple[Steward, Task[None]]] = {}
        self._lines: Lines | None = None
        self._due = 0.0
        self._quiet: set[str] = set()  # batches with nothing under way, that were told of it
        _all[gateway] = self

    async def run(self) -> None:
        """Until it is cancelled; at once where the gateway keeps nothing."""
        gateway = self.gateway
        if gateway.state is None or gateway.keeper is None:
            return
        owner = f"{gateway.keeper.name}/batches"
        lines = self._lines = Lines(gateway, gateway.state, owner, self.lease)
        try:
            while True:
                try:
                    await self._round(lines)
                except StateError as error:
                    log.error("batches are not looked at: %s", error)
                    self._due = gateway.clock.now() + self.look
                await self._wait(lines)
        finally:
            await self._close(lines)

    def wake(self) -> None:
        """A batch is new, or was changed here."""
        if self._lines is not None:
            self._lines.stale = True
            self._lines.news.set()
        for steward, _ in self._stewards.values():
            steward.news.set()

    async def _wait(self, lines: Lines) -> None:
        """Until a line ends, a batch comes, or it is time to look again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(self._due - self.gateway.clock.now(), 0.0)):
                await lines.news.wait()
        lines.news.clear()

    async def _round(self, lines: Lines) -> None:
        if self.gateway.closing:
            lines.withdraw()
        now = self.gateway.clock.now()
        if now >= self._due or lines.stale:
            self._due, lines.stale = now + self.look, False
            await self._see(lines)
        if not self.gateway.closing:
            await lines.fill()
        quiet = {id for id in self._stewards if lines.quiet(id)}
        for id in quiet - self._quiet:
            self._stewards[id][0].news.set()
        self._quiet = quiet

    async def _see(self, lines: Lines) -> None:
        """Hold what is ours, take what nobody has. Raises StateError."""
        state, wall = lines.state, self.gateway.clock.wall()
        held: set[str] = set()
        if self._stewards or any(batch.lines for batch in lines.active.values()):
            held = await state.write(works.extend, lines.owner, wall + self.lease)
        for id, (_, task) in self._stewards.items():
            if id not in held:
                task.cancel()
        lines.see(await state.read(standing.open_ones, KIND, (RUNNING,)), held)
        await state.write(standing.free, KIND, wall)
        await state.write(standing.revive, KIND, OPEN, wall)
        await self._take(lines, wall)

    async def _take(self, lines: Lines, wall: float) -> None:
        room = BATCHES - len(self._stewards)
        if self.gateway.closing or room <= 0:
            return
        until = wall + self.lease
        wanted = Claim(owner=lines.owner, kinds=(KIND,), most=room, now=wall, until=until)
        for work in await lines.state.write(works.claim, wanted):
            steward = Steward(lines, work, self.look)
            task = asyncio.get_running_loop().create_task(self._attend(steward))
            self._stewards[work.id] = steward, task

    async def _attend(self, steward: Steward) -> None:
        """See a batch through, however often the state does not answer."""
        try:
            while True:
                try:
                    await steward.attend()
                    return
                except StateError as error:
                    log.error("a batch is not seen through yet: %s", error)
                await asyncio.sleep(self.look)
        except Exception:
            log.exception("a batch failed inside the gateway")
            later = self.gateway.clock.wall() + self.lease
            await steward.state.write(works.release, steward.work, later, True)
        finally:
            self._stewards.pop(steward.work.id, None)
            self.wake()

    async def _close(self, lines: Lines) -> None:
        await lines.close()
        stewards, wall = list(self._stewards.values()), self.gateway.clock.wall()
        for _, task in stewards:
            task.cancel()
        await asyncio.gather(*[task for _, task in stewards], return_exceptions=True)
        with suppress(StateError):
            for steward, _ in stewards:
                await lines.state.write(works.release, steward.work, wall, False)


_all: WeakKeyDictionary[Gateway, Runner] = WeakKeyDictionary()


def wake(gateway: Gateway) -> None:
    """A batch of a gateway is new, or was changed."""
    runner = _all.get(gateway)
    if runner is not None:
        runner.wake()
