"""A place is kept for a moment for who will be back at once."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from eke.errors import BadInput
from eke.policy.admission import Gate
from eke.policy.dispatcher import NOTHING, Dispatcher
from eke.policy.habits import Habit, Habits
from eke.policy.jobs import Jobs
from eke.policy.orders.order import Order
from eke.policy.pool import View
from eke.policy.protocol import Action, Event, Failed, Finished, Left, Reject, Start
from eke.policy.routers.router import Router
from eke.types.request import Request


class Kept(NamedTuple):
    """A place that is kept: for whom, after which request, where, room [tokens], until [s]."""

    habit: Habit
    request: Request
    view: View
    size: float
    until: float


class Anticipating(Dispatcher):
    """Keeps the place of who ended for as long as its tenant's next usually takes to come.

    Whoever waits for one answer before it asks again has nobody in the queue at that moment. Its
    place would go to a neighbour with many in the queue, and its next would wait as long as one of
    those takes, each time, though it uses less than its share. Source: iyer2001 (deceptive
    idleness).

    A place is kept only for a tenant with less than an equal share of the slots, whose next would
    go before all that wait, as the order has it; others may have all other places.

    hold: longest time that a place is kept, as a share of the time of the request that had it; so
    no more than that is lost.
    """

    def __init__(
        self,
        order: Order,
        router: Router | None = None,
        gates: Sequence[Gate] = (),
        jobs: Jobs | None = None,
        hold: float = 0.05,
    ) -> None:
        super().__init__(order, router, gates, jobs)
        if not 0 < hold < 1:
            raise BadInput(f"hold of {hold:.0%} must be above 0 and below 100%, such as 5%.")
        self.habits = Habits(hold)
        self.kept: list[Kept] = []
        self.lapse = inf  # when the first of them is given up, or before
        self.says = self.says._replace(keeps=hold)
        self._lanes = False
        self._usual: float | None = None  # alarm without any place kept

    def on(self, event: Event, now: float) -> list[Action]:
        """What to do about an event. now: never runs back [s]."""
        self.alarm = self._usual
        actions = super().on(event, now)
        if actions:
            self._note(actions, now)
        if self.kept and (self.order.waiting or now >= self.lapse):
            more = self._review(now)
            self._note(more, now)
            actions = [*actions, *more]
        self._usual = self.alarm
        if self.kept and self._someone_waits():
            self.alarm = self.lapse if self.alarm is None else min(self.lapse, self.alarm)
        return actions

    def _someone_waits(self) -> bool:
        return bool(self.order.waiting or self.parked or self.jobs.waiting)

    def _note(self, actions: list[Action], now: float) -> None:
        for action in actions:
            if type(action) is Start:
                self.habits.started(action.request, now)
            elif type(action) is Reject:
                self.habits.over(action.request)

    def _arrived(self, request: Request, now: float) -> list[Action]:
        if request.work:
            return super()._arrived(request, now)
        self.habits.came(request, now)
        habit = self.habits.whose[request.id]
        place = None
        if self.kept:
            place = next((each for each in self.kept if each.habit is habit), None)
        if place is None:
            return super()._arrived(request, now)
        self._let_go(place)
        head = self.order.peek(now) if self.order.waiting else None
        if head is not None and self.order.precedes(request, head, now):
            actions = self._first(request, now)
        else:
            actions = super()._arrived(request, now)
        return [*actions, *self._retry(now)] if self._someone_waits() else actions

    def _first(self, request: Request, now: float) -> list[Action]:
        """Start who came back before all that wait."""
        if self.gates and (refusal := self._refusal(request, now)):
            return [refusal]
        self.order.push(request)
        if self.gates:
            self._limit(request)
        action = self._serve(request, now)
        return [] if action is None else [action]

    def _finished(self, event: Finished, now: float) -> list[Action]:
        flight = self.flying.get(event.request)
        if flight is None:
            return super()._finished(event, now)
        request, view, size = flight
        habit = self.habits.whose[request.id]
        wait = self.habits.ended(request.id, now, self.pool.slots if view.takes else 0)
        if wait:
            view.running += 1  # with its end it stands as it did
            view.held += size
            until = now + wait
            self.kept.append(Kept(habit, request, view, size, until))
            if until < self.lapse:
                self.lapse = until
        return super()._finished(event, now)

    def _failed(self, event: Failed, now: float) -> list[Action]:
        self.habits.failed(event.request)
        return super()._failed(event, now)

    def _left(self, event: Left, now: float) -> list[Action]:
        self.habits.over(event.request)
        return super()._left(event, now)

    def _review(self, now: float) -> list[Action]:
        """Give up places kept for those who would not go first any more, or did not come."""
        head = self.order.peek(now) if self.order.waiting else None
        lapsed = [
            place
            for place in self.kept
            if place.until <= now or (head and not self.order.precedes(place.request, head, now))
        ]
        for place in lapsed:
            self._let_go(place)
        self.lapse = min((place.until for place in self.kept), default=inf)
        return self._retry(now) if lapsed else NOTHING

    def _let_go(self, place: Kept) -> None:
        """A place is free again."""
        self.kept.remove(place)
        self._stuck = None
        self.habits.given_up(place.habit)
        self._release(place.view, place.size)
