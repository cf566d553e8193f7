"""The lines of batches that one gateway asks: claimed, asked, stored.

Only as many are under way as keep the engines busy: those on them, and as many again in the queues
of the policies, which decide when each starts. They stand there in the lowest class, so that they
start when nobody else waits; a line that waits for long is asked anew, as age would carry it before
others.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Task
from collections import Counter
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from eke.errors import StateError
from eke.gateway.batches import kept
from eke.gateway.batches.active import Active
from eke.gateway.batches.asking import WITHDRAWN, Answer, Asking
from eke.gateway.batches.batch import urgency
from eke.gateway.batches.choosing import choose
from eke.gateway.batches.errands import Turn
from eke.gateway.deferred import spared
from eke.gateway.desk import Desk
from eke.gateway.gateway import Gateway
from eke.gateway.row import Row
from eke.gateway.state import works
from eke.gateway.state.documents import Document
from eke.gateway.state.state import State
from eke.gateway.state.transaction import Transaction
from eke.gateway.state.works import Claim

log = logging.getLogger("eke.gateway")

AHEAD = 2  # lines under way for each place of the engines
SOON = 1.0  # when to try again to store what came [s]

P = ParamSpec("P")


class Lines:
    """The lines under way. active: batches that run, by id.  owner: of the claims.  lease: for
    which they are good [s].  news: something ended.  stale: which batches run is to be looked at
    at once."""

    def __init__(self, gateway: Gateway, state: State, owner: str, lease: float) -> None:
        self.gateway, self.state, self.owner, self.lease = gateway, state, owner, lease
        self.active: dict[str, Active] = {}
        self.closing = self.stale = False
        self.news = asyncio.Event()
        self._tasks: set[Task[None]] = set()

    def see(self, running: list[Document], held: set[str]) -> None:
        """These batches run now, and these works are still ours."""
        now, wall = self.gateway.clock.now(), self.gateway.clock.wall()
        there = {each.id: self.active.get(each.id) or Active(each) for each in running}
        ending = {id: batch for id, batch in self.active.items() if batch.lines}
        self.active = {**ending, **there}
        for id, batch in self.active.items():
            batch.dry = id not in there or wall >= batch.ends
            if batch.dry:
                batch.stop(works.CANCELLED)
            for line, asking in batch.lines.items():
                if line not in held:
                    asking.stop(works.CANCELLED)  # another gateway has it, or nobody wants it
            batch.refresh(now, wall)

    def quiet(self, batch: str) -> bool:
        """Whether nothing of a batch is under way here, and nothing waits as far as known."""
        found = self.active.get(batch)
        return found is None or (found.dry and not found.lines)

    async def fill(self) -> None:
        """Claim and ask as many lines as engines have use for. Raises StateError."""
        desks: dict[int, tuple[Desk, list[Active]]] = {}
        for batch in self.active.values():
            desk = self.gateway.desks.get(batch.model)
            if desk is not None:
                desks.setdefault(id(desk), (desk, []))[1].append(batch)
        for desk, batches in desks.values():
            await self._fill(desk, batches)

    async def close(self) -> None:
        """Let go of everything; what was not answered is asked elsewhere, or later."""
        self.closing = True
        for batch in self.active.values():
            batch.stop("")
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def withdraw(self) -> None:
        """Take everything back that is not started: this gateway is about to end."""
        self.closing = True
        for batch in self.active.values():
            for asking in batch.lines.values():
                asking.withdraw()

    async def _fill(self, desk: Desk, batches: list[Active]) -> None:
        slots = sum(engine.slots for engine in desk.engines.values() if engine.alive)
        flying = Counter[str]()
        for batch in batches:
            flying[batch.tenant] += len(batch.lines)
        room = AHEAD * slots - flying.total()
        if room <= slots // 2:  # a few at a time
            return
        weights = {each.name: each.weight for each in self.gateway.tenants.by_name.values()}
        by_id = {batch.id: batch for batch in batches}
        while room > 0:
            wall = self.gateway.clock.wall()
            standings = [batch.standing(room, wall) for batch in batches]
            given = choose(standings, room, flying, weights)
            if not given:
                return
            for id, count in given.items():
                taken = await self._claim(by_id[id], count, wall)
                flying[by_id[id].tenant] += taken
                room -= taken

    async def _claim(self, batch: Active, count: int, wall: float) -> int:
        """Take lines of a batch and ask them; how many there were."""
        kinds, until = (kept.lines_of(batch.id),), wall + self.lease
        wanted = Claim(owner=self.owner, kinds=kinds, most=count, now=wall, until=until)
        taken = await self.state.write(works.claim, wanted)
        batch.dry = len(taken) < count
        for work in taken:
            if work.id in batch.lines:  # of a claim that was lost, which ends in a moment
                await self.state.write(works.release, work, wall, False)
                continue
            asking = batch.lines[work.id] = Asking(self.gateway, work)
            task = asyncio.get_running_loop().create_task(self._answer(batch, asking))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(taken)

    async def _answer(self, batch: Active, asking: Asking) -> None:
        """See one line through."""
        try:
            await self._store(batch, asking, await self._asked(batch, asking))
        except Exception:
            log.exception("a line of a batch failed inside the gateway")
            later = self.gateway.clock.wall() + SOON
            await self._insist(kept.release_line, asking.work, later, True)
        finally:
            asking.close(charged=False)  # where that was not known
            del batch.lines[asking.work.id]
            self.news.set()

    async def _asked(self, batch: Active, asking: Asking) -> Answer:
        """Ask a line until something comes of it."""
        if (lost := asking.lost()) is not None:
            return Answer(works.FAILED, lost)
        while True:
            wall = self.gateway.clock.wall()
            level = urgency(batch.created, batch.window, wall)
            turn = Turn(priority=level, deadline=max(batch.ends - wall, SOON))
            answer = await asking.ask(turn)
            if answer is not WITHDRAWN or asking.stopped or self.closing:
                return answer

    async def _store(self, batch: Active, asking: Asking, answer: Answer) -> None:
        """Store what came of a line, and charge it if it was stored."""
        work, row, state = asking.work, asking.row, answer.state or asking.stopped
        charged = False
        if state:
            charged = state == works.DONE
            bill = self._bill(row if charged or row is None else spared(row))
            ours = await self._insist(kept.end_line, work, state, answer.result, bill)
            charged = charged and ours
            batch.worked()
        else:
            wall = self.gateway.clock.wall()
            due = wall if answer is WITHDRAWN else batch.refused(answer.again, wall)
            await self._insist(kept.release_line, work, due, answer.tried)
        asking.close(charged)

    def _bill(self, row: Row | None) -> kept.Bill:
        keeper = self.gateway.keeper
        return None if row is None or keeper is None else (keeper.name, row)

    async def _insist(
        self, verb: Callable[Concatenate[Transaction, P], bool], *nouns: P.args, **named: P.kwargs
    ) -> bool:
        """Store something, however long the state does not answer; False where it is not to be, or
        the gateway ends before."""
        while True:
            try:
                return await self.state.write(verb, *nouns, **named)
            except StateError as error:
                if self.closing:
                    return False
                log.error("what came of a batch's line is not stored yet: %s", error)
            await asyncio.sleep(SOON)
