"""What happens over time: sums over windows of equal length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from eke.types.record import Record
from eke.types.run import Run

CHUNK = 1 << 18  # rows at a time, so that millions need little memory
LEAST = 1e-6  # shortest stretch that is cut into windows [s]


class Windows(Record):
    """A stretch of time cut into `count` windows of equal length. start, end [s]."""

    start: float
    end: float
    count: int

    @property
    def width(self) -> float:
        """Length of a window [s]."""
        return (self.end - self.start) / self.count

    @property
    def middles(self) -> Any:
        """Middle of every window [s]."""
        return self.start + (np.arange(self.count) + 0.5) * self.width


def windows(run: Run, count: int) -> Windows:
    """The whole run in windows, from the first sample or arrival to its end."""
    times = [run.requests["arrived"], run.timeline.get("time", ())]
    starts = [float(np.nanmin(each)) for each in times if np.isfinite(each).any()]
    start = min([*starts, run.end])
    return Windows(start=start, end=max(run.end, start + LEAST), count=count)


def spread(at: Windows, start: Any, end: Any, amount: Any = 1.0, group: Any = 0) -> Any:
    """Sums by group and window of amounts that flow evenly from `start` to `end` [s].

    group: a row of the answer for each amount; negative ones are left out, and so is what has no
    start or no end. What lies outside the windows does not count.
    """
    count = len(start)
    amounts = np.broadcast_to(np.asarray(amount, dtype=float), count)
    groups = np.broadcast_to(np.asarray(group), count)
    rows = max(int(groups.max(initial=0)) + 1, 1)
    whole = np.zeros(rows * at.count)  # what falls into a window
    slope = np.zeros(rows * at.count + 1)  # change of the flow at its beginning
    for part in chunks(count):
        _add(at, start[part], end[part], amounts[part], groups[part], whole, slope)
    flow = np.cumsum(slope[:-1].reshape(rows, at.count), axis=1)
    return np.maximum(whole.reshape(rows, at.count) + flow, 0.0)


def tally(at: Windows, times: Any, group: Any = 0) -> Any:
    """How many of `times` fall into each window, by group."""
    return spread(at, times, times, 1.0, group)


def chunks(count: int) -> Iterator[slice]:
    """Stretches of at most CHUNK rows."""
    for first in range(0, count, CHUNK):
        yield slice(first, min(first + CHUNK, count))


def _add(
    at: Windows, start: Any, end: Any, amount: Any, group: Any, whole: Any, slope: Any
) -> None:
    """Add some rows. A flow fills its first and last window in part, those between evenly."""
    inside = (end >= start) & (end >= at.start) & (start <= at.end) & (group >= 0) & (amount > 0)
    if not inside.all():
        start, end, amount, group = (each[inside] for each in (start, end, amount, group))
    first, last = (_places(at, each) for each in (start, end))
    i, j = (np.minimum(each.astype(np.int64), at.count - 1) for each in (first, last))
    length = np.maximum(end - start, 0.0) / at.width
    row, size = group * np.int64(at.count), len(whole)

    one = i == j
    share = np.where(length > 0, (last - first) / np.where(length > 0, length, 1.0), 1.0)
    whole += np.bincount((row + i)[one], (amount * share)[one], size)

    many = ~one
    row, i, j, first, last = (each[many] for each in (row, i, j, first, last))
    rate = amount[many] / length[many]  # per window
    whole += np.bincount(row + i, rate * (i + 1 - first), size)
    whole += np.bincount(row + j, rate * (last - j), size)
    slope += np.bincount(row + i + 1, rate, size + 1)
    slope -= np.bincount(row + j, rate, size + 1)


def _places(at: Windows, times: Any) -> Any:
    """Where times stand, counted in windows from the first; those outside at the edge."""
    return (np.clip(times, at.start, at.end) - at.start) / at.width
