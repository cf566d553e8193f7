"""The clock of the gateway: events to a policy as they happen, its actions to calls and engines.

The counterpart of `eke.simulation.driver`; nothing here decides who goes where.
"""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Mapping, Sequence

from eke.gateway.call import Call
from eke.gateway.clock import Clock
from eke.gateway.engines.engine import Engine
from eke.gateway.recording import Record
from eke.policy.protocol import (
    Action,
    Arrived,
    Event,
    Failed,
    Finished,
    FirstToken,
    Left,
    Place,
    Policy,
    Reject,
    Start,
    Tick,
)

log = logging.getLogger("eke.gateway")

Begin = Callable[[], tuple[Policy, Record | None]]


class Desk:
    """One policy, the engines that stand in for each other under it, and the calls it decides on.

    begin: makes a fresh policy, and what is given every event with its time and what the policy
    answered; None for nothing.  model: what the policy calls the model that requests ask for, one
    of those that share the desk.  engines: by number.  serves: of each, the smaller model that it
    would answer with, as requests name it; "" for the one asked for.
    calls: by number, until they are over.  waiting: how many requests are not started; work of a
    whole engine is not counted.  alone: since when none of its engines is there [s].
    retired: no model has it any more; it is there for those who came before.
    """

    def __init__(self, begin: Begin, model: str, clock: Clock, loop: AbstractEventLoop) -> None:
        self._begin, self.model, self.clock, self.loop = begin, model, clock, loop
        self.policy, self.record = begin()
        self.engines: dict[int, Engine] = {}
        self.serves: dict[int, str] = {}
        self.calls: dict[int, Call] = {}
        self.waiting = 0
        self.alone: float | None = None
        self.retired = False
        self.beside: dict[int, list[Desk]] = {}  # engine → other desks that have it
        self._strangers: dict[int, Call] = {}  # started by a policy before this one
        self._anew = False  # a policy begins anew because the one before it failed
        self._alarm: float | None = None
        self._timer: TimerHandle | None = None

    def take_in(self, engines: Mapping[int, Engine], serves: Mapping[int, str]) -> None:
        """It has these engines too, or has them already."""
        self.engines |= engines
        self.serves |= serves

    def drop(self, number: int) -> None:
        """It has an engine no more."""
        self.engines.pop(number, None)
        self.serves.pop(number, None)

    def arrive(self, call: Call) -> None:
        """A request comes; it is started or refused at once, or it waits."""
        self.calls[call.request.id] = call
        self.waiting += not call.request.work
        self.tell(Arrived(call.request))

    def first(self, call: Call) -> None:
        """The first of an answer is there."""
        if self.policy.hear_first:
            self.tell(FirstToken(call.request.id))

    def finished(self, call: Call, tokens: int, cached: int) -> None:
        """A request is answered."""
        del self.calls[call.request.id]
        if self._strangers and self._was_stranger(call, call.engine):
            return
        self.tell(Finished(call.request.id, tokens, cached))

    def failed(self, call: Call, reason: str) -> None:
        """Its engine gave nothing: the policy starts it anew, or refuses it."""
        self.waiting += not call.request.work
        engine, call.engine = call.engine, None
        call.started = None
        if engine is not None:
            engine.coming.discard(call.request.id)
        stranger = self._was_stranger(call, engine)
        self.tell(Arrived(call.request) if stranger else Failed(call.request.id, reason))

    def left(self, call: Call) -> None:
        """Nobody waits for a request any more."""
        if call.engine is not None:
            call.engine.coming.discard(call.request.id)
        if self.calls.pop(call.request.id, None) is not None:
            self.waiting -= call.engine is None and not call.request.work
            if not self._was_stranger(call, call.engine):
                self.tell(Left(call.request.id))

    def turn_away(self, reason: str, retry_after: float) -> None:
        """Refuse every request that waits."""
        waiting = [each for each in self.calls.values() if each.engine is None]
        for call in [each for each in waiting if not each.request.work]:
            self.left(call)
            call.refuse(Reject(call.request.id, reason, retry_after))

    def swap(self, own: bool = False) -> None:
        """Another policy decides from now on. It knows nothing of what is under way, which takes
        places from it; those waiting come to it in the order of their numbers. own: it hears of no
        engine with a smaller model, before such are taken in again."""
        self.policy, self.record = self._begin()
        for number in [each for each, smaller in self.serves.items() if own and smaller]:
            self.drop(number)
        self._set(None, self.clock.now())
        for call in self.calls.values():
            if call.engine is not None and call.request.id not in self._strangers:
                self._strangers[call.request.id] = call
                call.engine.strangers += 1
        for engine in self.engines.values():
            self.report(engine)
        for _, call in sorted(self.calls.items()):
            if call.engine is None:
                self.tell(Arrived(call.request))

    def report(self, engine: Engine) -> None:
        """What an engine of this desk says of itself, or what was found out; as much of it as is
        this desk's."""
        if engine.number in self.engines:
            model = self.serves[engine.number] or self.model
            self.tell(engine.report(self.clock.now(), model, self.share(engine)))

    def share(self, engine: Engine) -> float:
        """How much of an engine is this desk's, where models share it that do not share all
        engines: as its requests are to all of them."""
        own, others = len(self.calls) + 1, self.beside.get(engine.number, ())
        return own / (own + sum(len(each.calls) + (not each.retired) for each in others))

    def place(self, call: Call) -> Place | None:
        """Where a request stands; None when it does not wait."""
        return self.policy.place(call.request.id, self.clock.now())

    def tell(self, event: Event) -> None:
        """An event to the policy, and what it wants done."""
        now = self.clock.now()
        policy = self.policy
        try:
            actions = policy.on(event, now)
        except Exception:
            if self._anew:
                raise  # the same again: it is no use
            self._begin_anew(event)
            return
        if actions:
            self._act(actions, now)
        if policy.alarm != self._alarm:
            self._set(policy.alarm, now)
        if self.record is not None:
            self.record(now, event, actions)

    def _begin_anew(self, event: Event) -> None:
        """A policy that failed knows nothing that can be relied on: another one begins anew with
        those who wait, and nobody is lost."""
        log.exception("the policy failed at %s; it begins anew", type(event).__name__)
        self._anew = True
        try:
            self.swap()
        finally:
            self._anew = False

    def _act(self, actions: Sequence[Action], now: float) -> None:
        for action in actions:
            call = self.calls.get(action.request)
            if call is None:
                continue
            if type(action) is Start:
                self.waiting -= not call.request.work
                call.begin(self.engines[action.engine], action.most, action.rung, now)
            elif type(action) is Reject:
                self.waiting -= not call.request.work
                del self.calls[action.request]
                call.refuse(action)
            else:
                self.waiting += not call.request.work
                self._take_back(call, now)

    def _take_back(self, call: Call, now: float) -> None:
        """The policy wants a started request to wait again; what was computed is lost."""
        engine, call.engine = call.engine, None
        call.cut()
        call.started = None
        if engine is not None:
            engine.coming.discard(call.request.id)
        if engine is not None and call.request.id in engine.flights:
            engine.end(call, 0, 0, now)
        call.wake()

    def _was_stranger(self, call: Call, engine: Engine | None) -> bool:
        """Whether a call that is off its engine was started by an earlier policy."""
        if self._strangers.pop(call.request.id, None) is None:
            return False
        if engine is not None:
            engine.strangers -= 1
            self.report(engine)
        return True

    def _set(self, alarm: float | None, now: float) -> None:
        """Wake the policy when it wants."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._alarm = alarm
        if alarm is not None:
            self._timer = self.loop.call_later(max(alarm - now, 0.0), self._ring)

    def _ring(self) -> None:
        """The alarm; one that the policy leaves as it was has rung."""
        alarm, self._timer = self._alarm, None
        now = self.clock.now()
        if alarm is not None and now < alarm:  # timers may be a little early
            self._set(alarm, now)
            return
        self.tell(Tick())
        if self._timer is None:
            self._alarm = self.policy.alarm = None
