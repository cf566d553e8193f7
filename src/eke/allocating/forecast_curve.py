"""Chip time of an ask over the lengths that it will have: planned at a few, and read between them.

Time goes up with every token, read or written, so that straight lines between the lengths planned
come close: within 3 % in the middle of lengths nine times apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from eke.allocating.forecast_cases import Array
from eke.types.need import Span
from eke.types.record import Record

APART = 10.0  # at most between two lengths that are planned
SAME = 1.05  # lengths closer than that are one
LEAST = 0.05  # of the shortest time planned, below which none is read
MARGIN = 0.02  # of the cases on either side are not planned for, but read on


class Curve(Record):
    """Chip times at lengths of prompts and answers. speed: the chip time's interval, over its
    likeliest."""

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
        speed=Span(low=middle.low / middle.likely, likely=1.0, high=middle.high / middle.likely),
    )
