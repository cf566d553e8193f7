"""One line of a batch, asked as any request is, in the lowest class."""

from __future__ import annotations

from typing import Any, NamedTuple

from eke.gateway.asked import CLASSES, ENDPOINTS, read
from eke.gateway.batches import line as lines
from eke.gateway.batches.result import LOST, answered, unanswered
from eke.gateway.call import Call
from eke.gateway.changes import usage_of
from eke.gateway.errand import BUSY, FAILED, FINISHED, REFUSED, STOPPED, Errand, Gone
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import Refusal
from eke.gateway.row import Row
from eke.gateway.settings import EVERYONE, Tenant
from eke.gateway.state import works
from eke.gateway.state.works import Work
from eke.types.record import replace
from eke.types.request import Request

TIER = KIND = "batch"
ATTEMPTS = 3  # of a line that engines fail at, or that gateways died with
SHORT, LONG = 1.0, 60.0  # pauses where nobody says for how long; of a budget that is spent [s]


class Deferred(Errand):
    """An errand that is charged when its result is stored, and for nothing if it is not.

    row: what it took, when it is over; None if it was taken back.
    """

    __slots__ = ("row",)

    def __init__(self, *nouns: Any) -> None:
        self.row: Row | None = None
        super().__init__(*nouns)

    def charge(self, row: Row) -> None:
        """Wait for what becomes of it."""
        self.row = row

    def close(self, charged: bool) -> None:
        """Tell the ledger and the log, now that it is known whether it is charged."""
        if self.row is not None:
            super().charge(self.row if charged else spared(self.row))


def spared(row: Row) -> Row:
    """What a line takes that is not charged: chips were used, tokens are not counted."""
    return row._replace(prompt=0, tokens=0, cached=0, charged=0.0, saved=0.0)


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

    async def ask(self, priority: int, deadline: float) -> Answer:
        """Ask it once. priority: class.  deadline: time to the end of its window [s]."""
        self.errand = self.asked = None
        try:
            errand = self.errand = self._errand(priority, deadline)
        except Refusal as refusal:
            return self._refused(refusal, 0)
        try:
            await errand.ask()
            self.asked = self.gateway.clock.now()
            if self.stopped:
                errand.leave()
            await errand.answered()
            return await self._answered(errand)
        except Gone:
            if not errand.settled:
                errand.settle(None, 0, STOPPED, "the batch does not wait for it")
            return WITHDRAWN
        except Refusal as refusal:
            _over(errand, REFUSED if refusal.status != 502 else FAILED, refusal.message)
            return self._refused(refusal, errand.call.request.id)
        except BaseException:
            _over(errand, STOPPED, "the gateway ends")
            raise

    def _errand(self, priority: int, deadline: float) -> Deferred:
        """Its errand. Raises Refusal where it can never be answered."""
        endpoint, body = ENDPOINTS[self.line.url], bytes(self.line.body)
        asked, tenant = read(body, endpoint), tenant_of(self.gateway, self.work.tenant)
        errand = Deferred(self.gateway, tenant, endpoint, asked, body, TIER, KIND, deadline)
        errand.call = Call(_in_class(errand.call.request, priority, endpoint.kind))
        return errand

    async def _answered(self, errand: Deferred) -> Answer:
        """What an engine answered. Raises Refusal or Gone."""
        pieces = []
        while data := await errand.more():
            pieces.append(data)
        body, status = b"".join(pieces), errand.call.status
        try:
            usage = usage_of(body)
        except ValueError:
            words = body[:2000].decode(errors="replace") or "no reason given"
            raise Refusal(status if status >= 400 else 502, words, "upstream_error") from None
        if status >= 400:
            errand.settle(usage, 0, FAILED, f"the engine answered {status}")
            if status in BUSY:
                return Answer("", again=SHORT)
            return self._failed(status, errand.call.request.id, body)
        tokens = usage.completion_tokens if usage else 0
        errand.settle(usage, tokens, FINISHED)
        return Answer(works.DONE, self._line(status, errand.call.request.id, body))

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


def tenant_of(gateway: Gateway, name: str) -> Tenant:
    """The tenant of a name, also one that nobody set up."""
    tenants = gateway.tenants.by_name
    anybody = tenants.get(EVERYONE) or Tenant(name=EVERYONE)
    return tenants.get(name) or replace(anybody, name=name, keys=())


def _in_class(request: Request, priority: int, kind: str) -> Request:
    """A request as the policy is to see it: one that became urgent is of the kind that it would be
    by itself, so that it does not wait for troughs any more."""
    waits = priority == CLASSES[TIER]
    return replace(request, priority=priority, kind=request.kind if waits else kind)


def _over(errand: Errand, outcome: str, reason: str) -> None:
    if not errand.settled:
        errand.settle(None, 0, outcome, reason)
