"""One request answered: at once or as a stream, or as badly as it was asked to be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from eke.standin.answer import Answer
from eke.standin.driver import Ticket
from eke.standin.faults import Cut, Faults
from eke.standin.http import EVENTS, JSON, TEXT, Send, begin, part, respond
from eke.standin.replies import DONE, Events, usage, whole
from eke.types.record import Message

NONSENSE = b'{"id": "nonsense", "choices": [oops'


class Talk(Message):
    """name: id of the answer.  model: as it was called.  chat: it is a chat, not a completion.
    told: the tokens are told at the end of a stream."""

    name: str
    model: str
    chat: bool
    told: bool
    answer: Answer
    faults: Faults
    ticket: Ticket

    def used(self) -> dict[str, Any]:
        """What is counted."""
        request = self.ticket.request
        return usage(request.prompt, len(self.answer.texts), request.cached)


async def at_once(talk: Talk, send: Send) -> None:
    """The whole answer, once all of it is there."""
    faults = talk.faults
    if not await talk.ticket.more():
        return
    if faults.slow:
        await asyncio.sleep(faults.slow * len(talk.answer.texts))
    body = whole(talk.name, talk.model, talk.answer, talk.chat, talk.used())
    if faults.garbage:
        body = NONSENSE
    if faults.half:
        body = body[: len(body) // 2]
    if faults.die is not None:
        await begin(send, JSON, len(body))
        await part(send, body[: len(body) // 2])
        raise Cut
    await respond(send, 200, body, TEXT if faults.type else JSON)


async def as_stream(talk: Talk, send: Send) -> None:
    """The answer as events, one for the tokens of each step."""
    faults, events = talk.faults, Events(talk.name, talk.model, talk.answer, talk.chat, talk.told)
    await begin(send, TEXT if faults.type else EVENTS)
    head, told = events.opening(), 0
    async for text in _texts(talk):
        if faults.die is not None and told >= faults.die:
            raise Cut
        told += 1
        event = b"data: " + NONSENSE + b"\n\n" if faults.garbage else events.more(text)
        if head or event:
            await part(send, head + event)
            head = b""
    if talk.ticket.left:
        return
    end = b"" if faults.half else events.closing()
    if talk.told and not faults.half:
        end += events.used(talk.used())
    await part(send, end if faults.half else end + DONE, more=False)


async def _texts(talk: Talk) -> AsyncIterator[str]:
    """The text as it comes, by steps; token by token where a fault counts them."""
    texts, faults, at = talk.answer.texts, talk.faults, 0
    while at < len(texts) and (new := await talk.ticket.more()):
        now, at = texts[at : at + new], at + new
        if not faults.slow and faults.die is None:
            yield "".join(now)
            continue
        for text in now:
            yield text
            await asyncio.sleep(faults.slow)
