"""A small world to try policies in: engines with a speed and a memory, reports that are late."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any, Protocol

from eke.policy.protocol import (
    Action,
    Arrived,
    EngineReport,
    Event,
    Failed,
    Finished,
    FirstToken,
    Left,
    Policy,
    Reject,
    Start,
    Stop,
    Tick,
)
from eke.types.record import Record, replace
from eke.types.request import Request

NOTICED = 0.05  # until a request that was sent to a dead engine has failed [s]
PATIENCE = 4000.0  # after the last arrival, nothing that still waits is waited for [s]
TICKS = 1000  # of an alarm at one moment, before that is a busy loop

Entry = tuple[float, Event, tuple[Action, ...]]  # when, what was told, what was answered


class Machine(Record):
    """One engine of a toy world.

    pace: time that a sequence takes per token [s].  hidden: slots it really has, if fewer.
    since: when it is there [s].  dead: from when to when it is not [s].
    """

    slots: int = 4
    room: int = 4000
    pace: float = 0.002
    hidden: int | None = None
    longest: int = 1 << 40
    model: str = "large"
    since: float = 0.0
    dead: tuple[float, float] | None = None


class World(Record):
    """Everything that will happen, whatever the policy does.

    answers: true length of each request's answer [tokens].  leaving: request → when its client
    goes away [s].  poison: requests that fail on every engine.  period, delay: of reports [s].
    follows: request → who comes when it is answered, and how long after [s]; who follows one that
    is not answered never comes.
    """

    name: str
    requests: Sequence[Request]
    answers: dict[int, int]
    machines: Sequence[Machine]
    leaving: dict[int, float] = {}
    poison: frozenset[int] = frozenset()
    period: float = 1.0
    delay: float = 0.0
    follows: dict[int, tuple[int, float]] = {}


class Watcher(Protocol):
    """Who looks on, and may object."""

    def event(self, event: Event, now: float) -> None: ...

    def action(self, action: Action, now: float) -> None: ...

    def settled(self, now: float) -> None: ...


class Engine:
    """What really happens on a machine: who is taken in, who waits inside."""

    def __init__(self, number: int, machine: Machine) -> None:
        self.number, self.machine = number, machine
        self.running: dict[int, float] = {}  # request → tokens it will hold at its end
        self.queue: deque[int] = deque()
        self.alive = True
        self.pace: float | None = None

    def fits(self, size: float) -> bool:
        machine = self.machine
        slots = machine.slots if machine.hidden is None else machine.hidden
        held = sum(self.running.values())
        return len(self.running) < slots and (held + size <= machine.room or not self.running)

    def report(self, now: float) -> EngineReport:
        """Its state, as of now."""
        machine, running = self.machine, len(self.running)
        if running:
            self.pace = machine.pace / running
        held = int(sum(self.running.values()))
        return EngineReport(
            *(self.number, now, machine.slots, machine.room, running, len(self.queue), held),
            *(machine.longest, self.alive, machine.model, self.pace),
        )


class Play:
    """One policy in one world.

    log: everything told and answered.  over: requests that ended, in any way.
    later: requests that follow others.
    """

    def __init__(self, world: World, policy: Policy, watcher: Watcher) -> None:
        self.world, self.policy, self.watcher = world, policy, watcher
        self.now = 0.0
        self.log: list[Entry] = []
        self.over: set[int] = set()
        self.requests = {request.id: request for request in world.requests}
        self.engines = [Engine(*pair) for pair in enumerate(world.machines)]
        self.later = {number for number, _ in world.follows.values()}
        self.work = {each.id: each.work for each in world.requests if each.work}
        self.turn: dict[int, int] = {}  # request → how often it was started or taken back
        self.most: dict[int, int] = {}  # request → where its answer is cut
        self.where: dict[int, int] = {}  # request → engine that has it
        self.begun: dict[int, float] = {}  # job → when it last went on
        self._plan: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._count = 0

    def run(self) -> None:
        """Let everything happen."""
        for engine in self.engines:
            self.at(engine.machine.since, self._introduce, engine)
        for request in self.world.requests:
            if request.id not in self.later:
                self.at(request.arrived, self._arrives, request)
        for number, when in self.world.leaving.items():
            self.at(when, self._leaves, number)
        last = max((each.arrived for each in self.world.requests), default=0.0) + PATIENCE
        while self._plan and len(self.over) < len(self.requests) and self.now < last:
            self._alarms(self._plan[0][0])
            self.now, _, happens, about = heappop(self._plan)
            happens(about)

    def at(self, when: float, happens: Callable[[Any], None], about: Any) -> None:
        self._count += 1
        heappush(self._plan, (when, self._count, happens, about))

    def tell(self, event: Event) -> None:
        """An event to the policy; do what it answers."""
        self.watcher.event(event, self.now)
        actions = tuple(self.policy.on(event, self.now))
        self.log.append((self.now, event, actions))
        for action in actions:
            self.watcher.action(action, self.now)
            self._do(action)
        self.watcher.settled(self.now)

    def _alarms(self, until: float) -> None:
        """Tick as often as the policy wants before the next happening."""
        at_once = 0
        while self.policy.alarm is not None and self.policy.alarm <= until:
            at_once = at_once + 1 if self.policy.alarm <= self.now else 0
            if at_once > TICKS:
                raise AssertionError(f"its alarm went off {TICKS} times at {self.now:g} s")
            self.now = max(self.now, self.policy.alarm)
            self.tell(Tick())

    def _do(self, action: Action) -> None:
        number = action.request
        if isinstance(action, Reject):
            self._ends(number)
        elif isinstance(action, Stop):
            self._withdraw(number)
        else:
            self._begin(action)

    def _begin(self, start: Start) -> None:
        """An engine gets a request; a dead one, or a poisoned request, comes to nothing."""
        number, engine = start.request, self.engines[start.engine]
        self.where[number] = engine.number
        self.most[number] = self.requests[number].most if start.most is None else start.most
        turn = self.turn[number] = self.turn.get(number, 0) + 1
        if not engine.alive or number in self.world.poison:
            self.at(self.now + NOTICED, self._fails, (number, turn, "no answer"))
            return
        engine.queue.append(number)
        self._take_in(engine)

    def _take_in(self, engine: Engine) -> None:
        """An engine takes in, in order, whom it has room for."""
        while engine.queue and engine.fits(self._size(engine.queue[0])):
            number = engine.queue.popleft()
            engine.running[number] = self._size(number)
            took = self.work.get(number) or self._size(number) * engine.machine.pace
            self.begun[number] = self.now
            self.at(self.now + took, self._finishes, (number, self.turn[number]))
            if self.policy.hear_first and number not in self.work:
                read = self.requests[number].prompt * engine.machine.pace
                self.at(self.now + min(read, took), self._speaks, (number, self.turn[number]))

    def _size(self, number: int) -> float:
        return self.requests[number].prompt + self._answer(number)

    def _answer(self, number: int) -> int:
        return min(self.world.answers[number], self.most[number])

    def _withdraw(self, number: int) -> None:
        """Take a request off its engine; a job keeps its progress."""
        engine = self.engines[self.where.pop(number)]
        self.turn[number] += 1
        if engine.running.pop(number, None) is not None:
            if number in self.work:
                self.work[number] -= self.now - self.begun[number]
        elif number in engine.queue:
            engine.queue.remove(number)
        self._take_in(engine)

    def _current(self, number: int, turn: int) -> bool:
        """Whether what was planned for a request still holds."""
        return self.turn.get(number) == turn and number in self.where

    def _finishes(self, about: tuple[int, int]) -> None:
        number, _ = about
        if self._current(*about):
            engine = self.engines[self.where.pop(number)]
            del engine.running[number]
            self._take_in(engine)
            self.over.add(number)
            if number in self.world.follows:
                follower, gap = self.world.follows[number]
                self.at(self.now + gap, self._arrives, self.requests[follower])
            self.tell(Finished(number, self._answer(number)))

    def _speaks(self, about: tuple[int, int]) -> None:
        if self._current(*about):
            self.tell(FirstToken(about[0]))

    def _fails(self, about: tuple[int, int, str]) -> None:
        number, turn, reason = about
        if self._current(number, turn):
            self._withdraw(number)
            self.tell(Failed(number, reason))

    def _arrives(self, request: Request) -> None:
        follows = request.id in self.later
        self.tell(Arrived(replace(request, arrived=self.now) if follows else request))

    def _ends(self, number: int) -> None:
        """A request is over without an answer, and with it those that would have followed."""
        self.over.add(number)
        while number in self.world.follows:
            number = self.world.follows[number][0]
            self.over.add(number)

    def _leaves(self, number: int) -> None:
        if number not in self.over:
            if number in self.where:
                self._withdraw(number)
            self._ends(number)
            self.tell(Left(number))

    def _introduce(self, engine: Engine) -> None:
        self._reports(engine)
        if engine.machine.dead:
            self.at(engine.machine.dead[0], self._dies, engine)
            self.at(engine.machine.dead[1], self._revives, engine)

    def _reports(self, engine: Engine) -> None:
        self.at(self.now + self.world.delay, self.tell, engine.report(self.now))
        self.at(self.now + self.world.period, self._reports, engine)

    def _dies(self, engine: Engine) -> None:
        engine.alive = False
        for number in [*engine.running, *engine.queue]:
            self._fails((number, self.turn[number], "engine died"))

    def _revives(self, engine: Engine) -> None:
        engine.alive = True
