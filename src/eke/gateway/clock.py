"""Two clocks: one that never runs back, for policies, and the calendar's, for people."""

from __future__ import annotations

import time
from collections.abc import Callable

JUMP = 5.0  # difference between the two that is believed when it is seen twice [s]


class Clock:
    """Seconds since the gateway began, and the time of day that belongs to them.

    The time of day is the monotonic clock's plus a fixed offset, so that a machine whose calendar
    jumps back does not give a budget a second day; a jump that stays is believed at the second
    look.
    """

    __slots__ = ("_begun", "_calendar", "_doubt", "_monotonic", "_offset")

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic, self._calendar = monotonic, calendar
        self._begun = monotonic()
        self._offset = calendar()
        self._doubt = 0.0

    def now(self) -> float:
        """Since the gateway began [s]."""
        return self._monotonic() - self._begun

    def wall(self, now: float | None = None) -> float:
        """UTC, since 1970 [s], at a moment of this clock or at once."""
        return self._offset + (self.now() if now is None else now)

    def look(self) -> float:
        """Compare with the calendar; the jump that was taken over, 0 for none [s]."""
        off = self._calendar() - self.wall()
        if abs(off) < JUMP:
            self._doubt = 0.0
            return 0.0
        if abs(off - self._doubt) >= JUMP:
            self._doubt = off
            return 0.0
        self._doubt = 0.0
        self._offset += off
        return off
