"""When people come: Poisson or burstier, steady or by the hour of the day, with spikes.

Gaps are drawn for a steady rate of one and then stretched so that the rate wanted comes out, so
that a wave or a spike changes when they come, not how bursty they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from eke.simulation.traffic.chance import stream
from eke.types.record import Record

DAY = 86400.0
BLOCK = 32_768  # gaps drawn at once
CELLS = 4000  # of a wave, each with a steady rate
MOST_CELLS = 2_000_000
EVEN = 1e-3  # a spread below which gaps are even


class Spike(Record):
    """So many times the usual rate, from `at` for `length` [s]."""

    factor: float
    at: float
    length: float


class Clock(Record):
    """A process of arrivals.

    rate: mean over a whole wave, spikes left out [1/s].  cv: standard deviation of the gaps
    over their mean; 1 for Poisson, 0 for even gaps.  seconds: it ends then [s].
    wave: how far the rate swings about its mean, 0 to 1.  period: of the wave [s].
    """

    rate: float
    seconds: float
    cv: float = 1.0
    wave: float = 0.0
    period: float = DAY
    spikes: tuple[Spike, ...] = ()


def expected(clock: Clock) -> tuple[Any, Any]:
    """Times, and how many arrivals are expected up to each; straight lines between."""
    if not clock.wave and not clock.spikes:
        return np.array([0.0, clock.seconds]), np.array([0.0, clock.seconds * clock.rate])
    cells = min(clock.seconds / min(clock.period, clock.seconds) * CELLS, MOST_CELLS)
    even = np.linspace(0.0, clock.seconds, int(cells) + 1)
    edges = [edge for s in clock.spikes for edge in (s.at, s.at + s.length)]
    times = np.unique(np.clip(np.concatenate((even, edges)), 0.0, clock.seconds))
    # The integral of rate × (1 − wave × cos): the trough is at the beginning.
    turn = clock.period / (2 * np.pi)
    count = np.diff(clock.rate * (times - clock.wave * turn * np.sin(times / turn)))
    middle = (times[1:] + times[:-1]) / 2
    for spike in clock.spikes:
        within = (middle >= spike.at) & (middle < spike.at + spike.length)
        count = np.where(within, count * spike.factor, count)
    return times, np.concatenate(([0.0], np.cumsum(np.maximum(count, 0.0))))


def ticks(clock: Clock, seed: int, part: int) -> Iterator[Any]:
    """The times of arrivals, in blocks, up to the end of the clock."""
    times, count = expected(clock)
    now, block = 0.0, 0
    while now < count[-1]:
        gaps = _gaps(clock.cv, stream(seed, part, "times", block), first=block == 0)
        steps = now + np.cumsum(gaps)
        now = float(steps[-1])
        yield np.interp(steps[steps < count[-1]], count, times)
        block += 1


def _gaps(cv: float, draw: np.random.Generator, first: bool) -> Any:
    """Gaps with mean 1. The first begins at a chance moment of a gap, so that the expected count
    is right from the start (the stationary renewal process).
    """
    if cv < EVEN:
        gaps = np.ones(BLOCK)
        longer = 1.0
    else:
        shape = 1 / cv**2
        gaps = draw.standard_gamma(shape, BLOCK) / shape
        longer = draw.standard_gamma(shape + 1) / shape
    if first:
        gaps[0] = draw.random() * longer
    return gaps
