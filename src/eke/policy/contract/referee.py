"""Who watches a policy and objects, in a plain sentence, when it breaks a law."""

from __future__ import annotations

import math
from itertools import islice

from eke.policy.contract.granted import Granted
from eke.policy.contract.shares import Shares
from eke.policy.contract.toy import Play, World
from eke.policy.orders.use import size
from eke.policy.protocol import (
    Action,
    Arrived,
    EngineReport,
    Event,
    Failed,
    Finished,
    Left,
    Place,
    Policy,
    Reject,
    Start,
    Stop,
)
from eke.policy.says import Says
from eke.types.request import Request

LOOKS = 8  # places looked up after each event at most
SLACK = 1e-6  # of tokens, for sums of fractions


def nobody(request: Request) -> bool:
    """Who may wait, where none may."""
    return False


class Seat:
    """What a policy has been told of an engine, and what it has put there."""

    def __init__(self) -> None:
        self.report: EngineReport | None = None
        self.failed = -math.inf  # when something it had failed last
        self.pressed = False  # whether requests ever waited inside
        self.held: dict[int, float] = {}  # request → tokens at its end, by forecast

    @property
    def ceiling(self) -> int:
        assert self.report is not None
        return min(self.report.longest, self.report.room)

    def takes(self, whole: float) -> bool:
        """Whether it has room for so many tokens, as far as the policy knows."""
        report = self.report
        if report is None or not report.alive or self.pressed or report.as_of <= self.failed:
            return False
        free = report.room - sum(self.held.values())
        return len(self.held) < report.slots and whole <= min(free, self.ceiling)


