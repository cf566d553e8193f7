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


SMALL, LARGEST = 1024, 1_048_576  # chips among which a run is planned, at first and at most
NEAR = 1.5  # times as many chips as were planned, above which others are
LOOKS = 3  # at the chips of a run, each with what was planned before
STEEPEST = 0.95  # chip time may grow with the chips below those planned; as fast, none would do


class Sizes(Record):
    """Chip times of a run at numbers of chips it may be spread over; with more than the last it is
    no faster."""

    chips: tuple[float, ...]
    times: tuple[float, ...]

    def at(self, rate: Array) -> Array:
        """The chips of a run that is done so many times a second, in every case; the last ones
        where no number would do.

        chips = rate × chip time(chips), of which the logarithm has straight pieces.
        """
        x, t, wanted = np.log(self.chips), np.log(self.times), np.log(rate)
        line = x - t
        if len(x) == 1:
            return np.exp(np.minimum(wanted + t[0], x[0]))
        slope = min(max(float((t[1] - t[0]) / (x[1] - x[0])), 0.0), STEEPEST)
        below = x[0] + (wanted - line[0]) / (1 - slope)
        return np.exp(np.where(wanted < line[0], below, np.interp(wanted, line, x)))

    def done(self, rate: float) -> float:
        """How much longer than it should a run takes on the last ones, 1 where it does not."""
        return max(rate * self.times[-1] / self.chips[-1], 1.0)


def sizes(least: float, most: float, planned: Callable[[int], tuple[float, float]]) -> Sizes:
    """Plan at few chips, at those on which a run is fastest, and at about as many as runs have that
    are done at rates from `least` to `most` [1/s]. planned: of so many chips, those that the
    fastest layout takes, and its chip time [s]."""
    known = dict(planned(chips) for chips in (SMALL, LARGEST))
    for rate in (least, most):
        for _ in range(LOOKS):
            chips = max(round(float(_faster(known).at(rate))), 1)
            if any(max(n / chips, chips / n) < NEAR for n in known):
                break
            known |= dict([planned(chips)])
    return _faster(known)


def _faster(known: dict[float, float]) -> Sizes:
    """Those of them on which a run is faster than on any fewer."""
    rows: list[tuple[float, float]] = []
    for chips, time in sorted(known.items()):
        if not rows or chips / time > rows[-1][0] / rows[-1][1] * (1 + 1e-9):
            rows.append((chips, time))
    return Sizes(chips=tuple(n for n, _ in rows), times=tuple(t for _, t in rows))
