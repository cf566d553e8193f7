"""The periods of a provider's file."""

from __future__ import annotations

from datetime import date
from math import ceil

from eke.types.record import Record

DAY = 86400.0


class Calendar(Record):
    """The periods of a file: from when, how long [s], how many; parts of a day as shares."""

    start: date
    period: float
    periods: int
    parts: dict[str, float]

    def first_from(self, when: date) -> int:
        """The first period that begins on that day or later, as far as there are."""
        later = (when - self.start).days * DAY / self.period
        return min(max(ceil(later - 1e-9), 0), self.periods)
