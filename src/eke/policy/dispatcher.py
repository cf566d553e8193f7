"""The machine that all policies are made of: an order, a router, and what is added to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush
from math import inf, nextafter
from typing import Any

from eke.policy.admission import Gate
from eke.policy.forecast import Forecast
from eke.policy.jobs import Jobs
from eke.policy.ladder import Ladder, Rung
from eke.policy.orders.order import Order
from eke.policy.pool import CLOSED, View
from eke.policy.protocol import (
    Action,
    Arrived,
    EngineReport,
    Event,
    Failed,
    Finished,
    Lane,
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
FORGOTTEN = 1000  # requests that wait no longer, among those with a time to be told at

Told = tuple[Request | int, int, int]  # who starts, or the number of who ends; tokens, cached
Flight = tuple[Request, View, float]  # who was started, where, tokens counted for it


class Dispatcher:
    """Keeps requests waiting in an order, and engines just full.

    The backlog stays here, where it can still be reordered: an engine gets no more sequences than
    it takes, and no more tokens, prompts and forecasts of answers, than its cache holds. The first
    of the order waits until it fits; nobody overtakes it by being smaller, but on engines that are
    too small for it.

    order: who goes next.  router: where.  gates: who may wait at all, asked in turn.
    ladder: what is taken from requests before they are refused.  jobs: how work of whole engines
    is started and stopped.  says: what it can be held to.
    """

    def __init__(
        self,
        order: Order,
        router: Router | None = None,
        gates: Sequence[Gate] = (),
        jobs: Jobs | None = None,
    ) -> None:
        self.alarm: float | None = None
        self.hear_first = False
        self.quiet = True  # an end only matters to those who wait
        self.order = order
        self.router = router or LeastLoad()
        self.pool = self.router.pool
        self.jobs = jobs or Jobs()
        self.gates = tuple(gates)
        self._dues: list[tuple[float, int]] = []  # heap: by when who waits is told
        self.ladder = next((gate for gate in gates if isinstance(gate, Ladder)), None)
        self.forecast = Forecast(order, self.pool)
        says = order.says()
        self.says = says._replace(conserving=says.conserving and not self.ladder)
        order.attach(self.pool)
        self.flying: dict[int, Flight] = {}
        self.parked: dict[int, Request] = {}  # who waits for engines larger than some
        self.failures: dict[int, int] = {}
        for gate in self.gates:
            gate.attach(self.forecast, self.flying)
        self._straight = order.conserving and not self.ladder
        self._stuck: Request | None = None  # who goes next, and found no room
        self._rung: Rung | None = None  # where things were then
        self._pick = self.router.pick
        self._ended = order.ended if order.counts else None
        self._lanes = self._straight and not self.gates and type(self.router) is LeastLoad
        self._rare: dict[type, Callable[[Any, float], list[Action]]] = {
            Failed: self._failed,
            Left: self._left,
            EngineReport: self._reported,
            Tick: self._ticked,
        }

    def on(self, event: Event, now: float) -> list[Action]:
        """What to do about an event. now: never runs back [s]."""
        if type(event) is Arrived:
            return self._arrived(event.request, now)
        if type(event) is Finished:
            return self._finished(event, now)
        handle = self._rare.get(type(event))
        return handle(event, now) if handle else NOTHING

    def lane(self) -> Lane | None:
        """Leave for those who come next, where it has one engine and nobody waits."""
        view = self.pool.only
        if not self._lanes or view is None or not view.takes or view.running >= view.limit:
            return None
        if self.order.waiting or self.parked or self.jobs.waiting or self.jobs.running:
            return None
        return Lane(
            *(view.number, view.running, view.limit, view.held, view.room, view.ceiling),
            self.order.counts,
        )

    def passing(self, running: int, held: float) -> None:
        """How full the engine of a lane is now. running, held: sequences and tokens in flight."""
        view = self.pool.only
        assert view is not None
        view.running, view.held = running, held
        self.pool.open -= view.free >= 0.0
        view.free = max(view.room - held, 0.0) if running < view.limit else CLOSED
        self.pool.open += view.free >= 0.0
        self.pool.freed(view)

    def passed(
        self,
        started: Sequence[tuple[Request, float]],
        ended: Sequence[int],
        story: Iterable[Told] | None = None,
    ) -> None:
        """What came of lanes. started: under way now, with what each holds [tokens].  ended: of
        those that were under way before.  story: who started and who ended, in order, where the
        lane asked for it."""
        view = self.pool.only
        assert view is not None
        flying = self.flying
        if story is not None:
            self._retell(story)
        for number in ended:
            del flying[number]
            self.failures.pop(number, None)
        for request, size in started:
            flying[request.id] = (request, view, size)

    def _retell(self, story: Iterable[Told]) -> None:
        """Let the order count what came of a lane, start by start and end by end."""
        through, over, flying = self.order.through, self.order.ended, self.flying
        met: dict[int, Request] = {}
        for who, tokens, cached in story:
            if isinstance(who, int):
                request = met.pop(who, None) or flying[who][0]
                over(request, tokens, cached)
            else:
                met[who.id] = who
                through(who)

    def place(self, request: int, now: float) -> Place | None:
        """Where a request stands; None when it does not wait. Takes a look at the whole queue."""
        if request in self.jobs.waiting:
            return Place(before=list(self.jobs.waiting).index(request))
        if request in self.parked:
            return Place(before=list(self.parked).index(request))
        waits = self.order.waiting.get(request)
        if waits is None:
            return None
        before = min(round(self.order.ahead(waits)), len(self.order.waiting) - 1)
        return Place(before=before, eta=self.forecast.queued(waits, before))

    def _arrived(self, request: Request, now: float) -> list[Action]:
        if request.work:
            self.jobs.waiting[request.id] = request
            return self._fill(now, NOTHING)
        if (request.alone or request.prompt) >= self.pool.longest:
            return [Reject(request.id, "too long")]
        if self.gates and (refusal := self._refusal(request, now)):
            return [refusal]
        order = self.order
        if self._straight and not order.waiting:
            size = self._size(request)
            view = self._pick(request, size)
            if view is not None:
                if self._ended is not None:
                    order.through(request)
                return [self._begin(request, view, size, request.most)]
        order.push(request)
        if self.gates:
            self._limit(request)
        if self._shut(now):
            return NOTHING
        return self._start(now)

    def _shut(self, now: float) -> bool:
        """Whether no room came free since nobody could start, and the same request is next."""
        if self.ladder is not None and self.ladder.rung(now) is not self._rung:
            return False  # room on other engines may be its to use now
        if not self.pool.open and not self.jobs.running and self.ladder is None:
            return True
        return self._stuck is not None and self.pool.even and self.order.peek(now) is self._stuck

    def _finished(self, event: Finished, now: float) -> list[Action]:
        flight = self.flying.pop(event.request, None)
        if flight is None:
            return self._job_over(event.request, now)
        request, view, size = flight
        if view.doubted:
            view.doubted = False
            view.settle()
        self._release(view, size)
        if self._ended is not None:
            self._ended(request, event.tokens, event.cached)
        if self.failures:
            self.failures.pop(request.id, None)
        if self.parked and view.ceiling >= self.pool.barred:
            self._unpark()
        if self.order.waiting or self.jobs.waiting:
            return self._start(now)
        return NOTHING

    def _start(self, now: float) -> list[Action]:
        """Start whoever can be, in order."""
        self._stuck, order, pool, actions = None, self.order, self.pool, NOTHING
        while order.waiting and (pool.open or self.jobs.running or self.ladder is not None):
            request = order.peek(now)
            if request is None:
                if order.unfinished:
                    self._wake(nextafter(now, inf))  # an alarm at once would be the one that rang
                break
            action = self._serve(request, now)
            if action is not None:
                if actions is NOTHING:
                    actions = [action]
                else:
                    actions.append(action)
            elif pool.even:
                self._stuck = request
                self._rung = self.ladder.rung(now) if self.ladder is not None else None
                break
            else:
                self._park(request)
        return self._fill(now, actions) if self.jobs.waiting else actions

    def _park(self, request: Request) -> None:
        """Set a request aside that waits for engines it fits; shorter ones may use the others."""
        self.order.drop(request)
        self.parked[request.id] = request
        self.pool.barred = min(self.pool.barred, self._size(request))

    def _unpark(self) -> None:
        """Those set aside stand in the order again; what they can use is kept for them no more."""
        self.pool.barred = inf
        for request in reversed(self.parked.values()):
            self.order.back(request)
        self.parked.clear()

    def _retry(self, now: float) -> list[Action]:
        """Start whoever can be, after a change of which anybody may profit."""
        if self.parked:
            self._unpark()
        return self._start(now)

    def _serve(self, request: Request, now: float) -> Action | None:
        """What to do about the first of the order; None when it must wait."""
        if (
            request.alone or request.prompt
        ) >= self.pool.longest:  # it came before any engine was known
            self.order.drop(request)
            return Reject(request.id, "too long")
        if self.gates and (refusal := self._late(request, now)):
            return refusal
        if self.ladder is not None:
            return self._degraded(request, self.ladder, now)
        size = self._size(request)
        view = self._pick(request, size)
        if view is None:
            return self._stop_job(now)
        self.order.take(request)
        return self._begin(request, view, size, request.most)

    def _degraded(self, request: Request, ladder: Ladder, now: float) -> Action | None:
        """Start a request on the rung that things have come to."""
        rung = ladder.rung(now)
        most = min(request.most, rung.most)
        words = f"answer cut at {most} tokens" if most < request.most else ""
        size = min(request.prompt + min(request.likely, most), self.pool.longest)
        view = self._pick(request, size)
        for router in rung.routers if view is None else ():
            view = router.pick(request, size)
            if view is not None:
                words = f"{words}, model {view.model}".removeprefix(", ")
                break
        if view is None:
            return self._stop_job(now)
        self.order.take(request)
        return self._begin(request, view, size, most, words)

    def _wake(self, at: float) -> None:
        """Want a Tick then, if not before."""
        if self.alarm is None or at < self.alarm:
            self.alarm = at

    def _limit(self, request: Request) -> None:
        """Remember by when a request that waits is to be told that it waited in vain."""
        dues, waiting = self._dues, self.order.waiting
        for gate in self.gates:
            until = gate.until(request)
            if until is not None:
                due = nextafter(until, inf)
                heappush(dues, (due, request.id))
                self._wake(due)
        if len(dues) > 2 * (len(waiting) + len(self.parked)) + FORGOTTEN:
            dues[:] = [each for each in dues if each[1] in waiting or each[1] in self.parked]
            heapify(dues)

    def _lapsed(self, now: float) -> list[Action]:
        """Refuse who waited as long as it may, though its turn did not come."""
        dues, waiting, actions = self._dues, self.order.waiting, list[Action]()
        while dues:
            due, number = dues[0]
            request = waiting.get(number) or self.parked.get(number)
            if request is not None and due > now:
                self._wake(due)
                break
            heappop(dues)
            if request is not None and (refusal := self._late(request, now)):
                actions.append(refusal)
        return actions

    def _late(self, request: Request, now: float) -> Reject | None:
        """Ask whether a request may still start."""
        for gate in self.gates:
            if refusal := gate.starts(request, now):
                if self.parked.pop(request.id, None) is None:
                    self.order.drop(request)
                return refusal
        return None

    def _refusal(self, request: Request, now: float) -> Reject | None:
        """Ask whether a newcomer may wait."""
        self.forecast.note(request)
        for gate in self.gates:
            if refusal := gate.arrives(request, now):
                return refusal
        return None

    def _size(self, request: Request) -> float:
        """What a request will hold at its end, by forecast [tokens]."""
        answer, most, longest = request.likely, request.most, self.pool.longest
        size = request.prompt + (answer if answer < most else most)
        return size if size < longest else longest

    def _begin(self, request: Request, view: View, size: float, most: int, rung: str = "") -> Start:
        """Give a request to an engine."""
        number, ceiling = request.id, view.ceiling
        self.flying[number] = (request, view, size)
        running = view.running = view.running + 1
        held = view.held = view.held + size
        if running < view.limit:
            view.free = max(view.room - held, 0.0)  # sums of fractions may miss it
        else:
            view.free = CLOSED
            view.pool.open -= 1
        if request.prompt + most > ceiling and not request.alone:
            return Start(number, view.number, max(ceiling - request.prompt, 1), rung)
        if most < request.most:
            return Start(number, view.number, most, rung)
        return Start(number, view.number, None, rung) if rung else Start(number, view.number)

    def _release(self, view: View, size: float) -> None:
        """An engine holds one sequence less."""
        running = view.running = view.running - 1
        held = view.held = view.held - size if running else 0.0
        free = view.room - held
        if view.takes and running < view.limit and free >= 0.0:
            if view.free < 0.0:
                view.pool.open += 1
            view.free = free
            if free > view.stands:
                view.pool.freed(view)

    def _failed(self, event: Failed, now: float) -> list[Action]:
        flight = self.flying.pop(event.request, None)
        if flight is None:
            return self._job_failed(event.request, now)
        request, view, size = flight
        view.fail(now)
        self._release(view, size)
        self.order.undo(request)
        self.order.back(request)
        if self.gates:
            self._limit(request)
        times = self.failures[request.id] = self.failures.get(request.id, 0) + 1
        if times < FAILURES:
            return self._retry(now)
        self.order.drop(request)
        del self.failures[request.id]
        return [Reject(request.id, "failed too often"), *self._retry(now)]

    def _left(self, event: Left, now: float) -> list[Action]:
        number = event.request
        self.failures.pop(number, None)
        if number in self.parked:
            self._unpark()
        waits = self.order.waiting.get(number)
        if waits is not None:
            self.order.drop(waits)
            return self._retry(now)
        flight = self.flying.pop(number, None)
        if flight is None:
            return self._job_left(number, now)
        request, view, size = flight
        self._release(view, size)
        self.order.ended(request, None, 0)
        return self._retry(now)

    def _reported(self, event: EngineReport, now: float) -> list[Action]:
        pool = self.pool if self.ladder is None else self.ladder.pool(event, self.pool)
        pool.hear(event)
        return self._retry(now)

    def _ticked(self, event: Tick, now: float) -> list[Action]:
        self.alarm = None
        actions = self._lapsed(now) if self._dues else NOTHING
        return [*actions, *self._retry(now)]

    def _fill(self, now: float, actions: list[Action]) -> list[Action]:
        """Start jobs of whole engines where nobody waits for the engine."""
        jobs = self.jobs
        while jobs.waiting and not self.order.waiting and not self.parked:
            view = jobs.trough(self.pool, len(self.flying))
            if view is None:
                break
            if now < jobs.until:
                self._wake(jobs.until)
                break
            request = jobs.start(view)
            actions = [*actions, Start(request.id, view.number)]
        return actions

    def _stop_job(self, now: float) -> Stop | None:
        """Get an engine back for requests; None when no job has one."""
        if not self.jobs.running:
            return None
        request = self.jobs.stop(now)
        if request is None:
            return None
        self.jobs.again(request)
        return Stop(request.id, "requests need its engine")

    def _job_over(self, number: int, now: float) -> list[Action]:
        if number not in self.jobs.running:
            return NOTHING
        self.jobs.end(number)
        return self._retry(now)

    def _job_failed(self, number: int, now: float) -> list[Action]:
        if number not in self.jobs.running:
            return NOTHING
        self.jobs.running[number][1].fail(now)
        self.jobs.again(self.jobs.end(number))
        return self._retry(now)

    def _job_left(self, number: int, now: float) -> list[Action]:
        if self.jobs.waiting.pop(number, None) is not None:
            return NOTHING
        if number not in self.jobs.running:
            return NOTHING
        self.jobs.end(number)
        return self._retry(now)
