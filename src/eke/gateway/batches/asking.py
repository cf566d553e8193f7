"""One line of a batch, asked as any request is, in the lowest class."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from eke.gateway.asked import ENDPOINTS, read
from eke.gateway.batches import line as lines
from eke.gateway.batches.errands import Turn, errand_of
from eke.gateway.batches.line import RESPONSES
from eke.gateway.batches.responding import CANCELLED, making_of
from eke.gateway.batches.result import LOST, answered, unanswered
from eke.gateway.changes import Usage, usage_of
from eke.gateway.deferred import Deferred
from eke.gateway.errand import BUSY, Errand, Gone
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import Refusal
from eke.gateway.responses.making import Deferring, nobody
from eke.gateway.row import FAILED, FINISHED, STOPPED, Row
from eke.gateway.state import works
from eke.gateway.state.works import Work

ATTEMPTS = 3  # of a line that engines fail at, or that gateways died with
SHORT, LONG = 1.0, 60.0  # pauses where nobody says for how long; of a budget that is spent [s]


class Answer(NamedTuple):
    """What came of a line. state: of its work, "" while it is to be asked again.  result: line of
    a file.  again: when to ask again, from now [s].  tried: whether it counts as an attempt."""

    state: str
    result: bytes | None = None
    again: float = 0.0
    tried: bool = False


WITHDRAWN = Answer("")  # it made way, or waits too long in its class


class Asking:
    """A line on its way. errand: None before it is asked.  asked: since when it is in a queue [s].
    stopped: state that it is to end in if no answer comes."""

    def __init__(self, gateway: Gateway, work: Work) -> None:
        self.gateway, self.work = gateway, work
        self.line = lines.read(work.body)
        self.errand: Deferred | None = None
        self.asked: float | None = None
        self.stopped = ""

    @property
    def waits(self) -> bool:
        """Whether it stands in a queue, so that it can be taken out again."""
        errand = self.errand
        return self.asked is not None and errand is not None and errand.call.engine is None

    @property
    def row(self) -> Row | None:
        """What it took; None if no engine was asked."""
        return None if self.errand is None else self.errand.row

    def withdraw(self) -> None:
        """Take it out of the queue it stands in."""
        if self.waits and self.errand is not None and not self.errand.settled:
            self.errand.take_back()

    def stop(self, state: str) -> None:
        """Nobody wants it any more, wherever it is. state: that it is to end in; "" where it is to
        be asked elsewhere."""
        self.stopped = state
        self.withdraw()
        if self.errand is not None:
            self.errand.leave()

    def close(self, charged: bool) -> None:
        """It is over, and known whether it is charged."""
        if self.errand is not None:
            self.errand.close(charged)

    async def ask(self, turn: Turn) -> Answer:
        """Ask it once."""
        self.errand = self.asked = None
        try:
            making = await self._begin(turn)
        except Refusal as refusal:
            return self._refused(refusal, self.gateway.number())
        errand = self.errand
        assert errand is not None
        try:
            await errand.ask()
            self.asked = self.gateway.clock.now()
            if self.stopped:
                errand.leave()
            return await (self._answered(errand) if making is None else self._made(errand, making))
        except Gone:
            errand.settle(None, 0, STOPPED, "the batch does not wait for it")
            return WITHDRAWN
        except Refusal as refusal:
            _over(errand, refusal.outcome, refusal.reason)
            return self._refused(refusal, errand.call.request.id)
        except BaseException:
            _over(errand, STOPPED, "the gateway ends")
            raise

    async def _begin(self, turn: Turn) -> Deferring | None:
        """Its errand, and the response that it is for. Raises Refusal where it can never be
        answered."""
        gateway, tenant = self.gateway, self.gateway.tenants.named(self.work.tenant)
        url, body = self.line.url, bytes(self.line.body)
        if url == RESPONSES:
            making = await making_of(gateway, tenant, body, turn)
            self.errand = making.errand
            return making
        endpoint = ENDPOINTS[url]
        self.errand = errand_of(gateway, tenant, endpoint, read(body, endpoint), body, turn)
        return None

    async def _answered(self, errand: Deferred) -> Answer:
        """What an engine answered. Raises Refusal or Gone."""
        await errand.answered()
        pieces = []
        while data := await errand.more():
            pieces.append(data)
        body, status = b"".join(pieces), errand.call.status
        usage = _usage(errand, body)
        if status >= 400:
            errand.settle(usage, 0, FAILED, f"the engine answered {status}")
            if status in BUSY:
                return Answer("", again=SHORT)
            return self._failed(status, errand.call.request.id, body)
        tokens = usage.completion_tokens if usage else 0
        errand.settle(usage, tokens, FINISHED)
        return Answer(works.DONE, self._line(status, errand.call.request.id, body))

    async def _made(self, errand: Deferred, making: Deferring) -> Answer:
        """A response, made on an engine. Raises Refusal."""
        await making.make(nobody)
        if making.answer["status"] == CANCELLED:
            return WITHDRAWN
        text = msgspec.json.encode(making.answer)
        return Answer(works.DONE, self._line(200, errand.call.request.id, text))

    def _refused(self, refusal: Refusal, number: int) -> Answer:
        """What a refusal means for the line. number: of the request."""
        if refusal.again is False:
            return Answer("", again=LONG)  # a budget is spent, and comes back or is raised
        if refusal.status in BUSY:
            return Answer("", again=refusal.retry_after or SHORT)
        return self._failed(refusal.status, number, refusal.body())

    def _failed(self, status: int, number: int, body: bytes) -> Answer:
        """An error is final, unless another attempt may end better."""
        if (status >= 500 or status == 408) and self.work.attempts < ATTEMPTS:
            return Answer("", again=SHORT * 2**self.work.attempts, tried=True)
        return Answer(works.FAILED, self._line(status, number, body))

    def _line(self, status: int, number: int, body: bytes) -> bytes:
        request = self.gateway.request_id(number)
        return answered(self.work.id, self.line.custom_id, status, request, body)

    def lost(self) -> bytes | None:
        """Its line of the error file, where it was begun too often; else None."""
        if self.work.attempts <= ATTEMPTS:
            return None
        return unanswered(self.work.id, self.line.custom_id, LOST)


def _usage(errand: Deferred, body: bytes) -> Usage | None:
    """The usage in an answer. Raises Refusal where it is none; the engine's words, which may be
    about what a user wrote, go into the file and nowhere else."""
    status = errand.call.status
    try:
        return usage_of(body)
    except ValueError:
        reason = f"the engine answered {status}, which is not JSON"
        errand.settle(None, 0, FAILED, reason)
        words = body[:2000].decode(errors="replace") or "no reason given"
        raise Refusal(status if status >= 400 else 502, words, "upstream_error") from None


def _over(errand: Errand, outcome: str, reason: str) -> None:
    if not errand.settled:
        errand.settle(None, 0, outcome, reason)
