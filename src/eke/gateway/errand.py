"""One request from its admission to its settlement, whatever happens on the way."""

from __future__ import annotations

from asyncio import timeout
from contextlib import suppress

from eke.gateway.asked import Asked
from eke.gateway.asker import Asker
from eke.gateway.call import Call
from eke.gateway.changes import Usage
from eke.gateway.engines.engine import Engine
from eke.gateway.gateway import Gateway
from eke.gateway.ledger import FREE, Hold, Use
from eke.gateway.outgoing import body_for
from eke.gateway.refusal import no_answer, overloaded
from eke.gateway.refusing import STARTING, desk_of, refused
from eke.gateway.row import FAILED, FINISHED, NOT_ADMITTED, REFUSED, Row
from eke.gateway.settings import Tenant
from eke.gateway.settled import row_of
from eke.gateway.sizing import most_use, sized
from eke.policy.protocol import Place
from eke.types.record import replace

BUSY = (429, 503, 529)  # statuses by which engines say that they are full
TRANSIENT = (408, 500, 502, 504)  # worth a try on another engine
UNCLEAR = 500  # the engine's failure if another one answers the same, else the request's
DENIED = (401, 403, 407)  # it does not know the gateway, which is not the client's doing
TOLD = 500  # requests in a queue, up to which each is told its place when it comes
FULL = "The gateway holds more prompts than it has memory for."
MOST_HELD = 2 << 30  # bytes of prompts that wait, of all requests together
UNUSED = Use(0.0, 0.0, 0.0, 0.0)


class Gone(Exception):
    """The client left; there is nobody to answer."""


