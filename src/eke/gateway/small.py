"""Stand-ins for containers of which each open stream has some, at a twentieth of their size."""

from __future__ import annotations

from asyncio import Future, get_running_loop
from typing import Any


class Gate:
    """`asyncio.Event` without the deque: few ever wait at one."""

    __slots__ = ("_open", "_waiting")

    def __init__(self, is_open: bool = False) -> None:
        self._open = is_open
        self._waiting: list[Future[None]] | None = None

    def is_set(self) -> bool:
        """Whether it is open."""
        return self._open

    def set(self) -> None:
        """Open it, and let through who waits."""
        self._open, waiting, self._waiting = True, self._waiting, None
        for each in waiting or ():
            if not each.done():
                each.set_result(None)

    def clear(self) -> None:
        """Close it."""
        self._open = False

    async def wait(self) -> bool:
        """Wait until it is open."""
        if not self._open:
            future: Future[None] = get_running_loop().create_future()
            if self._waiting is None:
                self._waiting = []
            self._waiting.append(future)
            await future
        return True


class Line(list[Any]):
    """`collections.deque` of which the front is seldom used."""

    __slots__ = ()

    def appendleft(self, each: Any) -> None:
        """Put something at its front."""
        self.insert(0, each)
