"""Things that take long and outlive gateways: each is seen through by one gateway at a time."""

from __future__ import annotations

import asyncio
import logging
import os
from asyncio import Task
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Protocol

from eke.errors import StateError
from eke.gateway.clock import Clock
from eke.gateway.state import standing, works
from eke.gateway.state.state import State
from eke.gateway.state.works import Claim, Work

log = logging.getLogger("eke.gateway")

SPACE = "/proc/self/ns/pid"  # names the processes among which a number means one
MOST = 1000  # that one gateway sees through at a time


class Steward(Protocol):
    """Sees one thing through. work: of it, claimed here.  news: something happened to it."""

    work: Work
    news: asyncio.Event

    async def attend(self) -> None:
        """Do what is to be done until it is over, and finish the work. Raises StateError."""
        ...


class Stewards:
    """Those of one gateway, for things of one kind.

    statuses: in which they are not over.  owner: of the claims.  look: between looks, and
    lease: for which claims are good [s].  make: a steward for a work that was taken.
    """

    def __init__(
        self,
        state: State,
        clock: Clock,
        kind: str,
        statuses: Sequence[str],
        owner: str,
        times: tuple[float, float],
        make: Callable[[Work], Steward],
    ) -> None:
        self.state, self.clock, self.kind, self.statuses = state, clock, kind, statuses
        self.owner, self.make = owner, make
        self.look, self.lease = times
        self._first = True
        self.tasks: dict[str, tuple[Steward, Task[None]]] = {}

    def wake(self, but: Collection[str] = ()) -> None:
        """Something happened, nobody says to which, but to none of some."""
        for id, (steward, _) in self.tasks.items():
            if id not in but:
                steward.news.set()

    async def see(self, taking: bool) -> set[str]:
        """Hold what is ours; let go of what others have by now. Which works are ours.

        taking: whether what nobody has is taken.  Raises StateError.
        """
        wall = self.clock.wall()
        if self._first:
            for owner in await self.state.read(standing.owners, self.kind):
                if gone(owner):
                    await self.state.write(standing.disown, self.kind, owner)
            self._first = False
        held = await self.state.write(works.extend, self.owner, wall + self.lease)
        for id, (_, task) in self.tasks.items():
            if id not in held:
                task.cancel()
        await self.state.write(standing.free, self.kind, wall)
        await self.state.write(standing.revive, self.kind, self.statuses, wall)
        if taking and len(self.tasks) < MOST:
            await self._take(wall)
        return held

    async def close(self) -> None:
        """End, and give back what was claimed."""
        there, wall = list(self.tasks.values()), self.clock.wall()
        for _, task in there:
            task.cancel()
        await asyncio.gather(*[task for _, task in there], return_exceptions=True)
        with suppress(StateError):
            for steward, _ in there:
                await self.state.write(works.release, steward.work, wall, False)

    async def _take(self, wall: float) -> None:
        kinds, most = (self.kind,), MOST - len(self.tasks)
        until = wall + self.lease
        wanted = Claim(owner=self.owner, kinds=kinds, most=most, now=wall, until=until)
        for work in await self.state.write(works.claim, wanted):
            if work.id in self.tasks:  # of a claim that was lost, which ends in a moment
                await self.state.write(works.release, work, wall, False)
                continue
            steward = self.make(work)
            task = asyncio.get_running_loop().create_task(self._attend(steward))
            self.tasks[work.id] = steward, task

    async def _attend(self, steward: Steward) -> None:
        """See something through, however often the state does not answer."""
        try:
            while True:
                try:
                    await steward.attend()
                    return
                except StateError as error:
                    log.error("a %s is not seen through yet: %s", self.kind, error)
                await asyncio.sleep(self.look)
        except Exception:
            log.exception("a %s failed inside the gateway", self.kind)
            later = self.clock.wall() + self.lease
            with suppress(StateError):
                await self.state.write(works.release, steward.work, later, True)
        finally:
            self.tasks.pop(steward.work.id, None)


def owner_of(name: str) -> str:
    """The owner of claims of a gateway, by its name, from which others can tell that it is gone."""
    return f"{name}/{os.getpid()}/{_space()}/{os.urandom(4).hex()}"


def gone(owner: str) -> bool:
    """Whether the process that claimed something is surely over: it was one of those that we see,
    and it is not there."""
    _, _, rest = owner.partition("/")
    pid, _, space = rest.rpartition("/")[0].partition("/")
    if not pid.isdecimal() or not space or space != _space() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _space() -> str:
    try:
        return f"{os.uname().nodename}:{os.readlink(SPACE)}"
    except OSError:
        return ""
