"""The engine in real time: one task that lets its steps happen when they are due.

Steps follow one another on the engine's own clock, so that late wake-ups do not add up. Where many
would fall into a few milliseconds, they are taken together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic

from eke.standin.engine import Engine, Step
from eke.standin.metrics import Counts
from eke.standin.sequence import Request

GRAIN = 2e-3  # steps are taken together up to this long [s]
SLACK = 1e-3  # and nobody sleeps for less [s]
TURN = 5e-3  # after which others get their turn, where the engine is behind [s]


class Ticket:
    """What a client has of its request. each: it wants its tokens as they come, not all at the end.
    speaks: it wants words, not a vector."""

    __slots__ = ("_told", "_wake", "each", "got", "held", "left", "request", "speaks")

    def __init__(self, request: Request, each: bool, speaks: bool = True) -> None:
        self.request, self.each, self.speaks = request, each, speaks
        self.got = self._told = 0
        self.held = self.left = False
        self._wake: asyncio.Future[None] | None = None
        request.client = self

    @property
    def over(self) -> bool:
        """Whether all tokens are there."""
        return self.got >= self.request.answer

    async def more(self) -> int:
        """How many tokens have come since it was last asked, at least one; 0 once it has left."""
        while not self.left:
            if self.got > self._told and not self.held and (self.each or self.over):
                new, self._told = self.got - self._told, self.got
                return new
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        return 0

    def wake(self) -> None:
        """Let the client look again."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def release(self) -> None:
        """The first token has passed the last stage of a pipeline."""
        self.held = False
        self.wake()


class Driver:
    """An engine and its clock. pace: seconds of the engine per second of the clock on the wall."""

    def __init__(self, engine: Engine, counts: Counts, pace: float = 1.0) -> None:
        self.engine, self.counts, self.pace = engine, counts, pace
        self.clock = 0.0  # up to which the engine has decided [s of the engine]
        self._inbox: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None  # while there is something to do
        self._begun = monotonic()

    @property
    def waiting(self) -> int:
        """Requests that are in no step yet."""
        return self.engine.waiting + len(self._inbox)

    def ask(self, ticket: Ticket) -> None:
        """A request comes."""
        ticket.request.arrived = (monotonic() - self._begun) * self.pace
        self._inbox.append(ticket.request)
        if self._task is None or self._task.done():
            if self._task is not None:
                self._task.result()  # raises what ended it, if it was not for want of work
            self._task = asyncio.ensure_future(self._run())

    def leave(self, ticket: Ticket) -> None:
        """Its client has gone: its place is free at the next step."""
        if ticket.left:
            return
        ticket.left = True
        if ticket.over:
            return
        if ticket.request in self._inbox:
            self._inbox.remove(ticket.request)
        else:
            self.engine.drop(ticket.request)
        ticket.wake()

    async def _run(self) -> None:
        turn = monotonic()
        while self.engine.busy or self._inbox:
            self._let_in()
            step = self.engine.step(self.clock, self._wanted())
            if step is not None:
                self.clock += step.duration
                turn = await self._until(self.clock, turn)
                self._tell(step)

    def _let_in(self) -> None:
        """Those who have come by now are seen by the engine."""
        if not self.engine.busy and self._inbox:
            self.clock = max(self.clock, self._inbox[0].arrived)
        while self._inbox and self._inbox[0].arrived <= self.clock:
            request = self._inbox.popleft()
            self.engine.add(request, request.arrived)

    def _wanted(self) -> float:
        """How long steps may be taken together: a grain, or until the next one comes in."""
        grain = GRAIN * self.pace
        return min(grain, self._inbox[0].arrived - self.clock) if self._inbox else grain

    async def _until(self, when: float, turn: float) -> float:
        """Wait for a time of the engine; when others last had their turn [s]."""
        due, now = self._begun + when / self.pace, monotonic()
        if due - now > SLACK:
            await asyncio.sleep(due - now)
        elif now - turn > TURN:
            await asyncio.sleep(0)
        else:
            return turn
        return monotonic()

    def _tell(self, step: Step) -> None:
        """Everybody gets what the step gives."""
        for request, tokens in step.gives:
            ticket: Ticket = request.client
            if ticket.left:
                continue
            if ticket.got == 0:
                self._first(ticket, step.lag)
            ticket.got += tokens
            self.counts.generated += tokens * ticket.speaks
            if ticket.each or ticket.over:
                ticket.wake()

    def _first(self, ticket: Ticket, lag: float) -> None:
        """A first token: what is counted then, and in a pipeline it comes later."""
        request, counts = ticket.request, self.counts
        scheduled = request.arrived if request.scheduled is None else request.scheduled
        counts.prompts += request.prompt
        counts.queued.add((scheduled - request.arrived) / self.pace)
        counts.first.add((self.clock + lag - request.arrived) / self.pace)
        if lag > 0:
            ticket.held = True
            asyncio.get_running_loop().call_later(lag / self.pace, ticket.release)