class Referee:
    """Follows who waits, who is where, and what the policy was told."""

    def __init__(self, world: World, policy: Policy, says: Says) -> None:
        self.world, self.policy, self.says = world, policy, says
        self.waiting: dict[int, Request] = {}
        self.flying: dict[int, tuple[Request, int]] = {}
        self.ended: dict[int, str] = {}
        self.seats: dict[int, Seat] = {}
        self.jobs: dict[int, int] = {}  # engine → job that has it
        self.floors = Granted(says.floors, says.group)
        self.ceilings = Granted(says.ceilings, says.under)
        self.begun: dict[int, float] = {}  # when each in flight was started
        self.kept = -math.inf  # until when a place may be kept for someone
        self.people = 0  # who wait and are no jobs
        self.shares = Shares(says)

    def event(self, event: Event, now: float) -> None:
        """Note what the policy is told."""
        if isinstance(event, Arrived):
            self._waits(event.request)
        elif isinstance(event, EngineReport):
            self._reported(event)
        elif isinstance(event, Finished):
            took = now - self.begun[event.request]
            self.kept = max(self.kept, now + self.says.keeps * took)
            self.shares.finished(self._landed(event.request), event.tokens)
            self.ended[event.request] = "finished"
        elif isinstance(event, Failed):
            self.seats[self.flying[event.request][1]].failed = now
            self._waits(self._landed(event.request))
        elif isinstance(event, Left):
            if event.request in self.waiting:
                self._unqueue(event.request)
            else:
                self._landed(event.request)
            self.ended[event.request] = "gone"

    def action(self, action: Action, now: float) -> None:
        """Check what the policy wants done."""
        if isinstance(action, Start):
            self._start(action, now)
        elif isinstance(action, Reject):
            self._reject(action)
        elif isinstance(action, Stop):
            if action.request not in self.flying:
                raise AssertionError(f"request {action.request} was stopped, but is not started")
            self._waits(self._landed(action.request))
        else:
            raise AssertionError(f"{action!r:.80} is not an action")

    def settled(self, now: float) -> None:
        """Check what must hold whenever the policy has answered."""
        alarm = self.policy.alarm
        if alarm is not None and not math.isfinite(alarm):
            raise AssertionError(f"its alarm is set to {alarm}")
        self._places(now)
        self._conserving(now)
        self.shares.look()

    def over(self, play: Play) -> None:
        """Check what must hold at the end."""
        left = sorted(self.waiting.keys() | self.flying.keys())
        if left:
            raise AssertionError(
                f"{len(left)} of {len(play.requests)} requests never ended, such as {left[0]}"
            )

    def _reported(self, report: EngineReport) -> None:
        seat = self.seats.setdefault(report.engine, Seat())
        if seat.report is None or report.as_of >= seat.report.as_of:
            seat.report = report
        seat.pressed = seat.pressed or report.waiting > 0

    def _waits(self, request: Request) -> None:
        self.waiting[request.id] = request
        if not request.work:
            self.people += 1
            self.shares.waits(request, 1)

    def _unqueue(self, number: int) -> None:
        request = self.waiting.pop(number)
        if not request.work:
            self.people -= 1
            self.shares.waits(request, -1)

    def _landed(self, number: int) -> Request:
        """A request does not fly any more."""
        request, engine = self.flying.pop(number)
        del self.seats[engine].held[number], self.begun[number]
        self.jobs = {each: job for each, job in self.jobs.items() if job != number}
        self.floors.lands(request)
        self.ceilings.lands(request)
        return request

    def _start(self, start: Start, now: float) -> None:
        request, seat = self._may_start(start)
        report, number = seat.report, start.request
        assert report is not None
        if start.engine in self.jobs or (request.work and seat.held):
            raise AssertionError(
                f"request {number} was started on an engine that a job needs whole"
            )
        most = request.most if start.most is None else start.most
        if not (request.work or 1 <= most <= request.most):
            raise AssertionError(
                f"the answer of request {number} was cut at {most} of {request.most} tokens"
            )
        whole = 0.0
        if request.work:
            self.jobs[start.engine] = number
        else:
            whole = min(request.prompt + min(request.likely, most), seat.ceiling)
            self._order_kept(request, seat)
            self._floors_kept(request, seat)
            self._ceilings_kept(request)
        seat.held[number] = whole
        self._not_over(start.engine, seat)
        self._unqueue(number)
        self.flying[number] = request, start.engine
        self.begun[number] = now
        self.floors.starts(request)
        self.ceilings.starts(request)

    def _may_start(self, start: Start) -> tuple[Request, Seat]:
        """The request and engine of a start, if both can be started."""
        number, request = start.request, self.waiting.get(start.request)
        if request is None:
            state = (
                "started already" if number in self.flying else self.ended.get(number, "unknown")
            )
            raise AssertionError(f"request {number} was started, but is {state}")
        seat = self.seats.get(start.engine)
        if seat is None or seat.report is None:
            raise AssertionError(f"request {number} was started on engine {start.engine}, unknown")
        if not seat.report.alive:
            raise AssertionError(
                f"request {number} was started on engine {start.engine}, reported dead"
            )
        return request, seat

    def _not_over(self, engine: int, seat: Seat) -> None:
        report = seat.report
        assert report is not None
        if len(seat.held) > report.slots:
            raise AssertionError(f"engine {engine} has more in flight than its slots")
        if sum(seat.held.values()) > report.room + SLACK:
            raise AssertionError(f"engine {engine} has more tokens in flight than its memory")

    def _reject(self, reject: Reject) -> None:
        number = reject.request
        request = self.waiting.get(number)
        if request is None:
            raise AssertionError(f"request {number} was rejected, but does not wait")
        self._unqueue(number)
        self.ended[number] = "rejected"
        if not reject.reason:
            raise AssertionError(f"request {number} was rejected for no reason")
        known = [seat.ceiling for seat in self.seats.values() if seat.report]
        if known and request.prompt >= max(known):
            return  # asking again is no use
        if number in self.world.poison:
            return
        if reject.retry_after is None or not 0 < reject.retry_after < math.inf:
            raise AssertionError(f"request {number} was rejected and not told when to ask again")
        if reject.place is None or reject.place < 0:
            raise AssertionError(f"request {number} was rejected and not told how many wait")

    def _places(self, now: float) -> None:
        """Places of some that wait are among those that wait."""
        for number in list(islice(self.waiting, LOOKS)):
            place = self.policy.place(number, now)
            others = self.people if not self.waiting[number].work else len(self.waiting)
            if not isinstance(place, Place) or not 0 <= place.before < others:
                raise AssertionError(f"request {number} waits, and its place is {place}")
            if place.eta is not None and not 0 <= place.eta < math.inf:
                raise AssertionError(f"request {number} is to start in {place.eta} s")
        for number in islice(self.flying, 1):
            if self.policy.place(number, now) is not None:
                raise AssertionError(f"request {number} does not wait, and has a place")

    def _conserving(self, now: float) -> None:
        """No engine is left without that has room for anyone who waits and can use it."""
        held_back = self.flying and not self.says.conserving
        if not self.people or held_back or now < self.kept:
            return
        longest = max((seat.ceiling for seat in self.seats.values() if seat.report), default=0)
        for number, seat in self.seats.items():
            if number not in self.jobs and self._wanted(seat, longest):
                raise AssertionError(
                    f"{self.people} requests wait at {now:g} s though engine {number} has room "
                    "for any of them that it can finish"
                )

    def _wanted(self, seat: Seat, longest: int) -> bool:
        """Whether an engine has room for each of those that wait and can use it, and there is one
        that nothing holds back.

        longest: context that any engine can finish [tokens].
        """
        some = False
        for request in self.waiting.values():
            whole = min(size(request), longest)
            if request.work or seat.report is None or whole > seat.ceiling:
                continue
            if not seat.takes(whole):
                return False
            some = some or not self._held_back(request)
        return some

    def _held_back(self, request: Request) -> bool:
        """Whether a request may wait though there is room: by itself, or since its group has all
        that it may, or too little left for one of its like."""
        waits = self.says.waits or nobody
        if not self.flying:
            return False
        if waits(request):
            return True
        group = self.ceilings.group(request)
        if not group:
            return False
        if any(seat.pressed for seat in self.seats.values()):
            return True  # what engines really take is the policy's own guess then
        like = [each for each in self.waiting.values() if self.ceilings.group(each) == group]
        alive = self._alive()
        return not all(waits(each) or self.ceilings.allows(each, alive) for each in like)

    def _usable(self, request: Request, seat: Seat) -> bool:
        """Whether a request can use an engine, though perhaps not now."""
        longest = max(each.ceiling for each in self.seats.values() if each.report)
        return not request.work and min(size(request), longest) <= seat.ceiling

    def _order_kept(self, request: Request, seat: Seat) -> None:
        """Nobody who can use the engine goes before."""
        key = self.says.key
        if key is None:
            return
        rank = (key(request), request.id)
        for other in self.waiting.values():
            if (key(other), other.id) < rank and self._usable(other, seat):
                raise AssertionError(
                    f"request {request.id} was started before request {other.id}, which goes first"
                )

    def _floors_kept(self, request: Request, seat: Seat) -> None:
        """Nobody goes before a group that asks and has less than its floor."""
        if any(seat.pressed for seat in self.seats.values()):
            return  # what engines really take is the policy's own guess then
        own = self.floors.group(request)
        if own and self.floors.allows(request, self._alive()):
            return
        for group in self.says.floors:
            asks = [each for each in self.waiting.values() if self.floors.group(each) == group]
            sure = (self._sure(each) and self._usable(each, seat) for each in asks)
            if group != own and asks and all(sure):
                raise AssertionError(
                    f"request {request.id} was started though {group!r} waits below its floor"
                )

    def _sure(self, request: Request) -> bool:
        """Whether a request is within its group's floor, and no ceiling is in its way."""
        alive = self._alive()
        capped = self.ceilings.group(request) and not self.ceilings.allows(request, alive)
        return not capped and self.floors.allows(request, alive)

    def _ceilings_kept(self, request: Request) -> None:
        """No group has more than its ceiling."""
        group = self.ceilings.group(request)
        if group and not self.ceilings.allows(request, self._alive()):
            raise AssertionError(f"request {request.id} was started above the ceiling of {group!r}")

    def _alive(self) -> list[EngineReport]:
        """What is known of engines that take requests."""
        return [seat.report for seat in self.seats.values() if seat.report and seat.report.alive]
