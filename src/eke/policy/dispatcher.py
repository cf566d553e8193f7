"""The machine that all policies are made of: an order, a router, and what is added to them."""

from __future__ import annotations

from eke.policy.jobs import Jobs
from eke.policy.orders.order import Order
from eke.policy.pool import CLOSED, View
from eke.policy.protocol import (
    Action,
    Arrived,
    EngineReport,
    Event,
    Failed,
    Finished,
    Left,
    Place,
    Reject,
    Start,
    Stop,
    Tick,
)
from eke.policy.routers.least_load import LeastLoad
from eke.policy.routers.router import Router
from eke.types.request import Request

NOTHING: list[Action] = []  # the answer to most events; whoever gets it must not change it
FAILURES = 8  # of one request before it is refused

Flight = tuple[Request, View, float]  # who was started, where, tokens counted for it


class Dispatcher:
    """Keeps requests waiting in an order, and engines just full.

    The backlog stays here, where it can still be reordered: an engine gets no more sequences than
    it takes, and no more tokens, prompts and forecasts of answers, than its cache holds. The first
    of the order waits until it fits; nobody overtakes it by being smaller.

    order: who goes next.  router: where.  jobs: how work of whole engines is started and stopped.
    conserving: whether it never holds back a request that could start.
    """

    def __init__(
        self, order: Order, router: Router | None = None, jobs: Jobs | None = None
    ) -> None:
        self.alarm: float | None = None
        self.hear_first = False
        self.order = order
        self.router = router or LeastLoad()
        self.pool = self.router.pool
        self.jobs = jobs or Jobs()
        self.conserving = order.conserving
        self.flying: dict[int, Flight] = {}
        self.failures: dict[int, int] = {}
        self._ended = order.ended if order.counts else None
        self._rare = {
            Failed: self._failed,
            Left: self._left,
            EngineReport: self._reported,
            Tick: self._ticked,
        }

    def on(self, event: Event, now: float) -> list[Action]:
        """What to do about an event. now: never runs back [s]."""
        kind = type(event)
        if kind is Arrived:
            return self._arrived(event.request, now)  # type: ignore[union-attr, arg-type]
        if kind is Finished:
            return self._finished(event, now)  # type: ignore[arg-type]
        handle = self._rare.get(kind)  # type: ignore[call-overload]
        return handle(event, now) if handle else NOTHING

    def place(self, request: int, now: float) -> Place | None:
        """Where a request stands; None when it does not wait. Takes a look at the whole queue."""
        waits = self.order.waiting.get(request)
        if waits is None:
            return None
        before = round(self.order.ahead(waits))
        return Place(before=before, eta=None)

    def bound(self, charge: float, room: float) -> float | None:
        """By how much the service of two tenants who always wait may differ, as its order says."""
        return self.order.bound(charge, room)

    def _arrived(self, request: Request, now: float) -> list[Action]:
        if request.work:
            self.jobs.waiting[request.id] = request
            return self._fill(now, [])
        if request.prompt >= self.pool.longest:
            return [Reject(request.id, "too long")]
        self.order.push(request)
        return self._start(now)

    def _finished(self, event: Finished, now: float) -> list[Action]:
        flight = self.flying.pop(event.request, None)
        if flight is None:
            return self._job_over(event.request, now)
        request, view, size = flight
        view.doubted = False
        self._release(view, size)
        if self._ended is not None:
            self._ended(request, event.tokens, event.cached)
        if self.failures:
            self.failures.pop(request.id, None)
        if self.order.waiting or self.jobs.waiting:
            return self._start(now)
        return NOTHING

    def _start(self, now: float) -> list[Action]:
        """Start whoever can be, in order."""
        order, pick, actions = self.order, self.router.pick, NOTHING
        while (request := order.peek(now)) is not None:
            prompt, answer, most = request.prompt, request.likely, request.most
            size = prompt + (answer if answer < most else most)
            if size > self.pool.longest:
                size = self.pool.longest  # it will be cut
            view = pick(request, size)
            if view is None:
                if self.jobs.running and (stop := self._stop_job(now)):
                    actions = [*actions, stop]
                    continue
                return actions
            order.take(request)
            view.running += 1
            view.held += size
            view.free = view.room - view.held if view.running < view.limit else CLOSED
            self.flying[request.id] = (request, view, size)
            cut = None if prompt + most <= view.ceiling else view.ceiling - prompt
            start = Start(request.id, view.number, cut)
            if actions:
                actions.append(start)
            else:
                actions = [start]
        return self._fill(now, actions) if self.jobs.waiting else actions

    def _release(self, view: View, size: float) -> None:
        """An engine holds one sequence less."""
        view.running -= 1
        view.held = view.held - size if view.running else 0.0
        view.settle()
        self.pool.freed(view)

    def _failed(self, event: Failed, now: float) -> list[Action]:
        flight = self.flying.pop(event.request, None)
        if flight is None:
            return self._job_failed(event.request, now)
        request, view, size = flight
        view.fail(now)
        self._release(view, size)
        self.order.again(request)
        times = self.failures[request.id] = self.failures.get(request.id, 0) + 1
        if times < FAILURES:
            return self._start(now)
        self.order.drop(request)
        del self.failures[request.id]
        return [Reject(request.id, "failed too often"), *self._start(now)]

    def _left(self, event: Left, now: float) -> list[Action]:
        number = event.request
        self.failures.pop(number, None)
        waits = self.order.waiting.get(number)
        if waits is not None:
            self.order.drop(waits)
            return self._start(now)
        flight = self.flying.pop(number, None)
        if flight is None:
            return self._job_left(number, now)
        request, view, size = flight
        self._release(view, size)
        self.order.ended(request, None, 0)
        return [Stop(number, "left"), *self._start(now)]

    def _reported(self, event: EngineReport, now: float) -> list[Action]:
        self.pool.hear(event)
        return self._start(now)

    def _ticked(self, event: Tick, now: float) -> list[Action]:
        self.alarm = None
        return self._start(now)

    def _fill(self, now: float, actions: list[Action]) -> list[Action]:
        """Start jobs of whole engines where nobody waits for the engine."""
        jobs = self.jobs
        while jobs.waiting and not self.order.waiting:
            view = jobs.trough(self.pool, len(self.flying))
            if view is None:
                break
            if now < jobs.until:
                self.alarm = jobs.until
                break
            request = jobs.start(self.pool, view)
            actions = [*actions, Start(request.id, view.number)]
        return actions

    def _stop_job(self, now: float) -> Stop | None:
        """Get an engine back for requests."""
        request = self.jobs.stop(self.pool, now)
        if request is None:
            return None
        self.jobs.again(request)
        return Stop(request.id, "requests need its engine")

    def _job_over(self, number: int, now: float) -> list[Action]:
        if number not in self.jobs.running:
            return NOTHING
        self.jobs.end(number, self.pool)
        return self._start(now)

    def _job_failed(self, number: int, now: float) -> list[Action]:
        if number not in self.jobs.running:
            return NOTHING
        self.jobs.running[number][1].fail(now)
        self.jobs.again(self.jobs.end(number, self.pool))
        return self._start(now)

    def _job_left(self, number: int, now: float) -> list[Action]:
        if self.jobs.waiting.pop(number, None) is not None:
            return NOTHING
        if number not in self.jobs.running:
            return NOTHING
        self.jobs.end(number, self.pool)
        return [Stop(number, "left"), *self._start(now)]
