"""Axes of charts: where values stand, and which round values are told."""

from __future__ import annotations

import math
from typing import Any

from eke.report.drawing import round_step
from eke.types.record import Record
from eke.units import show

# Durations people think in, for logarithmic axes [s].
ROUND_TIMES = (
    *((10.0**power, show(10.0**power, "s")) for power in range(-9, 1)),
    *((10.0, "10 s"), (60.0, "1 min"), (600.0, "10 min"), (3600.0, "1 h"), (36000.0, "10 h")),
    *((86400.0, "1 day"), (864000.0, "10 days"), (8640000.0, "100 days")),
)
ROUND_NUMBERS = tuple((10.0**power, show(10.0**power, "1")) for power in range(-12, 19))
# Units of linear axes of time, and the steps of ticks in each.
CLOCKS = (
    (86400.0, "days", (1, 2, 5, 10)),
    (3600.0, "h", (1, 2, 3, 6, 12, 24)),
    (60.0, "min", (1, 2, 5, 10, 15, 30)),
    (1.0, "s", (1, 2, 5, 10, 20, 30)),
    (1e-3, "ms", ()),
    (1e-6, "µs", ()),
)


class Axis(Record):
    """From values to places. low, high: values at its ends.  start, end: their places [pixels]."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    unit: str = "1"

    def at(self, value: Any) -> Any:
        """Where a value stands, or an array of values; what lies outside is at the end."""
        import numpy as np

        value = np.clip(value, self.low, self.high)
        low, high = self.low, self.high
        if self.log:
            value, low, high = np.log(value), math.log(low), math.log(high)
        return self.start + (value - low) / (high - low) * (self.end - self.start)


class Tick(Record):
    """A value that is told, and its words."""

    value: float
    words: str


def linear(most: float, start: float, end: float, unit: str = "1") -> Axis:
    """An axis from nothing to a round value, at least `most`."""
    high = most if most > 0 else 1.0
    step = round_step(high / 4)
    return Axis(low=0.0, high=math.ceil(high / step - 1e-9) * step, start=start, end=end, unit=unit)


def around(least: float, most: float, start: float, end: float, unit: str = "1") -> Axis:
    """An axis between round values that holds nothing, gains and losses."""
    low, high = min(least, 0.0), max(most, 0.0)
    if low == high:
        high = 1.0
    step = round_step((high - low) / 4)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return Axis(low=low, high=high, start=start, end=end, unit=unit)


def logarithmic(least: float, most: float, start: float, end: float, unit: str = "s") -> Axis:
    """An axis of durations, or of plain numbers (unit "1"), with a little room at both ends and
    more around a single value."""
    if most < 2 * least:
        least, most = least / 1.5, most * 1.5
    room = (most / least) ** 0.03 * 1.05
    return Axis(low=least / room, high=most * room, start=start, end=end, log=True, unit=unit)


def ticks(axis: Axis, most: int = 5) -> list[Tick]:
    """Round values along an axis, at most so many or one more."""
    return _log_ticks(axis, most) if axis.log else _even_ticks(axis, most)


def _even_ticks(axis: Axis, most: int) -> list[Tick]:
    step = round_step((axis.high - axis.low) / most)
    first, last = math.ceil(axis.low / step - 1e-9), math.floor(axis.high / step + 1e-9)
    values = [i * step for i in range(first, last + 1)]
    if axis.unit == "%":
        return [Tick(value=value, words=f"{100 * value:g} %") for value in values]
    return [Tick(value=value, words=show(value, "1")) for value in values]


def _log_ticks(axis: Axis, most: int) -> list[Tick]:
    """Powers of ten and whole minutes, hours and days; over a short stretch, 1, 2 and 5."""
    round_ones = ROUND_TIMES if axis.unit == "s" else ROUND_NUMBERS
    within = [Tick(value=v, words=w) for v, w in round_ones if axis.low <= v <= axis.high]
    if len(within) >= 3:
        return within[:: math.ceil(len(within) / (most + 1))]
    powers = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7), tuple(1 + i / 10 for i in range(90))):
        every = [step * 10.0**power for power in powers for step in steps]
        values = [value for value in every if axis.low <= value <= axis.high]
        if len(values) >= 3:
            values = values[:: math.ceil(len(values) / (most + 1))]
            return [Tick(value=value, words=show(value, axis.unit, 2)) for value in values]
    return [Tick(value=axis.low, words=show(axis.low, axis.unit))]


def clock(length: float, most: int = 5) -> tuple[str, float, list[Tick]]:
    """Ticks of a time axis from 0 to `length` [s]: their unit, how long that is, and the ticks."""
    scale, unit, steps = next((each for each in CLOCKS if length >= 2 * each[0]), CLOCKS[-1])
    least = length / scale / most
    step = next((step for step in steps if step >= least), None) or round_step(least)
    count = int(length / scale / step + 1e-9)
    return (
        unit,
        scale,
        [Tick(value=i * step * scale, words=f"{i * step:,g}") for i in range(count + 1)],
    )
