"""What a gateway keeps in its state as it goes: rows, leave to use budgets, a sign of life."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil

import msgspec

from eke.errors import StateError, StateUnsure
from eke.gateway.clock import Clock
from eke.gateway.engines.engine import Engine
from eke.gateway.ledger import UNITS, Leave, Told
from eke.gateway.periods import begin_of
from eke.gateway.row import Row
from eke.gateway.settings import Limit
from eke.gateway.state import blobs, budgets, deleting, gateways, rows
from eke.gateway.state.gateways import Alive
from eke.gateway.state.state import State
from eke.gateway.state.transaction import Transaction

log = logging.getLogger("eke.gateway")

HELD = 15.0  # leave and a sign of life are good for so long [s]
DAY = 86400.0  # s
TOLD = 400  # days for which rows and budgets can be asked for; a year, and the month after it
AT_ONCE = 50  # windows that are told in one transaction, which keeps who asks for leave waiting
KEPT = 200_000  # rows that wait for a state that is full, before the oldest are lost

Verb = Callable[[Transaction, str, budgets.Ask, budgets.Settled | None], budgets.Given]


class Presence(msgspec.Struct, frozen=True):
    """What a gateway tells the others. running, wanting: requests on each engine by its address,
    and those that would be.  waiting: requests in its queues, by tenant.  lent: engines that jobs
    have."""

    running: dict[str, int] = {}
    wanting: dict[str, int] = {}
    waiting: dict[str, int] = {}
    lent: tuple[str, ...] = ()


class Keeper:
    """One gateway's dealings with its state.

    name: of this gateway, another one at each start.  others: what the other gateways tell.
    standing: how budgets stood at the last beat, over all gateways, by tenant and limit.
    """

    def __init__(self, state: State, clock: Clock, name: str = "") -> None:
        self.state, self.clock = state, clock
        self.name = name or f"{os.uname().nodename}-{os.getpid()}-{os.urandom(4).hex()}"
        self.others: list[Presence] = []
        self.standing: dict[tuple[str, str], budgets.Budget] = {}
        self._troubles: dict[str, str] = {}  # by what the state did not take when last it was to
        self._rows: list[Row] = []
        self._settled: dict[budgets.Window, budgets.Settled] = {}
        self._sampled: dict[int, tuple[float, float, int]] = {}  # engine: busy, idle, tokens
        self._busy = asyncio.Lock()

    @property
    def trouble(self) -> str:
        """What the state says that does not take what is to be kept; "" where it does."""
        return next(iter(self._troubles.values()), "")

    @property
    def waiting(self) -> int:
        """Rows that are not stored yet."""
        return len(self._rows)

    def write(self, row: Row) -> None:
        """A request is over; it is stored a little later, with others."""
        self._rows.append(row)

    async def lease(
        self, tenant: str, limit: Limit, window: int, wanted: float, least: float
    ) -> Leave:
        """How much more may be used here. Raises StateError."""
        ask = self._ask(tenant, limit, window, wanted, least)
        return await self._leave(budgets.lease, limit, ask)

    async def rest(self, tenant: str, limit: Limit, window: int) -> Leave:
        """All that is left, where nobody else has leave. Raises StateError."""
        ask = self._ask(tenant, limit, window, limit.amount, 0.0)
        return await self._leave(budgets.rest, limit, ask)

    async def _leave(self, verb: Verb, limit: Limit, ask: budgets.Ask) -> Leave:
        """Leave to use a part of a limit; what is still to be told of it goes before."""
        unit, settled = UNITS[limit.what], self._settled.pop(ask.window, None)
        try:
            found = await self.state.write(verb, self.name, ask, settled)
        except StateError as error:
            if settled is not None:
                self._again(error, [settled])
            raise
        return Leave(found.amount * unit, found.left * unit, found.others)

    def settle(self, tenant: str, limit: Limit, window: int, told: Told) -> None:
        """What became of leave, to be told a little later."""
        used, back, beyond = (round(amount / UNITS[limit.what]) for amount in told)
        where, most = _window(tenant, limit, window), _most(limit)
        self._later(budgets.Settled(where, most, used, back, beyond))

    def _later(self, told: budgets.Settled) -> None:
        """To be told, together with what is to be told of the same window already."""
        before = self._settled.get(told.window)
        if before is not None:
            told = told.after(before)
        self._settled[told.window] = told

    async def _tell(self, some: list[budgets.Settled]) -> None:
        """Tell what was used. Raises StateError."""
        try:
            await self.state.write(budgets.settle, self.name, some)
        except StateError as error:
            self._again(error, some)
            raise

    def _again(self, error: StateError, some: list[budgets.Settled]) -> None:
        """To be told once more, if it was not stored for sure: nobody pays twice."""
        if not isinstance(error, StateUnsure):
            for each in some:
                self._later(each)

    async def flush(self) -> None:
        """Store what is over. What does not go in now is tried again later."""
        async with self._busy:
            with self._trying("flush"):
                while self._settled:
                    some = [self._settled.pop(each) for each in list(self._settled)[:AT_ONCE]]
                    await asyncio.shield(self._tell(some))  # told once, whoever does not wait
                while batch := self._rows[:500]:
                    await self._store(batch)
                    del self._rows[: len(batch)]

    async def _store(self, batch: list[Row]) -> None:
        """Store rows. One that no database takes is lost, for it would stop all that come after
        it. Raises StateError."""
        try:
            await self.state.write(rows.add, self.name, batch)
        except StateError:
            raise
        except Exception as error:
            if len(batch) == 1:
                log.error("row %d is lost: %s", batch[0].number, type(error).__name__)
                return
            middle = len(batch) // 2
            await self._store(batch[:middle])
            await self._store(batch[middle:])

    async def beat(self, presence: Presence, tenants: Sequence[str] = ()) -> None:
        """Say that this gateway is there, and hear of the others, and of the budgets of tenants."""
        wall = self.clock.wall()
        body = msgspec.json.encode(presence)
        alive = Alive(self.name, self.clock.wall(0.0), wall, body)
        with self._trying("beat"):
            await self.state.write(gateways.beat, alive)
            await self.state.write(budgets.renew, self.name, wall + HELD)
            for lost in await self.state.write(budgets.expire, wall):
                log.warning("leave of gateway %s counts as spent: %s", lost.gateway, lost.name)
            found = await self.state.read(gateways.heard, wall - HELD)
            others = [each for each in found if each.id != self.name]
            self.others = [msgspec.json.decode(each.body, type=Presence) for each in others]
            standing = await self.state.read(budgets.current, tenants, wall)
            self.standing = {(each.tenant, each.name): each for each in standing}

    async def sample(self, engines: Sequence[Engine], queued: int) -> None:
        """Keep how engines stand. queued: requests that the policies hold back."""
        now = self.clock.now()
        read = {each.number: (*each.meter.read(now), each.tokens) for each in engines}
        found = [self._sample(engine, read[engine.number], queued, now) for engine in engines]
        self._sampled = read
        with self._trying("sample"):
            await self.state.write(rows.add_samples, self.name, found)

    async def sweep(self) -> None:
        """Delete what has been kept long enough. To be called every minute or so."""
        wall = self.clock.wall()
        with self._trying("sweep"):
            while await self.state.write(deleting.sweep, wall):
                pass  # so many at a time, that nobody waits long
            await self.state.write(blobs.sweep, wall - DAY)
            await self.state.write(budgets.sweep, wall - TOLD * DAY)
            await self.state.write(rows.sweep, wall - TOLD * DAY)
            await self.state.write(gateways.sweep, wall - DAY)

    async def leave(self) -> None:
        """This gateway ends, and keeps no leave from others, unless it could not tell what it used
        of it."""
        await self.flush()
        with self._trying("leave"):
            if not self._settled:
                await self.state.write(budgets.leave, self.name)
            await self.state.write(gateways.leave, self.name)

    def share(self, engine: Engine, wanting: int) -> bool:
        """Divide an engine with the other gateways, by what each would have on it. Whether it came
        to be lent to a job of theirs, or came back."""
        url, before = engine.settings.url, engine.lent
        engine.elsewhere = sum(each.running.get(url, 0) for each in self.others)
        there = [each.wanting[url] for each in self.others if url in each.wanting]
        whole = wanting + 1 + sum(each + 1 for each in there)
        engine.given = (wanting + 1) / whole if there else None
        engine.lent = any(url in each.lent for each in self.others)
        if engine.holder is not None and any(there):
            engine.holder.want()
        return engine.lent != before

    def _ask(
        self, tenant: str, limit: Limit, window: int, wanted: float, least: float
    ) -> budgets.Ask:
        unit = UNITS[limit.what]
        return budgets.Ask(
            window=_window(tenant, limit, window),
            most=_most(limit),
            wanted=int(wanted / unit) + 1,
            least=ceil(least / unit),
            until=self.clock.wall() + HELD,
        )

    def _sample(
        self, engine: Engine, read: tuple[float, float, int], queued: int, now: float
    ) -> rows.Sample:
        """How an engine stands. read: busy and idle time of its meter [s], and its tokens."""
        before = self._sampled.get(engine.number, (0.0, 0.0, 0))
        busy, idle, tokens = (now - then for now, then in zip(read, before, strict=True))
        return rows.Sample(
            engine=engine.name,
            time=self.clock.wall(now),
            running=engine.running,
            waiting=engine.inside,
            queued=queued,
            cache=engine.used,
            busy=busy / (busy + idle) if busy + idle > 0 else 0.0,
            tokens=tokens,
            alive=int(engine.alive),
        )

    @contextmanager
    def _trying(self, what: str) -> Iterator[None]:
        """Do something with the state; if that does not answer, it is told until it does."""
        try:
            yield
        except StateError as error:
            if not self.trouble:
                log.error("the state does not take what is to be kept: %s", error)
            self._troubles[what] = str(error)
            self._bounded()
        else:
            self._troubles.pop(what, None)

    def _bounded(self) -> None:
        """Hold no more rows than there is room for."""
        lost = len(self._rows) - KEPT
        if lost > 0:
            log.error("%d rows are lost: the state has been full for too long", lost)
            del self._rows[:lost]


def _most(limit: Limit) -> int:
    return round(limit.amount / UNITS[limit.what])


def _window(tenant: str, limit: Limit, index: int) -> budgets.Window:
    starts, ends = (begin_of(limit.period, number) for number in (index, index + 1))
    return budgets.Window(tenant, limit.name, starts, ends)
