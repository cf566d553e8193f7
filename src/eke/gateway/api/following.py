"""Clients that listen to a background response: from any event on, here or after a restart."""

from __future__ import annotations

import asyncio
from typing import Any

from eke.gateway.api.routes import Asking, Sending
from eke.gateway.api.watching import Watch
from eke.gateway.refusal import Refusal, bad
from eke.gateway.responses import kept
from eke.gateway.responses.answer import ENDED, last_of
from eke.gateway.responses.events import Events
from eke.gateway.responses.log import Log, behind
from eke.gateway.responses.making import NUMBERS
from eke.gateway.responses.makings import Makings

LOOK = 0.5  # between looks at a response that another gateway makes [s]


class Follower:
    """One client. after: number of the last event it has, -1 for none."""

    def __init__(self, asking: Asking, id: str, after: int) -> None:
        self.asking, self.id, self.after = asking, id, after
        self.gone = False
        self._log: Log | None = None
        self._sending: Sending | None = None

    async def follow(self) -> None:
        """Send events to the end of the response, or until the client leaves. Raises Refusal where
        nothing was sent yet."""
        watch = Watch(self.asking.gateway.loop, self.asking.receive, self._leave)
        try:
            while not self.gone and not await self._further():
                pass
        except Refusal as refusal:  # such as where it is deleted meanwhile
            if self._sending is None:
                raise
            await self._send(Events(self.after + 1).event("error", _told(refusal)))
        finally:
            watch.end()
        if self._sending is not None:
            await self._sending.end()

    async def _further(self) -> bool:
        """Send what there is; whether that was all."""
        making = self.asking.gateway.one(Makings).live.get(self.id)
        if making is not None and making.tenant.name == self.asking.tenant.name:
            if making.log is None:
                raise _not_streamed()
            await self._listen(making.log)
            return making.answer["status"] in ENDED
        return await self._replay()

    async def _listen(self, log: Log) -> None:
        """Send events of a response that is made here, as they come."""
        self._log = log
        await self._send(b"")
        while not self.gone:
            if log.last > self.after:
                told, self.after = log.behind(self.after), log.last
                await self._send(told)
            elif log.over:
                return
            else:
                await log.news()

    async def _replay(self) -> bool:
        """Send the events of a response that is over; whether it is."""
        state, tenant = self.asking.gateway.state, self.asking.tenant.name
        if state is None:
            raise kept.unknown(self.id)
        now = self.asking.gateway.clock.wall()
        document, body = await state.read(kept.get, self.id, tenant, now)
        if not body.events:
            raise _not_streamed()
        await self._send(b"")
        if document.status not in ENDED:
            await asyncio.sleep(LOOK)
            return False
        events = await state.read(kept.events, self.id, tenant)
        if events is None:  # it never began
            number = max(self.after + 1, int((now - document.created) * NUMBERS))
            events = last_of(body.answer, Events(number))
        await self._send(behind(events, self.after))
        return True

    async def _send(self, told: bytes) -> None:
        """Send some events; the head of the stream goes before the first."""
        if self._sending is None:
            self._sending = await self.asking.stream()
        if told:
            await self._sending.send(told)

    def _leave(self) -> None:
        self.gone = True
        if self._log is not None:
            self._log.wake()


def _told(refusal: Refusal) -> dict[str, Any]:
    """A refusal as an event tells it."""
    return {"code": refusal.code, "message": refusal.message, "param": refusal.param}


def _not_streamed() -> Exception:
    return bad(
        "Only a response that was created with 'background' and 'stream' can be streamed again; "
        "retrieve it without 'stream'.",
        "stream",
    )
