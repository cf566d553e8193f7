"""Charts as SVG beside lines: heat, dots, stacked columns, bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from eke.report.axes import Axis, ticks
from eke.report.charts import (
    BOTTOM,
    TOP,
    WIDE,
    across_axis,
    anchor,
    chart,
    over_time,
    short,
    up,
    up_axis,
)
from eke.report.drawing import box, line, text
from eke.types.record import Record

SHADES = 8  # of heat


def heat(title: str, about: str, shares: Any, names: tuple[str, str], length: float) -> str:
    """Shares by row and column of time as shades; NaN is left blank. names: of the first row and
    of the last."""
    across, (rows, columns) = over_time(length), shares.shape
    x, tall = across.axis, max(min(rows * 30.0, 120.0), rows * 2.5)
    wide, deep = (x.end - x.start) / columns, tall / rows
    level = np.where(np.isnan(shares), -1, np.clip(shares * SHADES, 0, SHADES - 1)).astype(int)
    ways: dict[int, list[str]] = {}
    for row, first, last in _stretches(level):
        place = f"M{x.start + first * wide:.1f},{TOP + row * deep:.1f}"
        shape = f"h{(last - first) * wide:.1f}v{deep:.1f}h-{(last - first) * wide:.1f}z"
        ways.setdefault(int(level[row, first]), []).append(place + shape)
    pieces = [
        f'<path class="heat" fill-opacity="{(shade + 0.3) / SHADES:.2f}" d="{"".join(way)}"/>'
        for shade, way in sorted(ways.items())
        if shade >= 0
    ]
    ends = [(TOP + 9, names[0])] + ([(TOP + tall - 2, names[1])] if rows > 1 else [])
    pieces += [text(x.start - 6, y, words, 'text-anchor="end"') for y, words in ends]
    pieces += [*across_axis(x, TOP + tall, across.ticks, across.name), *_scale(x.end)]
    return chart(title, about, pieces, TOP + tall + BOTTOM)


def _stretches(level: Any) -> Iterable[tuple[int, int, int]]:
    """Row, beginning and end of neighbours alike."""
    for row, values in enumerate(level):
        ends = [*(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
        yield from ((row, first, last) for first, last in pairwise([0, *ends]))


def _scale(right: float) -> list[str]:
    """What the shades mean."""
    left = right - 12.0 * SHADES - 38
    boxes = [
        box(left + 12 * i, 5, 12, 8, "currentColor", f'fill-opacity="{(i + 0.3) / SHADES:.2f}"')
        for i in range(SHADES)
    ]
    return [
        text(left - 5, 12.5, "0 %", 'text-anchor="end"'),
        *boxes,
        text(right - 34, 12.5, "100 %"),
    ]


class Dot(Record):
    """A dot of a row. low: where a thin line to it begins, None for none.  told: on hovering."""

    value: float
    style: str
    told: str
    low: float | None = None


def dots(
    title: str, about: str, rows: Sequence[tuple[str, Sequence[Dot]]], x: Axis, below: str
) -> str:
    """One row per name with a dot per run."""
    most = max((len(each) for _, each in rows), default=1)
    deep = 11.0 + 5 * most
    floor = TOP + deep * len(rows)
    found = []
    for tick in ticks(x, 4):
        place = float(x.at(tick.value))
        found.append(line(place, place, TOP - 4, floor, 'class="grid"'))
        found.append(text(place, floor + 14, tick.words, anchor(place, tick.words)))
    for i, (name, each) in enumerate(rows):
        middle = TOP + deep * (i + 0.5)
        label = short(name, 15)
        found.append(text(x.start - 8, middle + 3.5, label, 'text-anchor="end" class="row"'))
        for k, dot in enumerate(each):
            found.append(_dot(dot, x, middle + 5 * (k - (len(each) - 1) / 2)))
    found.append(text(x.end, floor + 28, below, 'text-anchor="end" class="axis"'))
    return chart(title, about, found, floor + BOTTOM)


def _dot(dot: Dot, x: Axis, y: float) -> str:
    place = float(x.at(dot.value))
    reach = ""
    if dot.low is not None:
        reach = line(float(x.at(dot.low)), place, y, y, 'class="reach"')
    told = f"<title>{escape(dot.told)}</title>"
    mark = f'<circle cx="{place:.1f}" cy="{y:.1f}" r="3.4">{told}</circle>'
    return f'<g class="dot {dot.style}">{reach}{mark}</g>'


def stacked(
    title: str, about: str, counts: Any, names: Sequence[str], length: float, most: float
) -> str:
    """Columns over time, one colour per name, the first at the bottom."""
    across, y = over_time(length), up(most)
    x = across.axis
    wide = (x.end - x.start) / counts.shape[1]
    floor = np.zeros(counts.shape[1])
    found = up_axis(x, y, "requests")
    for i, each in enumerate(counts):
        if not each.any():
            continue
        tops, lows = y.at(floor + each), y.at(floor)
        boxes = [
            f"M{x.start + j * wide:.1f},{lows[j]:.1f}V{tops[j]:.1f}h{wide:.1f}V{lows[j]:.1f}z"
            for j in np.flatnonzero(each).tolist()
        ]
        told = f"<title>{escape(short(names[i], 80))}: {int(each.sum()):,}</title>"
        found.append(f'<path class="reason-{i}" d="{"".join(boxes)}">{told}</path>')
        floor = floor + each
    found += across_axis(x, y.start, across.ticks, across.name)
    return chart(title, about, found)


def bars(title: str, about: str, rows: Sequence[tuple[str, float, str, str]]) -> str:
    """Horizontal bars: name, value, its words, its classes."""
    most = max((value for _, value, _, _ in rows), default=1.0) or 1.0
    left, right, step = 92, 84, 22
    found = []
    for i, (name, value, words, style) in enumerate(rows):
        y = TOP - 12 + step * i
        wide = (WIDE - left - right) * max(value, 0.0) / most
        label = text(left - 8, y + 12, short(name, 13), 'text-anchor="end" class="row"')
        bar = box(left, y, wide, 15, "currentColor")
        value_words = text(left + wide + 6, y + 12, words, 'class="value"')
        found.append(f'<g class="bar {style}">{label}{bar}{value_words}</g>')
    return chart(title, about, found, TOP + step * len(rows))
