"""Points between two axes: a frontier, and what is known beside it, with names that do not meet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise

from eke.report.axes import Axis, linear, logarithmic, ticks
from eke.report.charts import (
    BOTTOM,
    HIGH,
    LEFT,
    LETTER,
    RIGHT,
    TOP,
    WIDE,
    Across,
    Line,
    across_axis,
    chart,
    short,
    up_axis,
)
from eke.report.charts import points as path_of
from eke.report.drawing import line, text
from eke.types.record import Record

DEEP = HIGH + 60  # a scatter is as high as it needs for names beside points
NAME = 22  # letters of a name beside its point
DISTANCES = (8, 18, 30, 44, 60)  # from a point, at which its name may stand; the first is beside it
NEAR = 6  # between boxes along a line [pixels]
Box = tuple[float, float, float, float]  # left, top, right, bottom


class Spot(Record):
    """A point. style: its classes, such as "ink-3"; with "other" it is drawn hollow.  told: on
    hovering.  label: whether its name stands beside it."""

    x: float
    y: float
    name: str
    style: str
    told: str
    label: bool = False


def across_values(values: Sequence[float], name: str, log: bool = False, unit: str = "1") -> Across:
    """The axis along the bottom that holds them. Logarithmic where `log`."""
    axis = _axis(values, LEFT, WIDE - RIGHT, log, unit)
    return Across(axis=axis, ticks=tuple(ticks(axis, 4)), name=name, unit=unit)


def up_values(values: Sequence[float], log: bool = False, unit: str = "1") -> Axis:
    """The axis upward that holds them."""
    return _axis(values, DEEP - BOTTOM, TOP, log, unit)


def _axis(values: Sequence[float], start: float, end: float, log: bool, unit: str) -> Axis:
    known = [value for value in values if value > 0] or [1.0]
    if log:
        return logarithmic(min(known), max(known), start, end, unit)
    return linear(max(known), start, end, unit)


def scatter(
    title: str,
    about: str,
    spots: Sequence[Spot],
    axes: tuple[Across, Axis, str],
    ways: Sequence[Line] = (),
) -> str:
    """Points, and lines behind them. axes: along the bottom, upward, and what the one upward is."""
    across, y, beside = axes
    x = across.axis
    pieces = [
        *up_axis(x, y, beside),
        *across_axis(x, y.start, across.ticks, across.name),
        *(_way(each, x, y) for each in ways),
        *(_spot(each, x, y) for each in spots),
        *_names(spots, ways, x, y),
    ]
    return chart(title, about, pieces, DEEP)


def _way(each: Line, x: Axis, y: Axis) -> str:
    name = escape(each.name, quote=True)
    way = path_of(x.at(each.x), y.at(each.y))
    return f'<path class="line {each.style}" data-name="{name}" d="{way}"/>' if way else ""


def _spot(each: Spot, x: Axis, y: Axis) -> str:
    place = f'cx="{float(x.at(each.x)):.1f}" cy="{float(y.at(each.y)):.1f}" r="3.6"'
    told = f"<title>{escape(short(each.told, 300))}</title>"
    return f'<g class="spot {each.style}"><circle {place}>{told}</circle></g>'


def _names(spots: Sequence[Spot], ways: Sequence[Line], x: Axis, y: Axis) -> Iterator[str]:
    """Names beside their points, or farther off with a line to them, where nothing stands."""
    places = [(float(x.at(each.x)), float(y.at(each.y))) for each in spots]
    taken = [(a - 4, b - 4, a + 4, b + 4) for a, b in places]
    taken += [box for way in ways for box in _along(way, x, y)]
    for each, (a, b) in zip(spots, places, strict=True):
        if not each.label:
            continue
        words = short(each.name, NAME)
        free = next((box for box in _boxes(a, b, words) if _is_free(box, taken, x, y)), None)
        if free is None:  # its point still tells it
            continue
        taken.append(free)
        left, top, right, bottom = free
        if _apart(free, a, b) > DISTANCES[0] + 1:
            near = min(max(a, left), right), (top if b < top else bottom)
            yield line(a, near[0], b, near[1], 'class="leader"')
        before = right <= a  # letters may be wider than they are taken for
        how = 'text-anchor="end" class="value"' if before else 'class="value"'
        yield text(right if before else left, bottom - 3, words, how)


def _along(way: Line, x: Axis, y: Axis) -> Iterator[Box]:
    """Small boxes all along a line, which names keep away from."""
    places = list(zip(x.at(way.x).tolist(), y.at(way.y).tolist(), strict=True))
    for (a, b), (c, d) in pairwise(places):
        count = int(math.hypot(c - a, d - b) / NEAR) + 1
        for i in range(count + 1):
            left, top = a + (c - a) * i / count, b + (d - b) * i / count
            yield left - 1, top - 1, left + 1, top + 1


def _boxes(a: float, b: float, words: str) -> Iterator[Box]:
    """Where a name may stand: right, left, above, below, then around at growing distances."""
    wide, high = LETTER * len(words) + 2, 13.0
    for distance in DISTANCES:
        for turn in (0, 4, 2, 6, 1, 7, 3, 5):
            along, down = math.cos(turn * math.pi / 4), -math.sin(turn * math.pi / 4)
            middle = a + along * (distance + wide / 2), b + down * (distance + high / 2)
            left, top = middle[0] - wide / 2, middle[1] - high / 2
            yield left, top, left + wide, top + high


def _is_free(box: Box, taken: Sequence[Box], x: Axis, y: Axis) -> bool:
    left, top, right, bottom = box
    inside = x.start <= left and right <= x.end + RIGHT and y.end - 4 <= top and bottom <= y.start
    return inside and all(
        left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
        for other in taken
    )


def _apart(box: Box, a: float, b: float) -> float:
    """From a point to a box."""
    left, top, right, bottom = box
    return math.hypot(max(left - a, a - right, 0.0), max(top - b, b - bottom, 0.0))
