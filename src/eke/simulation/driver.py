"""The clock of the simulation: events to the policy, its actions to the engines.

Time jumps from one happening to the next: a request comes, a step of an engine ends somebody's
answer, a report is heard, the policy's alarm goes off, a replica fails. Nothing here decides who
goes where; that is the policy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from math import inf
from typing import Any

import numpy as np

from eke.errors import BadInput
from eke.policy.protocol import (
    Action,
    Arrived,
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
from eke.simulation.engine import gates
from eke.simulation.engine.advance import ALL, NOT_THERE, NOT_WAITING, TOO_LONG
from eke.simulation.engine.layout import (
    ARRIVED,
    CLASSES,
    DECODING,
    EVENT_FINISHED,
    EVENT_FIRST,
    FILLING,
    FINISHED,
    FIRST,
    GO_ON,
    HEAD,
    HEAR_FIRST,
    HIT,
    LINK,
    NONE,
    OUTCOME,
    REPLICA,
    REQUEST,
    STORED,
    TOKENS,
    World,
)
from eke.simulation.ledger import Ledger
from eke.simulation.source import Source
from eke.types import run as codes
from eke.types.record import replace
from eke.types.request import Request

ROUNDS = 256  # happenings between two looks at the progress
STUCK = 10_000  # reports and looks in a row after which nothing is waited for any more
TOO_LARGE = "does not fit into the cache"
IMPATIENT = "the client left"
GONE = "its engine is gone"

Happening = Callable[[Any], None]


class Driver:
    """One run.

    now: of the last happening [s].  waiting, flying: requests that the policy holds, and that
    engines have.  coming: followers whose time is known.  calendar: what is planned; `regular` of
    it comes again and again and keeps nothing going.  stale: whether the policy may have heard late
    of engines that are gone.
    """

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        policy: Policy,
        users: int | None = None,
        patience: float | None = None,
    ) -> None:
        self.source, self.ledger, self.policy = source, ledger, policy
        self.users, self.patience = users, patience
        self.now = 0.0
        self.stale = False
        self.waiting = self.flying = self.coming = 0
        self.calendar: list[tuple[float, int, Happening, Any]] = []
        self.regular = 0
        self.reasons: dict[str, int] = {"": 0}
        self.reason_of: dict[int, int] = {}
        self.remarks: list[str] = []
        self.hand_over: Callable[[int, int, float], None] = _nobody
        self.works: dict[int, Request] = {}
        self.begin_work: Callable[[Request, int], None] = _nobody
        self.stop_work: Callable[[int], None] = _nobody
        self._advance, self._enqueue, self._play_lane = gates.entries()
        self._counter = 0
        self._quiet = 0
        self._came: dict[int, int] = {}  # of a closed loop: request → first of its conversation
        self._open: dict[int, int] = {}  # first of a conversation → requests of it not yet over

    def at(self, time: float, what: Happening, about: Any = None, regular: bool = False) -> None:
        """Plan something. What is planned for one moment happens in the order of planning."""
        self._counter += 1
        self.regular += regular
        heappush(self.calendar, (time, self._counter, what, about))

    def run(self, until: float, progress: Callable[[float, int], None] | None = None) -> None:
        """Let everything happen that happens up to `until`."""
        for _ in range(self.users or 0):
            self._next_user(0.0)
        while self._happen(until):
            if progress is not None:
                progress(self.now, self.ledger.many)

    def tell(self, event: Event) -> None:
        """An event to the policy, and what it wants done."""
        if actions := self.policy.on(event, self.now):
            self._act(actions)

    def _happen(self, until: float) -> bool:
        """Many happenings; False when there are no more."""
        policy, source, calendar, ledger = self.policy, self.source, self.calendar, self.ledger
        on, act, advance = policy.on, self._act, self._advance
        engine, starts, started, most = NONE, 0, 0.0, ALL  # a start, for the next advance
        closed, simple = self.users is not None, self._simple()
        works, hear = self.works, HEAR_FIRST if policy.hear_first else 0
        quiet = not closed and not policy.hear_first and getattr(policy, "quiet", False)
        line, followers = source.line, source.followers
        whole = len(ledger.deployment.halves) == 1  # nothing is handed over
        lanes = quiet and whole and hasattr(policy, "lane")
        for _ in range(ROUNDS):
            if not line and not source.over and not closed:
                source.refill()
                line, simple = source.line, self._simple()
            coming = line[-1].arrived if line and not closed else inf
            due = calendar[0][0] if calendar else inf
            limit = coming if coming < due else due
            alarm = policy.alarm
            if alarm is not None and alarm < limit:
                limit = alarm
            if until < limit:
                limit = until
            free = lanes and simple and engine == NONE and not (self.waiting or followers or works)
            if free and limit == coming < inf:
                planned = min(due, until) if alarm is None else min(due, until, alarm)
                if self._in_lane(line, planned):
                    continue
            alone = quiet and not self.waiting and not followers and not works
            events, end, event, request, tokens, cached = advance(
                ledger.address, limit, GO_ON if alone else hear, engine, starts, started, most
            )
            if events:
                self.now = end
                if events < 0:
                    self._not_taken(starts, engine, -events)
                    engine = NONE
                    continue
                engine = NONE
                if event == EVENT_FINISHED and events == 1:
                    self.flying -= 1
                    actions = on(Finished(request, tokens, cached), end)
                    if (
                        len(actions) == 1
                        and type(start := actions[0]) is Start
                        and not (start.rung or works)
                    ):
                        engine, starts, started = start.engine, start.request, end
                        most = start.most or ALL
                        self.waiting -= 1
                        self.flying += 1
                    elif actions:
                        act(actions)
                    if followers or closed:
                        self._over(request)
                else:
                    self._told(events)
                continue
            engine = NONE
            if limit == coming and coming < inf:
                self.now = coming
                asked = line.pop()
                if not simple:
                    self._comes(asked)
                    continue
                actions = on(Arrived(asked), coming)
                if (
                    len(actions) == 1
                    and type(start := actions[0]) is Start
                    and not (start.rung or works)
                ):
                    engine, starts, started = start.engine, start.request, coming
                    most = start.most or ALL
                    self.flying += 1
                else:
                    self.waiting += 1
                    if actions:
                        act(actions)
            elif limit == due and due < inf:
                if coming == inf and end == inf and alarm is None and self._over_and_out():
                    return False
                self.now, _, what, about = heappop(calendar)
                what(about)
            elif alarm is not None and limit == alarm:
                self._alarm(alarm)
            else:
                self.now = until if until < inf else self.now
                return False
        if engine != NONE:
            said = self._enqueue(ledger.address, engine, starts, started, most)
            if said:
                self._not_taken(starts, engine, said)
        return True

    def _in_lane(self, line: list[Request], limit: float) -> bool:
        """Let those who come next go straight to an engine, as far as the policy gives them leave;
        False when nobody may."""
        lane = self.policy.lane()  # type: ignore[attr-defined]
        first, last = line[-1].id, line[0].id
        if lane is None or first == last:
            return False
        ledger = self.ledger
        at, running, held, over, told, now = self._play_lane(
            *(ledger.address, lane.engine, first, last, limit),
            *(lane.running, lane.places, lane.held, lane.room, lane.ceiling),
        )
        if now == -inf:
            return False
        self.now = now
        self.flying += running - lane.running
        under_way = held_by(ledger.world, lane.engine, first)
        size = ledger.world.size
        started = [
            (line[first - number - 1], min(float(size[number]), float(lane.ceiling)))
            for number in under_way
        ]
        ended = ledger.world.gone[:over].tolist()
        story = self._story(line, first, told) if lane.story else None
        self.policy.passed(started, ended, held, story)  # type: ignore[attr-defined]
        del line[len(line) - (at - first) :]
        return bool(at > first)

    def _story(self, line: list[Request], first: int, told: int) -> Iterator[Any]:
        """Who started and who ended in a lane, in order."""
        entries, count = self.ledger.world.story[:told], self.ledger.world.count
        rows = count[np.where(entries < 0, ~entries, entries)]
        tokens, cached = rows[:, TOKENS].tolist(), rows[:, HIT].tolist()
        who = [line[first - entry - 1] if entry >= 0 else ~entry for entry in entries.tolist()]
        return zip(who, tokens, cached, strict=True)

    def _simple(self) -> bool:
        """Whether requests come, and nothing else is to be thought of."""
        return self.patience is None and not self.source.works

    def _told(self, events: int) -> None:
        """Several events, or rare ones."""
        w, on = self.ledger.world, self.policy.on
        rows, times = w.told[:events].tolist(), w.told_at[:events].tolist()
        follow = self.source.followers or self.users is not None
        for (event, request, replica, tokens, cached), self.now in zip(rows, times, strict=True):
            if event == EVENT_FINISHED:
                self.flying -= 1
                if actions := on(Finished(request, tokens, cached), self.now):
                    self._act(actions)
                if follow:
                    self._over(request)
            elif event == EVENT_FIRST:
                self.tell(FirstToken(request))
            else:
                self.hand_over(request, replica, self.now)

    def _alarm(self, alarm: float) -> None:
        """The policy is woken; an alarm that it leaves as it was has rung."""
        self.now = alarm
        self.tell(Tick())
        if self.policy.alarm == alarm:
            self.policy.alarm = None

    def _comes(self, request: Request) -> None:
        """A request comes."""
        self.waiting += 1
        self._quiet = 0
        if request.work:
            self.works[request.id] = request
        elif self.patience is not None:
            self.at(self.now + self.patience, self._lose_patience, request.id)
        self.tell(Arrived(request))

    def _over_and_out(self) -> bool:
        """Whether only what comes again and again is left to happen."""
        if len(self.calendar) > self.regular:
            return False
        if self.waiting + self.flying == 0:
            return True
        self._quiet += 1
        if self._quiet < STUCK:
            return False
        self.remarks.append(f"the policy left {self.waiting:,} requests waiting for ever")
        return True

    def _act(self, actions: list[Action]) -> None:
        """Do what the policy wants."""
        now, address = self.now, self.ledger.address
        for action in actions:
            if type(action) is Start:
                request = action.request
                if self.works and request in self.works:
                    self.begin_work(self.works[request], action.engine)
                    continue
                if action.rung:
                    self.reason_of[request] = self.code(action.rung)
                self.waiting -= 1
                self.flying += 1
                said = self._enqueue(address, action.engine, request, now, action.most or ALL)
                if said:
                    self._not_taken(request, action.engine, said)
            elif type(action) is Reject:
                self.refuse(action.request, action.reason)
            elif type(action) is Stop:
                self._stop(action)
            else:
                raise BadInput(f"the policy answered {action!r:.80}; expected Start, Reject, Stop.")

    def _not_taken(self, request: int, engine: int, said: int) -> None:
        self.waiting += 1
        self.flying -= 1
        if said == TOO_LONG:
            self.refuse(request, TOO_LARGE)
            self.tell(Left(request))
            return
        if said == NOT_THERE and self.stale:
            self.come_back(request)
            return
        what = "which does not wait" if said == NOT_WAITING else "which takes no requests"
        whom = f"request {request}" if said == NOT_WAITING else f"engine {engine}"
        raise BadInput(
            f"the policy started request {request} on engine {engine} at {self.now:.6g} s: "
            f"{whom}, {what}. Run eke.policy.contract.check on it."
        )

    def come_back(self, request: int) -> None:
        """A start on an engine that is gone comes to nothing."""
        self.at(self.now, self._comes_back, request)

    def _comes_back(self, request: int) -> None:
        if self.ledger.world.count[request, OUTCOME] == codes.WAITING:
            self.tell(Failed(request, GONE))

    def code(self, reason: str) -> int:
        """The code of a reason, a new one where it was never given."""
        return self.reasons.setdefault(reason, len(self.reasons))

    def refuse(self, request: int, reason: str) -> None:
        """A waiting request is told no."""
        self.waiting -= 1
        self.works.pop(request, None)
        self._end(request, codes.REFUSED, reason)

    def _end(self, request: int, outcome: int, reason: str) -> None:
        w = self.ledger.world
        w.count[request, OUTCOME], w.times[request, FINISHED] = outcome, self.now
        self.reason_of[request] = self.code(reason)
        if self.source.followers or self.users is not None:
            self._over(request, answered=False)

    def _stop(self, action: Stop) -> None:
        """Take a request back; it waits again."""
        request = action.request
        if self.works and request in self.works:
            self.stop_work(request)
            return
        w = self.ledger.world
        if w.count[request, OUTCOME] != codes.RUNNING:
            raise BadInput(f"the policy stopped request {request}, which is not started.")
        gates.withdraw(self.ledger.address, int(w.count[request, REPLICA]), request, self.now)
        self.waits_again(request)

    def waits_again(self, request: int) -> None:
        """What was computed of a request is lost, and the policy has it again."""
        counts = self.ledger.world.count
        counts[request, OUTCOME], counts[request, TOKENS] = codes.WAITING, 0
        counts[request, STORED] = 0
        self.flying -= 1
        self.waiting += 1

    def fail(self, request: int, reason: str) -> None:
        """What was started of a request came to nothing."""
        tokens = int(self.ledger.world.count[request, TOKENS])
        self.waits_again(request)
        self.tell(Failed(request, reason, tokens))

    def _lose_patience(self, request: int) -> None:
        """A client that has waited long enough for its first token goes away."""
        w = self.ledger.world
        outcome = int(w.count[request, OUTCOME])
        begun = bool(w.times[request, FIRST] <= self.now)
        if begun or outcome not in (codes.WAITING, codes.RUNNING):
            return
        if outcome == codes.RUNNING:
            gates.withdraw(self.ledger.address, int(w.count[request, REPLICA]), request, self.now)
            self.flying -= 1
        else:
            self.waiting -= 1
        self._end(request, codes.STOPPED, IMPATIENT)
        self.tell(Left(request))

    def _over(self, request: int, answered: bool = True) -> None:
        """Who follows a request comes when it is answered; in a closed loop the next user when all
        of a conversation is."""
        following = self.source.followers.pop(request, []) if answered else []
        for follower in following:
            self.coming += 1
            self.at(self.now + follower.arrived, self._follows, follower)
        if self.users is not None:
            self._conversation(request, following)

    def _conversation(self, request: int, following: list[Request]) -> None:
        """Count what is open of a conversation; when nothing is, the next user comes."""
        first = self._came.pop(request, request)
        for follower in following:
            self._came[follower.id] = first
        left = self._open.pop(first, 1) - 1 + len(following)
        if left:
            self._open[first] = left
        else:
            self._next_user(self.now)

    def _follows(self, request: Request) -> None:
        """A request comes that followed another."""
        self.coming -= 1
        self.ledger.world.times[request.id, ARRIVED] = self.now
        self._comes(replace(request, arrived=self.now))

    def _next_user(self, now: float) -> None:
        """In a closed loop, the next request in line comes after its pause."""
        if self.source.refill():
            request = self.source.line.pop()
            self.coming += 1
            self.at(now + request.arrived, self._follows, request)


def held_by(w: World, replica: int, first: int) -> list[int]:
    """The requests from number `first` on that a replica has, in any state."""
    num = w.num[replica]
    inside = w.slot[REQUEST, replica, : num[DECODING]].tolist()
    inside += w.fill[REQUEST, replica, : num[FILLING]].tolist()
    for line in range(CLASSES):
        at = int(num[HEAD + line])
        while at != NONE:
            inside.append(at)
            at = int(w.count[at, LINK])
    return sorted(number for number in inside if number >= first)


def _nobody(*about: Any) -> None:
    raise BadInput("nothing is set up for that.")
