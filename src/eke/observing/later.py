"""A policy that hears of ends a little after they happen, as one does over a network."""

from __future__ import annotations

from collections import deque

from eke.policy.protocol import Action, Event, Finished, Place, Policy, Tick


class Later:
    """Any policy, told of each end `delay` [s] after it: so long the place is still taken."""

    def __init__(self, policy: Policy, delay: float) -> None:
        self.policy, self.delay = policy, delay
        self.hear_first = policy.hear_first
        self._ends: deque[tuple[float, Finished]] = deque()

    @property
    def alarm(self) -> float | None:
        """When it next wants a Tick [s]."""
        own = self.policy.alarm
        due = self._ends[0][0] if self._ends else None
        return due if own is None else own if due is None else min(own, due)

    @alarm.setter
    def alarm(self, when: float | None) -> None:
        self.policy.alarm = when

    def on(self, event: Event, now: float) -> list[Action]:
        """What to do about an event. now: never runs back [s]."""
        if type(event) is Finished:
            self._ends.append((now + self.delay, event))
            return []
        actions: list[Action] = []
        while self._ends and self._ends[0][0] <= now:
            actions += self.policy.on(self._ends.popleft()[1], now)
        if type(event) is not Tick:
            return actions + self.policy.on(event, now)
        own = self.policy.alarm
        if own is not None and own <= now:
            actions += self.policy.on(event, now)
            if self.policy.alarm == own:
                self.policy.alarm = None
        return actions

    def place(self, request: int, now: float) -> Place | None:
        """Where a request stands in the queue; None when it does not wait."""
        return self.policy.place(request, now)
