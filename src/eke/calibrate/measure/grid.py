"""The values at which a curve passes timings best.

The mean of |log(predicted / measured)| is least there, found on a grid: no start to choose, and one
bad point moves it little. A faint pull towards the usual values decides what the points do not.
The interval is what single points imply for a value, each at its fast and its slow repeats: 10th to
90th percentile.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from eke.types.need import Span
from eke.types.record import Record


class Axis(Record):
    """Where a value is looked for, and the one that eke has without measuring."""

    low: float
    high: float
    usual: float


STEPS = 15  # of the grid along each axis
PULL = 0.001  # mean error that a value must save to leave the usual one by a factor of e


def least(predicted: Callable[..., Any], measured: Any, axes: list[Axis]) -> list[float]:
    """The values that predict best, on a grid that closes in on them."""
    usual = [math.log(axis.usual) for axis in axes]
    ranges = [(math.log(axis.low), math.log(axis.high)) for axis in axes]
    found = usual
    for _ in range(10):
        lines = [np.linspace(low, high, STEPS if high > low else 1) for low, high in ranges]
        grids = np.meshgrid(*lines, indexing="ij", sparse=True)
        times = predicted(*(np.exp(grid)[..., None] for grid in grids))
        loss = np.mean(np.abs(np.log(times / measured)), axis=-1)
        for grid, at in zip(grids, usual, strict=True):
            loss = loss + PULL * np.abs(grid - at)
        best_at = np.unravel_index(int(np.argmin(loss)), loss.shape)
        found = [float(line[at]) for line, at in zip(lines, best_at, strict=True)]
        widths = [0.2 * (high - low) for low, high in ranges]
        ranges = [(at - wide, at + wide) for at, wide in zip(found, widths, strict=True)]
    return [math.exp(at) for at in found]


def span_of(likely: float, implied: Any) -> Span:
    """The interval of a value from what single points imply."""
    if not len(implied):
        return Span(low=likely, likely=likely, high=likely)
    low, high = (float(end) for end in np.quantile(implied, (0.1, 0.9)))
    return Span(low=min(low, likely), likely=likely, high=max(high, likely))
