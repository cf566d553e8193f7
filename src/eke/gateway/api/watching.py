"""Noticing that a client left, at no cost for requests that are over soon."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Task
from collections.abc import Callable

from eke.gateway.api.reading import Receive

SOON = 0.005  # requests that take less are over before anybody looks [s]


class Watch:
    """Waits for the client's disconnect beside the one who answers it."""

    __slots__ = ("_gone", "_loop", "_receive", "_task", "_timer")

    def __init__(self, loop: AbstractEventLoop, receive: Receive, gone: Callable[[], None]) -> None:
        self._loop, self._receive, self._gone = loop, receive, gone
        self._task: Task[None] | None = None
        self._timer = loop.call_later(SOON, self._begin)

    def end(self) -> None:
        """The answer is complete."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone()
