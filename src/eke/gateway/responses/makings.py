"""All responses that one gateway makes, and those that run on in the background.

A background response is a work in the state: claimed by the gateway that makes it, taken over by
another where that one is gone, ended once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import msgspec

from eke.errors import Sealed, StateError, StateUnsure
from eke.gateway.deferred import Deferred
from eke.gateway.errand import Errand
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import Refusal, bad
from eke.gateway.responses import answer as answers
from eke.gateway.responses import kept
from eke.gateway.responses.ask import Ask, read
from eke.gateway.responses.ids import Ids, ids_of
from eke.gateway.responses.items import Item
from eke.gateway.responses.making import Deferring, Making, Tell, errand_of
from eke.gateway.responses.storing import whole_of
from eke.gateway.responses.turn import keeps, turn_of
from eke.gateway.responses.upstream import passes
from eke.gateway.row import FAILED, FINISHED, STOPPED, Row
from eke.gateway.settings import Tenant
from eke.gateway.state import works
from eke.gateway.state.documents import Document
from eke.gateway.state.state import State
from eke.gateway.state.transaction import Transaction
from eke.gateway.state.works import Claim, Work
from eke.types.record import replace

log = logging.getLogger("eke.gateway")

KIND = "background"  # of works
LOOK = 1.0  # between looks for work [s]
LEASE = 15.0  # a claim is good for so long [s]
AT_ONCE = 1000  # background responses under way in one gateway
ATTEMPTS = 3  # before a response counts as what ends gateways
LATER = 5.0  # when to try again where nobody says [s]
GATEWAY_FAILED = "The gateway failed."
NOT_STORED = "it could not be stored"
NEVER = "What belongs to it could not be read or stored, again and again."


class Makings:
    """The responses of one gateway.

    live: those being made, by name.  held: works of the background ones among them.  dropped:
    works that are to be given back, once the state answers.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.live: dict[str, Making] = {}
        self.held: dict[str, Work] = {}
        self.dropped: list[Work] = []
        name = gateway.keeper.name if gateway.keeper else ""
        self.owner = f"{name}/responses"
        self.closing = False
        self._let_go: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def new(self, tenant: Tenant, ask: Ask) -> Making:
        """A response that is asked for. Raises Refusal."""
        turn = await turn_of(self.gateway, tenant, ask, Ids())
        errand = errand_of(Errand, self.gateway, tenant, ask, turn)
        return Making(errand, ask, turn, keeps(self.gateway, tenant, ask.store))

    async def make(self, making: Making, tell: Tell) -> bytes:
        """Make a response whose client waits for it, and store it; its last event. Raises Refusal
        where nothing was told yet."""
        self.live[making.id] = making
        try:
            await making.make(tell)
            if making.stored:
                await self._store(making)
            return making.last()
        finally:
            del self.live[making.id]
            making.over.set()

    async def start(self, tenant: Tenant, ask: Ask, body: bytes) -> Making:
        """Begin a response that runs on by itself. body: of the request.  Raises Refusal where it
        is refused at once."""
        state = self._state(tenant)
        turn = await turn_of(self.gateway, tenant, ask, Ids())
        errand = errand_of(Deferred, self.gateway, tenant, ask, turn)
        making = Deferring(errand, ask, turn, keeps(self.gateway, tenant, ask.store))
        now = self.gateway.clock.wall()
        work = Work(making.id, KIND, tenant.name, _without_input(body), now)
        try:
            if len(self.held) < AT_ONCE:
                await making.ask_for()
                claimed, until = works.CLAIMED, now + LEASE
                work = replace(work, state=claimed, owner=self.owner, until=until, attempts=1)
            making.answer["status"] = answers.QUEUED
            await state.write(kept.queue, whole_of(making), work)
        except BaseException:
            making.give_up(STOPPED, NOT_STORED)
            errand.close(charged=False)
            raise
        if work.owner is not None:
            self._begin(making, work)
        return making

    async def run(self) -> None:
        """Look for works again and again: hold those at hand, take up those that nobody has."""
        state = self.gateway.state
        while state is not None and not self.closing:
            try:
                await self._look(state)
            except StateError as error:
                log.error("background responses are not looked for: %s", error)
            except Exception:
                log.exception("a look for background responses failed")
            await asyncio.sleep(LOOK)

    async def close(self) -> None:
        """Let go of what runs on by itself; another gateway, or this one when it is back, makes
        it."""
        self.closing = True
        self._let_go |= self.held.keys()
        for id in list(self.held):
            self.live[id].leave()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def cancel(self, making: Making) -> None:
        """End a response that is being made, and wait until it is over."""
        self._let_go.discard(making.id)
        making.leave()
        await making.over.wait()

    def _state(self, tenant: Tenant) -> State:
        """The state, where background responses can be kept. Raises Refusal."""
        state = self.gateway.state
        if state is None or not tenant.store:
            why = "nothing of your requests may be stored" if state else "it has no 'state'"
            raise bad(f"This gateway makes no background responses: {why}.", "background")
        return state

    async def _store(self, making: Making) -> None:
        """Store what is over. An answer that is there is told even where that fails."""
        state = self.gateway.state
        assert state is not None
        if making.answer["status"] == answers.CANCELLED and not making.ask.stream:
            return  # nobody ever heard of it
        try:
            await state.write(kept.store, whole_of(making))
        except StateError as error:
            log.error("a response is not stored: %s", error)
            making.answer["store"] = False

    def _begin(self, making: Deferring, work: Work) -> None:
        self.live[making.id], self.held[making.id] = making, work
        self._task(self._make(making, work))
        if self.closing:
            self._let_go.add(making.id)
            making.leave()

    def _task(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _make(self, making: Deferring, work: Work) -> None:
        """Make a background response, whatever comes."""
        charged = False
        try:
            charged = await self._made(making, work)
        except StateError as error:  # it is made once more when the state answers
            log.error("a background response is not stored: %s", error)
            self.dropped.append(work)
            making.errand.row = _not_stored(making.errand.row)
            await making.tell([making.error("The gateway cannot reach its state for now.")])
        finally:
            making.errand.close(charged)
            del self.live[making.id]
            self.held.pop(making.id, None)
            making.over.set()
            if making.log is not None:
                making.log.end()

    async def _made(self, making: Deferring, work: Work) -> bool:
        """Make it and store it, or give it back; whether it is charged. Raises StateError."""
        state, now = self.gateway.state, self.gateway.clock.wall
        assert state is not None
        try:
            await making.make(making.tell)
        except Refusal as refusal:
            if passes(refusal):
                making.answer["status"] = answers.QUEUED
                due = now() + (refusal.retry_after or LATER)
                await state.write(works.release, work, due, False)
                return False
            answers.failed(making.answer, answers.code_of(refusal.status), refusal.message)
        except StateError:
            raise
        except Exception:
            log.exception("a background response failed inside the gateway")
            answers.failed(making.answer, "server_error", GATEWAY_FAILED)
        if making.id not in self.held:
            return await self._lost(state, making, work)
        if making.id in self._let_go and making.answer["status"] == answers.CANCELLED:
            await state.write(works.release, work, now(), False)
            await making.tell([making.error("The gateway ends; the response goes on elsewhere.")])
            return False
        return await self._finish(state, making, work)

    async def _finish(self, state: State, making: Deferring, work: Work) -> bool:
        """Store how it ended, and tell it; whether it is charged. Raises StateError."""
        last = making.last()
        events = b"".join([*making.log.events, last]) if making.log else b""
        try:
            stored = await state.write(kept.finish, whole_of(making, events), work)
        except StateUnsure:
            if not (stored := await self._ended(state, work)):
                raise
        if not stored:
            return await self._lost(state, making, work)
        await making.tell([last])
        return True

    async def _ended(self, state: State, work: Work) -> bool:
        """Whether a work is done here, once the state answers. Raises StateError where the gateway
        ends before."""
        while True:
            try:
                return await state.read(works.ended, work, works.DONE)
            except StateError:
                if self.closing:
                    raise
            await asyncio.sleep(LOOK)

    async def _lost(self, state: State, making: Making, work: Work) -> bool:
        """It was ended elsewhere, or another has it: who listens will see. Whether it is charged,
        which it is here unless somebody goes on with it. Raises StateError."""
        making.answer["status"] = answers.QUEUED
        return await state.read(kept.unwanted, work)

    async def _look(self, state: State) -> None:
        now, mine = self.gateway.clock.wall(), list(self.held)
        while self.dropped:
            await self._give_back(state, self.dropped[0], now)
            del self.dropped[0]
        if mine:
            held = await state.write(works.extend, self.owner, now + LEASE)
            for id in mine:
                if id not in held and self.held.pop(id, None) is not None:
                    self.live[id].leave()  # it was cancelled elsewhere, or another has it by now
        for taken in await state.write(works.requeue, now, ATTEMPTS):
            if taken.kind == KIND and taken.state == works.FAILED:
                await state.write(kept.fail, taken.id, taken.tenant, now)
        room = AT_ONCE - len(self.held)
        if room > 0:
            wanted = Claim(owner=self.owner, kinds=(KIND,), most=room, now=now, until=now + LEASE)
            for work in await state.write(works.claim, wanted):
                try:
                    await self._resume(state, work, now)
                except StateError as error:
                    log.error("a background response is not gone on with yet: %s", error)
                    self.dropped.append(work)

    async def _give_back(self, state: State, work: Work, now: float) -> None:
        """Let a response be made later that the state failed over; one that was begun too often
        fails, since each time engines work for it. Raises StateError."""
        if work.attempts < ATTEMPTS:
            await state.write(works.release, work, now + LATER * 2**work.attempts, True)
        else:
            await state.write(_fail, work, now, NEVER)

    async def _resume(self, state: State, work: Work, now: float) -> None:
        """Go on with a background response that was begun elsewhere, or before. Raises StateError;
        whatever else comes ends this one response only."""
        if work.id in self.live:  # of an earlier claim, which ends in a moment
            await state.write(works.release, work, now, False)
            return
        try:
            found = await state.read(kept.again, work.id, work.tenant, now)
            if found is None:
                await state.write(works.finish, work, works.FAILED, None)
                return
            making = await self._again(work, *found)
        except Refusal as refusal:
            if passes(refusal):  # such as while engines start
                due = now + (refusal.retry_after or LATER)
                await state.write(works.release, work, due, False)
                return
            why = refusal.message
        except Sealed as error:  # no later look has more keys
            why = str(error)
        except StateError:
            raise
        except Exception:
            log.exception("a background response cannot be gone on with")
            why = GATEWAY_FAILED
        else:
            self._begin(making, work)
            return
        await state.write(_fail, work, now, why)

    async def _again(self, work: Work, document: Document, items: list[Item]) -> Deferring:
        """A background response that was asked for before. items: its input.  Raises Refusal."""
        gateway, tenant = self.gateway, self.gateway.tenants.named(work.tenant)
        ask, ids = read(work.body), ids_of(work.id, len(items))
        turn = await turn_of(gateway, tenant, ask, ids, items)
        spent = gateway.clock.wall() - document.created
        errand = errand_of(Deferred, gateway, tenant, ask, turn, spent)
        return Deferring(errand, ask, turn, document.kind == kept.RESPONSE, document.created)


def _fail(transaction: Transaction, work: Work, now: float, why: str) -> None:
    """A work that is claimed comes to nothing, and its response with it, so far as that can be
    opened."""
    if works.finish(transaction, work, works.FAILED, None):
        with suppress(Sealed):
            kept.fail(transaction, work.id, work.tenant, now, why)


def _not_stored(row: Row | None) -> Row | None:
    """The row of an answer that was whole, but nobody will ever read."""
    if row is None or row.outcome != FINISHED:
        return row
    return row._replace(outcome=FAILED, reason=NOT_STORED)


def _without_input(body: bytes) -> bytes:
    """A request without its input, which is stored by itself."""
    fields: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    fields.pop("input", None)
    return msgspec.json.encode(fields)
