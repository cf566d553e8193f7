"""What each request took of an engine's time, so that all of them together are its meter."""

from __future__ import annotations


class Meter:
    """An engine's time, shared at every moment among those in flight, in proportion to weights.

    One number per engine runs on, the time per unit of weight; a request's share is its weight
    times what the number grew by while it was there, so that the shares and the idle time add up
    to the time that passed, however requests overlap. Source: demers1989 (virtual time).

    busy, idle: time with and without requests [s].
    """

    __slots__ = ("_at", "_count", "_virtual", "_weight", "busy", "idle")

    def __init__(self, now: float) -> None:
        self._at = now
        self._virtual = self._weight = 0.0
        self._count = 0
        self.busy = self.idle = 0.0

    def begin(self, weight: float, now: float) -> float:
        """A request starts; the mark that its end is told with."""
        self._pass(now)
        self._weight += weight
        self._count += 1
        return self._virtual

    def end(self, mark: float, weight: float, now: float) -> float:
        """A request is over; its share of the engine's time [s]."""
        self._pass(now)
        share = weight * (self._virtual - mark)
        self._count -= 1
        self._weight = self._weight - weight if self._count else 0.0
        return share

    def read(self, now: float) -> tuple[float, float]:
        """Time with and without requests until now [s]."""
        self._pass(now)
        return self.busy, self.idle

    def _pass(self, now: float) -> None:
        spent = now - self._at
        self._at = now
        if self._count:
            self.busy += spent
            self._virtual += spent / self._weight
        else:
            self.idle += spent
