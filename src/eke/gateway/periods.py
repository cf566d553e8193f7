"""The windows of time in which limits are counted, all of them in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf

from eke.gateway.settings import MONTH

FIRST = 1970  # year in which windows begin to be numbered


def number_of(period: float, wall: float) -> int:
    """Number of the window that a moment lies in. period: its length [s], MONTH for a month of the
    calendar, inf for ever.  wall: UTC [s]."""
    if period == inf:
        return 0
    if period != MONTH:
        return int(wall // period)
    day = datetime.fromtimestamp(wall // 1, UTC)
    return (day.year - FIRST) * 12 + day.month - 1


def begin_of(period: float, number: int) -> float:
    """When a window begins, UTC [s]; after the only one there is for ever, inf."""
    if period == inf:
        return inf if number else 0.0
    if period != MONTH:
        return number * period
    return datetime(FIRST + number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()
