"""The clock of the simulation: events to the policy, its actions to the engines.

Time jumps from one happening to the next: a request comes, a step of an engine ends somebody's
answer, a report is heard, the policy's alarm goes off, a replica fails. Nothing here decides who
goes where; that is the policy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop
from math import inf
from typing import Any

import numpy as np

from eke.policy.protocol import (
    Arrived,
    Finished,
    FirstToken,
    Start,
    Tick,
)
from eke.simulation.affairs import Affairs
from eke.simulation.engine.advance import ALL
from eke.simulation.engine.layout import (
    CLASSES,
    DECODING,
    EVENT_FINISHED,
    EVENT_FIRST,
    FILLING,
    GO_ON,
    HEAD,
    HEAR_FIRST,
    HIT,
    LINK,
    NONE,
    REQUEST,
    TOKENS,
    World,
)
from eke.types.request import Request

ROUNDS = 256  # happenings between two looks at the progress
STUCK = 10_000  # reports and looks in a row after which nothing is waited for any more


class Driver(Affairs):
    """One run: its clock."""

    def run(self, until: float, progress: Callable[[float, int], None] | None = None) -> None:
        """Let everything happen that happens up to `until`."""
        for _ in range(self.users or 0):
            self._next_user(0.0)
        while self._happen(until):
            if progress is not None:
                progress(self.now, self.ledger.many)

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
                self.settle()
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
            if free and coming < inf and (limit == coming or self._untold is not None):
                planned = min(due, until) if alarm is None else min(due, until, alarm)
                passed = self._in_lane(line, planned)
                if passed:
                    continue
                if passed is None or limit == coming:
                    self.settle()
            elif self._untold is not None:
                self.settle()
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
            elif not self._otherwise(limit, until, nothing=coming == inf and end == inf):
                return False
        if engine != NONE:
            said = self._enqueue(ledger.address, engine, starts, started, most)
            if said:
                self._not_taken(starts, engine, said)
        return True

    def _otherwise(self, limit: float, until: float, nothing: bool) -> bool:
        """What is planned, or the policy's alarm; False when there is neither before the end.
        nothing: nobody comes and no engine has anything to do."""
        calendar, alarm = self.calendar, self.policy.alarm
        if calendar and limit == calendar[0][0]:
            if nothing and alarm is None and self._over_and_out():
                return False
            self.now, _, what, about = heappop(calendar)
            what(about)
        elif alarm is not None and limit == alarm:
            self._alarm(alarm)
        else:
            self.now = until if until < inf else self.now
            return False
        return True

    def _in_lane(self, line: list[Request], limit: float) -> int | None:
        """Let those who come next go straight to an engine, as far as the policy gives them leave,
        and everything else happen up to the next who may not, or to `limit`. How many went; None
        where the policy gives none leave."""
        lane = self.policy.lane()  # type: ignore[attr-defined]
        first, last = line[-1].id, line[0].id
        if lane is None or first == last:
            return None
        if self._untold is None:
            self._untold, self._lane = first, lane
        begun = self._untold
        at, running, held, over, told, now = self._play_lane(
            *(self.ledger.address, lane.engine, first, begun, last, limit),
            *(lane.running, lane.places, lane.held, lane.room, lane.ceiling),
        )
        if now == -inf:
            return 0
        self.now = now
        self.flying += running - lane.running
        self._gone += self.ledger.world.gone[:over].tolist()
        self.policy.passing(running, held)  # type: ignore[attr-defined]
        if lane.story:
            self.settle(self._story(first, told))
        del line[len(line) - (at - first) :]
        return int(at - first)

    def settle(self, story: Iterator[Any] | None = None) -> None:
        """Tell the policy what came of lanes, before anything else happens."""
        first, lane, world = self._untold, self._lane, self.ledger.world
        if first is None or lane is None:
            return
        stretch, begun = self.source.stretch, self.source.stretch[0].id
        started = [
            (stretch[number - begun], min(float(world.size[number]), float(lane.ceiling)))
            for number in held_by(world, lane.engine, first)
        ]
        self.policy.passed(started, self._gone, story)  # type: ignore[attr-defined]
        self._untold, self._gone = None, []

    def _story(self, first: int, told: int) -> Iterator[Any]:
        """Who started and who ended in a lane, in order."""
        stretch, begun = self.source.stretch, self.source.stretch[0].id
        entries, count = self.ledger.world.story[:told], self.ledger.world.count
        rows = count[np.where(entries < 0, ~entries, entries)]
        tokens, cached = rows[:, TOKENS].tolist(), rows[:, HIT].tolist()
        who = [stretch[each - begun] if each >= 0 else ~each for each in entries.tolist()]
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