class Errand:
    """One request on its way.

    `ask` admits it and hands it to the policy, `answered` waits until an engine's answer begins,
    `more` gives its pieces, `settle` is called once at the end, whatever came; or `over` and, when
    it is known what is to be charged, `charge`.

    lines: header lines of its own for the engine.  held: bytes of its prompt while it is at hand.
    place: where it stood when it came, if it had to wait.  body: as the client sent it.
    Raises Refusal where it can never be answered.
    """

    __slots__ = (
        *("asker", "body", "call", "desk", "gateway", "held", "hold", "lines", "place", "settled"),
    )

    def __init__(self, gateway: Gateway, asker: Asker, body: bytes) -> None:
        self.gateway, self.asker, self.body = gateway, asker, body
        self.hold: Hold = FREE
        self.settled = False
        self.place: Place | None = None
        self.lines, self.held = b"", 0
        self.desk = desk_of(gateway, asker.tenant, asker.asked.model)
        self.call = Call(sized(gateway, asker))

    @property
    def asked(self) -> Asked:
        """What the gateway read of the request."""
        return self.asker.asked

    @property
    def tenant(self) -> Tenant:
        """Whose it is."""
        return self.asker.tenant

    async def ask(self) -> None:
        """Reserve what it may take, and hand it to the policy. Raises Refusal."""
        gateway, request = self.gateway, self.call.request
        if gateway.held + len(self.body) > MOST_HELD:
            raise overloaded(FULL, STARTING, f"{NOT_ADMITTED}too many prompts")
        self.held = len(self.body)
        gateway.held += self.held
        wall = gateway.clock.wall(request.arrived)
        most = most_use(gateway, self.desk, self.asker, request)
        hold = gateway.ledger.reserve(self.tenant, most, wall)
        if hold is None:
            hold = await gateway.ledger.fetch(self.tenant, most, wall)
        self.hold = hold
        self.desk.arrive(self.call)
        if self.waits and self.desk.waiting <= TOLD:
            self.place = self.desk.place(self.call)

    @property
    def waits(self) -> bool:
        """Whether the policy has neither started nor refused it, and somebody still wants it."""
        call = self.call
        return call.engine is None and call.refusal is None and not call.left

    async def queued(self, seconds: float) -> Place | None:
        """Wait that long for its turn; where it stands if that has not come [s]."""
        if self.waits:
            with suppress(TimeoutError):
                async with timeout(seconds):
                    await self.call.hear()
        return self.desk.place(self.call) if self.waits else None

    async def answered(self) -> None:
        """Wait until an engine's answer begins. Raises Refusal or Gone.

        What engines fail at before their first byte is tried again, as often as settings say.
        """
        call = self.call
        while True:
            while (engine := call.engine) is None or engine.holder is not None:
                if call.left:
                    raise Gone
                if call.refusal is not None:
                    raise refused(self.gateway, self.asker, call)
                if engine is not None and engine.holder is not None:
                    engine.holder.knock(call)
                await call.hear()
            if call.left:
                raise Gone
            await self._send(call, engine)
            await self._begun(call)
            call = self.call
            if call.left:
                raise Gone
            if call.engine is None or self._failed(call.engine):
                continue  # the policy took it back, or has it again
            self._forget()
            return

    async def more(self) -> bytes:
        """The next piece of the answer; nothing at its end. Raises Gone, or Refusal 502 where the
        engine broke off."""
        call = self.call
        while True:
            if call.left:
                raise Gone
            if call.pieces:
                if call.first is None:  # heads may come long before
                    call.first = self.gateway.clock.now()
                    self.desk.first(call)
                return call.taken()
            if call.broken:
                words = f"The engine broke off: {call.broken}."
                raise no_answer(words, f"broke off, {call.broken}")
            if call.done:
                return b""
            call.expect(self.gateway.clock.now(), self.gateway.settings.patience.between)
            await call.hear()

    def settle(self, usage: Usage | None, tokens: int, outcome: str, reason: str = "") -> Row:
        """It is over: tell the policy, the engine's meter, the ledger and the log.

        usage: as the engine counted, None where it did not.  tokens: of the answer.
        """
        row = self.over(usage, tokens, outcome, reason)
        self.charge(row)
        return row

    def over(self, usage: Usage | None, tokens: int, outcome: str, reason: str = "") -> Row:
        """It is over: tell the policy and the engine's meter."""
        assert not self.settled
        self.settled = True
        self._forget()
        gateway, call, request = self.gateway, self.call, self.call.request
        now = gateway.clock.now()
        prompt, cached = request.prompt, 0
        if usage is not None:
            prompt, cached = usage.prompt_tokens or prompt, usage.cached
            size = self.asker.size
            if not size.media:  # nobody says how much of it they are
                gateway.lengths_of(self.asked.model).counted(size.characters, prompt)
        engine = call.engine
        if engine is not None and request.id in engine.flights:
            call.cut()
            counts = outcome == FINISHED or tokens > 0
            engine.end(call, (prompt - cached) * counts, tokens, now)
            if call.broken:
                engine.failed, engine.trouble = engine.failed + 1, call.broken
                if engine.breaker.failed(now):
                    gateway.report(engine)
        if outcome == FINISHED:
            self._finished(engine, tokens, cached, now)
        else:
            self.desk.left(call)
        return row_of(self, (prompt, tokens, cached), (outcome, reason), now)

    def charge(self, row: Row) -> None:
        """Tell the ledger and the log what it took."""
        self.gateway.ledger.settle(self.hold, used_by(row))
        self.gateway.write(row)

    def take_back(self) -> None:
        """While it waits: as if it had never been asked. Whoever waits for it hears that it is
        gone."""
        assert self.call.engine is None and not self.settled
        self.settled = True
        self._forget()
        self.desk.left(self.call)
        self.gateway.ledger.settle(self.hold, UNUSED)
        self.call.leave()

    def leave(self) -> None:
        """The client is gone."""
        self.call.leave()

    def _finished(self, engine: Engine | None, tokens: int, cached: int, now: float) -> None:
        asker = self.asker
        if asker.endpoint.answers:
            lengths = self.gateway.lengths_of(asker.asked.model)
            lengths.answered(self.tenant.name, asker.kind, tokens / asker.copies)
        if engine is not None:
            engine.breaker.worked()
        for each in self.call.suspects:
            if each is not engine and each.breaker.failed(now):
                self.gateway.report(each)
        self.desk.finished(self.call, tokens, cached)
        if engine is not None and self.desk.waiting and engine.capacity.look(now, True):
            self.gateway.report(engine)

    def _forget(self) -> None:
        """Let go of the prompt: it is not sent again, and thousands of streams may be open."""
        self.gateway.held -= self.held
        self.body, self.held = b"", 0
        self.asker.forget()

    async def _begun(self, call: Call) -> None:
        """Wait until its engine's answer begins, or never will; asked too long, try another too."""
        hedge = self.gateway.settings.patience.hedge
        if hedge is None:
            await call.begun()
            return
        with suppress(TimeoutError):
            async with timeout(hedge):
                await call.begun()
                return
        self.call = await self._faster(call)

    async def _faster(self, call: Call) -> Call:
        """Ask another engine too, where the policy has one free; the one that is first."""
        twin = Call(replace(call.request, id=self.gateway.number()))
        twin.first_asked = call
        self.desk.arrive(twin)
        if twin.engine is None or twin.engine is call.engine:
            self._give_up(twin)
            await call.begun()
            return call
        await self._send(twin, twin.engine)
        while not (call.decided or twin.decided):
            await call.hear()
        if not call.decided and (twin.broken or twin.status in (*BUSY, *TRANSIENT, *DENIED)):
            if twin.status == UNCLEAR:
                call.suspects += (twin.engine,)
            elif twin.status not in BUSY and twin.engine.breaker.failed(self.gateway.clock.now()):
                self.gateway.report(twin.engine)
            self._give_up(twin)
            call.pay_for(twin)
            await call.begun()
            return call
        slower, faster = (twin, call) if call.decided else (call, twin)
        self._give_up(slower)
        faster.pay_for(slower)
        twin.first_asked = None
        return faster

    def _give_up(self, call: Call) -> None:
        """Nobody wants a call any more."""
        call.cut()
        if call.engine is not None and call.request.id in call.engine.flights:
            call.engine.end(call, 0, 0, self.gateway.clock.now())
        self.desk.left(call)

    async def _send(self, call: Call, engine: Engine) -> None:
        """Send it to the engine that the policy chose."""
        gateway, request = self.gateway, call.request
        call.fresh()
        engine.begin(call, request.prompt + request.likely, gateway.clock.now())
        call.expect(gateway.clock.now(), gateway.settings.patience.first)
        try:
            body = body_for(gateway, self.asker, call, engine, self.body)
            await engine.wire.post(call, self.asker.endpoint.path, body, self.lines)
        except OSError as error:
            call.on_broken(f"no connection: {error}")

    def _failed(self, engine: Engine) -> bool:
        """Whether the engine gave nothing, and the policy was told; then it waits again."""
        gateway, call = self.gateway, self.call
        status, now = call.status, gateway.clock.now()
        if call.broken and not call.pieces:
            status = 0
        if status and status not in (*BUSY, *TRANSIENT, *DENIED):
            if status >= 400:
                engine.breaker.worked()  # it knows what it does
            return False
        reason = engine.trouble = call.broken or f"it answered {status}"
        if status in BUSY:
            engine.capacity.full(engine.running - 1, now)
            gateway.report(engine)
        elif status == UNCLEAR:
            call.suspects += (engine,)
        elif engine.breaker.failed(now):
            gateway.report(engine)
        call.tries += 1
        last = call.tries > gateway.settings.patience.retries or gateway.ended
        if last and status and status not in DENIED:
            return False  # its own words are better than ours
        call.cut()
        engine.end(call, 0, 0, now)
        engine.failed += 1
        if last:
            raise no_answer(f"No engine answered; the last one: {reason}.", reason)
        self.desk.failed(call, reason)
        return True


def used_by(row: Row) -> Use:
    """What a request takes from budgets: nothing but the time it had where no engine has begun it,
    and no tokens where engines gave none."""
    if row.started is None:
        return UNUSED._replace(seconds=row.seconds)
    nothing = row.outcome in (FAILED, REFUSED) and not row.tokens
    return Use(1.0, 0 if nothing else row.prompt + row.tokens, row.charged, row.seconds)
