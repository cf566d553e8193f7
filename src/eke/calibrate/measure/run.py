"""Timing every point of a machine, within a time budget, keeping each as it comes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from eke.calibrate.measure.journal import Host, Journal, Timing
from eke.calibrate.measure.points import LARGE, SMALL, Point, flop, points
from eke.errors import BadInput

LEAST = 3  # repeats of a point


class Unable(Exception):
    """The device cannot do this point; the message says why."""


class Device(Protocol):
    """What can be timed."""

    host: Host

    def times(self, point: Point, seconds: float) -> list[float]:
        """Seconds of each repeat, warmed up, in about so many seconds. Raises Unable."""


def measure(
    device: Device,
    folder: Path,
    minutes: float,
    tell: Callable[[int, int, str], None] = lambda done, total, words: None,
) -> list[Timing]:
    """All timings of a machine; what the folder already has is not timed again.

    tell: called with points done, points in all and the point that is next.
    """
    if not 0 < minutes <= 600:
        raise BadInput(f"--minutes is {minutes:g}; it must lie above 0, at most 600.")
    host = device.host
    journal = Journal(folder, host)
    every = points(
        sizes=SMALL if host.kind == "cpu" else LARGE,
        formats=host.formats,
        ranks=host.ranks,
        memory=host.memory,
    )
    seconds = 60 * minutes / len(every)
    found: list[Timing] = []
    for index, point in enumerate(every):
        tell(index, len(every), point.words)
        timing = journal.timings.get(point) or _too_long(point, seconds, found)
        if timing is None:
            timing = _timed(device, point, seconds)
            journal.add(timing)
        found.append(timing)
    tell(len(every), len(every), "")
    return found


def _too_long(point: Point, seconds: float, before: list[Timing]) -> Timing | None:
    """The point left out, where going by smaller ones it takes far more than its time."""
    expected = _expected(point, before)
    if expected <= max(2 * seconds, 2.0):
        return None
    return Timing(point=point, unable=f"would take {expected:.2g} s; give more --minutes")


def _timed(device: Device, point: Point, seconds: float) -> Timing:
    """One point, timed."""
    try:
        times = device.times(point, seconds)
    except Unable as error:
        return Timing(point=point, unable=str(error)[:200] or "failed")
    median, low, high, repeats = robust(times)
    return Timing(point=point, median=median, low=low, high=high, repeats=repeats)


def _expected(point: Point, before: list[Timing]) -> float:
    """Seconds of one repeat, going by the fastest point of its kind so far; 0 when none is."""
    rates = [
        flop(timing.point) / timing.median
        for timing in before
        if timing.point.sweep == point.sweep and timing.point.form == point.form and timing.median
    ]
    fastest = max(rates, default=0.0)
    return flop(point) / fastest if fastest else 0.0


def robust(times: list[float]) -> tuple[float, float, float, int]:
    """Median, 10th and 90th percentile, and how many repeats, without the outliers.

    An outlier lies more than five median deviations from the median: somebody else's work.
    """
    found = np.asarray(times, dtype=float)
    middle = np.median(found)
    deviation = np.median(np.abs(found - middle))
    kept = found[np.abs(found - middle) <= 5 * max(deviation, 0.01 * middle)]
    low, high = np.quantile(kept, (0.1, 0.9))
    median = float(np.median(kept))
    return median, min(float(low), median), max(float(high), median), len(kept)
