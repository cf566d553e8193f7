"""Chip time where it changes along the way: of an ask with its lengths, of a run with its chips.
Planned at a few points, and read between them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from eke.allocating.forecasts.cases import Array
from eke.types.need import Span
from eke.types.record import Record

APART = 10.0  # at most between two lengths that are planned
SAME = 1.05  # lengths closer than that are one
LEAST = 0.05  # of the shortest time planned, below which none is read
MARGIN = 0.02  # of the cases on either side are not planned for, but read on


class Curve(Record):
    """Chip times at lengths of prompts and answers. speed: the chip time's interval, over its
    likeliest.

    Time goes up with every token, read or written, so that straight lines between the lengths
    planned come close: within 3 % in the middle of lengths nine times apart.
    """

    prompts: tuple[float, ...]
    answers: tuple[float, ...]
    times: tuple[tuple[float, ...], ...]
    speed: Span

    def at(self, prompt: Array, answer: Array) -> Array:
        """The chip time at those lengths, in every case [s]."""
        times = np.array(self.times)
        i, u = _between(self.prompts, prompt)
        j, v = _between(self.answers, answer)
        above, beside = (
            np.minimum(i + 1, len(self.prompts) - 1),
            np.minimum(j + 1, times.shape[1] - 1),
        )
        low = times[i, j] * (1 - v) + times[i, beside] * v
        high = times[above, j] * (1 - v) + times[above, beside] * v
        return np.maximum(low * (1 - u) + high * u, LEAST * times.min())


def _between(nodes: tuple[float, ...], lengths: Array) -> tuple[Array, Array]:
    """Below which node a length stands, and how far towards the next."""
    at, line = np.asarray(lengths, dtype=float), np.array(nodes)
    if len(nodes) == 1:
        return np.zeros(at.shape, dtype=int), np.zeros(at.shape)
    index = np.clip(np.searchsorted(line, at, side="right") - 1, 0, len(nodes) - 2)
    return index, (at - line[index]) / (line[index + 1] - line[index])


def nodes(lengths: Array) -> tuple[float, ...]:
    """The lengths to plan for, out of all there will be."""
    low, high = np.quantile(lengths, (MARGIN, 1 - MARGIN))
    low, high = max(float(low), 1.0), max(float(high), 1.0)
    if high <= low * SAME:
        return (math.sqrt(low * high),)
    count = 1 + max(1, math.ceil(math.log(high / low) / math.log(APART) - 1e-9))
    return tuple(float(x) for x in np.geomspace(low, high, count))


def curve(prompts: Array, answers: Array, time: Callable[[float, float], Span]) -> Curve:
    """Plan at the lengths that span all of those. time: the chip time at two lengths."""
    rows, columns = nodes(prompts), nodes(answers)
    spans = [[time(prompt, answer) for answer in columns] for prompt in rows]
    middle = spans[len(rows) // 2][len(columns) // 2]
    return Curve(
        prompts=rows,
        answers=columns,
        times=tuple(tuple(span.likely for span in row) for row in spans),
        speed=over_likely(middle),
    )


def over_likely(of: Span) -> Span:
    """An interval as a factor."""
    return Span(low=of.low / of.likely, likely=1.0, high=of.high / of.likely)


STEP = 4  # times as many chips at the next size of a run that is planned
SMALLEST, SMALL, LARGEST = 16, 1024, 1_048_576  # chips of a run that are planned
STEEPEST = 0.95  # chip time may grow with the chips; if it grew as fast, more would be no faster


class Sizes(Record):
    """Chip times of a run at numbers of chips it may be spread over."""

    chips: tuple[int, ...]
    times: tuple[float, ...]

    def at(self, rate: Array) -> Array:
        """The chips of a run that is done so many times a second, in every case.

        chips = rate × chip time(chips), of which the logarithm has straight pieces; beyond the
        sizes planned, the last piece goes on.
        """
        x, t = np.log(self.chips), np.log(self.times)
        if len(x) == 1:
            return rate * self.times[0]
        slopes = np.clip(np.diff(t) / np.diff(x), 0.0, STEEPEST)
        t = t[0] + np.concatenate([[0.0], np.cumsum(slopes * np.diff(x))])
        wanted, line = np.log(rate), x - t
        index = np.clip(np.searchsorted(line, wanted, side="right") - 1, 0, len(slopes) - 1)
        return np.exp(x[index] + (wanted - line[index]) / (1 - slopes[index]))


def sizes(least: float, most: float, time: Callable[[int], float]) -> Sizes:
    """Plan at the sizes that span those of runs done at rates from `least` to `most` [1/s]. time:
    the chip time on so many chips [s]."""
    known = {SMALL: time(SMALL)}

    def short(chips: int, rate: float) -> bool:
        """Whether so many chips are too few."""
        if chips not in known:
            known[chips] = time(chips)
        return rate * known[chips] > chips

    steps = round(math.log(max(least * known[SMALL], 1.0) / SMALL, STEP))
    at = min(max(round(SMALL * STEP**steps), SMALLEST), LARGEST)
    while at > SMALLEST and not short(at, least):
        at //= STEP
    while at < LARGEST and short(at, most):
        at *= STEP
    rows = sorted(known.items())
    return Sizes(chips=tuple(n for n, _ in rows), times=tuple(t for _, t in rows))
