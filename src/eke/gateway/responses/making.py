"""One response being made: its errand, its events, what its client is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from eke.gateway.asked import CHAT
from eke.gateway.asker import Asker
from eke.gateway.deferred import Deferred
from eke.gateway.errand import Errand, Gone
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import BROKEN, Refusal
from eke.gateway.responses import answer as answers
from eke.gateway.responses.answer import Answer, begun, usage_of
from eke.gateway.responses.ask import Ask
from eke.gateway.responses.chunks import Counted, chunks_of
from eke.gateway.responses.events import Events, Silence
from eke.gateway.responses.log import Log
from eke.gateway.responses.memory import remembered
from eke.gateway.responses.speech import Speech
from eke.gateway.responses.turn import Turn
from eke.gateway.responses.upstream import passes, refusal_of, upstream
from eke.gateway.row import FAILED, FINISHED, STOPPED
from eke.gateway.settings import Tenant
from eke.gateway.stream import Broken, Stream

NUMBERS = 1e6  # of events that are left out for each second since it was asked for
OFTEN = 1.0  # between tellings of a place in the queue [s]
LONG = 600.0  # and where nobody is told [s]

E = TypeVar("E", bound=Errand)
Tell = Callable[[list[bytes]], Awaitable[None]]


class Making:
    """One response.

    errand: for the chat completion that it is made of.  stored: whether it is kept.  created: UTC
    [s], where that was before now: then it was begun before, and its events have numbers beyond all
    that were told.  answer: as it stands.  over: it is.
    """

    def __init__(
        self, errand: Errand, ask: Ask, turn: Turn, stored: bool, created: float | None = None
    ) -> None:
        self.errand, self.ask, self.turn, self.stored = errand, ask, turn, stored
        self.gateway, self.tenant = errand.gateway, errand.tenant
        now = self.gateway.clock.wall()
        self.created = now if created is None else created
        self.answer: Answer = begun(ask, turn.ids.response, self.created, stored)
        self.answer["service_tier"] = self.errand.asker.tier
        first = int((now - self.created) * NUMBERS)
        self.events = Events(first) if ask.stream else Silence()
        self.log = Log(self.events.number) if ask.background and ask.stream else None
        self.speech = Speech(
            self.events,
            turn.ids,
            ask.includes("message.output_text.logprobs"),
            ask.includes("reasoning.encrypted_content"),
        )
        self.stream = Stream(strip=False)
        self.over = asyncio.Event()
        self.asked = False
        self._tell: Tell
        self._held: list[bytes] = []  # told with what comes first from the engine
        self._silent = not ask.background  # nothing was told, so that an error can be an answer

    @property
    def id(self) -> str:
        """Of the response."""
        return self.turn.ids.response

    def leave(self) -> None:
        """Nobody wants it any more."""
        self.errand.leave()

    def place(self) -> dict[str, Any] | None:
        """Where it stands in the queue: how many go first, and when it may begin [s]."""
        place = self.errand.desk.place(self.errand.call) if self.errand.waits else None
        return None if place is None else {"place": place.before, "eta": place.eta}

    async def ask_for(self) -> None:
        """Ask for it, if that was not done. Raises Refusal where the answer is no at once."""
        self.asked = True
        try:
            await self.errand.ask()
            if self.errand.call.refusal is not None:
                await self.errand.answered()
        except Refusal as refusal:
            self._settle(refusal.outcome, refusal.reason)
            raise
        except BaseException:
            self._settle(FAILED, "the gateway failed")
            raise

    async def make(self, tell: Tell) -> None:
        """Make it, and tell its events, all but the last.

        Raises Refusal where it comes to nothing before anything was told, or where a background
        one may be asked for again later.
        """
        self._tell = tell
        outcome, reason = FINISHED, ""
        if not self.asked:
            await self.ask_for()
        try:
            await self._begin()
            await self._hear()
            answers.ended(self.answer, self.speech.reason, self.gateway.clock.wall())
        except Gone:
            outcome, reason = STOPPED, "the client left"
            self.answer["status"] = answers.CANCELLED
        except (Refusal, Broken) as error:
            refusal = refusal_of(error)
            outcome, reason = self._why(refusal)
            answers.failed(self.answer, answers.code_of(refusal.status), refusal.message)
            if self._silent or (self.ask.background and passes(refusal)):
                self._settle(outcome, reason)
                raise refusal from None
        except BaseException:
            self._settle(FAILED, "the gateway failed")
            raise
        self._settle(outcome, reason)
        whole = self.answer["status"] == answers.COMPLETED
        await self._say(self.speech.end(whole))
        self.answer["output"] = self.speech.items

    async def tell(self, events: list[bytes]) -> None:
        """Tell events of a background response to whoever listens."""
        if self.log is not None:
            await self.log.tell(events)

    def give_up(self, outcome: str, reason: str) -> None:
        """It is not made after all."""
        if not self.errand.settled:
            self._settle(outcome, reason)

    def last(self) -> bytes:
        """The event that ends it."""
        return answers.last_of(self.answer, self.events)

    def error(self, message: str) -> bytes:
        """The event that says what stopped it from ending."""
        fields = {"code": "server_error", "message": message, "param": None}
        return self.events.event("error", fields)

    async def _begin(self) -> None:
        """Wait until an engine's answer begins, telling meanwhile where it stands."""
        errand = self.errand
        if errand.waits or self.ask.background:
            self.answer["status"] = answers.QUEUED
            await self._say([self._event("response.created")])
            await self._queue()
            if self.errand.call.engine is not None:
                await self._say([self._running()])
        else:
            self._held = [self._event("response.created"), self._running()]
        await errand.answered()

    async def _queue(self) -> None:
        """Wait for its turn, and tell where it stands whenever that changed."""
        while self.errand.waits and isinstance(self.events, Silence):
            await self.errand.queued(LONG)
        before, place = None, self.place()
        while place is not None:
            if place["place"] != before:
                before = place["place"]
                await self._say([self._event("response.queued", {"eke": place})])
            await self.errand.queued(OFTEN)
            place = self.place()

    def _running(self) -> bytes:
        self.answer["status"] = answers.RUNNING
        return self._event("response.in_progress")

    async def _hear(self) -> None:
        """The engine's answer, to its end. Raises Refusal, Broken or Gone."""
        errand, stream, speech = self.errand, self.stream, self.speech
        data = await errand.more()
        await self._check(data)
        while data:
            events: list[bytes] = []
            for chunk in chunks_of(stream.feed(data)):
                events += speech.hear(chunk)
            if events:
                await self._say(events)
            data = await errand.more()
        stream.end()

    async def _check(self, data: bytes) -> None:
        """Refuse what is no answer: an error of the engine, or not a stream."""
        call, pieces = self.errand.call, [data]
        kind = dict(call.headers).get(b"content-type", b"")
        if call.status == 200 and data and kind.startswith(b"text/event-stream"):
            return
        while data := await self.errand.more():
            pieces.append(data)
        raise upstream(call.status, b"".join(pieces))

    async def _say(self, events: list[bytes]) -> None:
        """Tell events, and those that were held back until there is one."""
        if isinstance(self.events, Silence):
            return
        events, self._held = self._held + events, []
        self._silent = False
        await self._tell(events)

    def _event(self, kind: str, more: dict[str, Any] | None = None) -> bytes:
        return self.events.event(kind, {"response": self.answer, **(more or {})})

    def _why(self, refusal: Refusal) -> tuple[str, str]:
        """How it ended and why, as the log has it: in our words, since an engine's may repeat what
        a user wrote."""
        status = self.errand.call.status
        if status and refusal.status != BROKEN:
            return FAILED, f"the engine answered {status}"
        return refusal.outcome, refusal.reason

    def _settle(self, outcome: str, reason: str) -> None:
        """It is over: what it took, and what it is told to have taken."""
        counted = self.speech.usage
        tokens = self.stream.tokens
        row = self.errand.settle(self.stream.usage, tokens, outcome, reason)
        if self.errand.call.first is not None:
            counted = counted or Counted(row.prompt, tokens)
            self.answer["usage"] = usage_of(counted)
        wall = self.gateway.clock.wall()
        self.answer["eke"] = remembered(self.ask, self.tenant, row, wall)
        if self.errand.call.rung:
            self.answer["eke"]["degraded"] = self.errand.call.rung


class Deferring(Making):
    """A response that is charged only where it is stored."""

    errand: Deferred


def errand_of(
    kind: type[E], gateway: Gateway, tenant: Tenant, ask: Ask, turn: Turn, spent: float = 0.0
) -> E:
    """The errand of a turn. spent: of the time until its deadline [s].  Raises Refusal where it can
    never be answered."""
    counts_as = "background" if ask.background else ""
    deadline = None if ask.deadline is None else ask.deadline - spent
    with in_own_words():
        return kind(gateway, Asker(tenant, CHAT, turn.asked, None, counts_as, deadline), turn.body)


@contextmanager
def in_own_words() -> Iterator[None]:
    """What is refused of a chat completion is told by the names that it has in this API."""
    try:
        yield
    except Refusal as refusal:
        refusal.param = "input" if refusal.param == CHAT.text else refusal.param
        raise


async def nobody(events: list[bytes]) -> None:
    """Nobody listens to its events."""
