"""Charts of lines as SVG for a page, and what all its charts share.

Colours are the page's, by class: `ink-3` is that of the fourth run, and what is of class `run-3`
vanishes with it. Every chart is WIDE units across and scales with its column.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from eke.report.axes import Axis, Tick, clock, linear, logarithmic, ticks
from eke.report.drawing import line, text
from eke.types.record import Record

WIDE, HIGH = 360, 216
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 20, 34
LABELS = 72  # room to the right for words at the ends of lines
LETTER = 5.6  # mean width of a letter [pixels]


class Line(Record):
    """One line of a chart. name: as it is told.  style: its classes.  low, high: of a band."""

    name: str
    x: Any
    y: Any
    style: str
    low: Any = None
    high: Any = None
    label: bool = True  # at its end, where there is room for words


def chart(title: str, about: str, pieces: Iterable[str], high: float = HIGH, more: str = "") -> str:
    """A whole chart. about: what it shows, for those who do not see it.  more: attributes."""
    return (
        f'<svg viewBox="0 0 {WIDE} {high:.0f}" role="img"{more and " "}{more}>'
        f"<title>{escape(title)}</title><desc>{escape(about)}</desc>{''.join(pieces)}</svg>"
    )


class Across(Record):
    """The axis along the bottom. scale: of the unit its ticks are in [s]."""

    axis: Axis
    ticks: tuple[Tick, ...]
    name: str
    unit: str = "s"
    scale: float = 1.0


class Mark(Record):
    """A value of the axis along the bottom that a line points out, and its words."""

    value: float
    words: str


def lines(
    title: str,
    about: str,
    drawn: Sequence[Line],
    axes: tuple[Across, Axis, str],
    marks: Sequence[Mark] = (),
) -> str:
    """Lines and bands. axes: along the bottom, upward, and what the one upward is."""
    across, y, beside = axes
    x = across.axis
    pieces = [
        *up_axis(x, y, beside),
        *across_axis(x, y.start, across.ticks, across.name),
        *(_band(each, x, y) for each in drawn if each.low is not None),
        *(_path(each, x, y) for each in drawn),
        *(piece for each in marks for piece in _mark(each, x, y)),
        *_end_labels([each for each in drawn if each.label], x, y),
    ]
    data = {"x": _told(x, across.unit, across.scale), "y": _told(y, y.unit)}
    return chart(title, about, pieces, HIGH, f"data-axes='{escape(json.dumps(data))}'")


def _told(axis: Axis, unit: str, scale: float = 1.0) -> dict[str, Any]:
    """What the page's script needs to read a place back as a value."""
    ends = {"low": axis.low, "high": axis.high, "start": axis.start, "end": axis.end}
    return {**ends, "log": axis.log, "unit": unit, "scale": scale}


def over_time(length: float, right: float = RIGHT) -> Across:
    """The axis of time from 0 to `length` [s], in a unit that suits it."""
    unit, scale, told = clock(length)
    axis = Axis(low=0.0, high=length, start=LEFT, end=WIDE - right, unit="s")
    return Across(axis=axis, ticks=tuple(told), name=f"time [{unit}]", unit=unit, scale=scale)


def over_durations(least: float, most: float) -> Across:
    """A logarithmic axis of durations."""
    axis = logarithmic(least, most, LEFT, WIDE - RIGHT)
    return Across(axis=axis, ticks=tuple(ticks(axis)), name="logarithmic")


def up(most: float, unit: str = "1") -> Axis:
    """The vertical axis of a chart, from nothing."""
    return linear(most, HIGH - BOTTOM, TOP, unit)


def across_axis(x: Axis, floor: float, told: Sequence[Tick], name: str) -> list[str]:
    """The axis along the bottom: a line, ticks, their words, and what it is."""
    found = [line(x.start, x.end, floor, floor, 'class="base"')]
    for tick in told:
        place = float(x.at(tick.value))
        found.append(line(place, place, floor, floor + 4, 'class="tick"'))
        found.append(text(place, floor + 15, tick.words, anchor(place, tick.words)))
    return [*found, text(x.end, floor + 29, name, 'text-anchor="end" class="axis"')]


def up_axis(x: Axis, y: Axis, name: str) -> list[str]:
    """The axis upward: thin lines across, their words, and what it is."""
    found = [text(2, TOP - 9, name, 'class="axis"')]
    for tick in ticks(y, 4):
        place = float(y.at(tick.value))
        found.append(line(x.start, x.end, place, place, 'class="grid"'))
        found.append(text(x.start - 6, place + 3.5, tick.words, 'text-anchor="end"'))
    return found


def anchor(place: float, words: str) -> str:
    """In the middle, but inside the picture."""
    half = LETTER * len(words) / 2
    if place + half > WIDE:
        return 'text-anchor="end"'
    return 'text-anchor="middle"'


def points(x: Any, y: Any) -> str:
    """Places as a path, one decimal each."""
    pairs = [f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    return "M" + "L".join(pairs) if pairs else ""


def _path(each: Line, x: Axis, y: Axis) -> str:
    way = points(x.at(each.x), y.at(each.y))
    name = escape(each.name, quote=True)
    return f'<path class="line {each.style}" data-name="{name}" d="{way}"/>' if way else ""


def _band(each: Line, x: Axis, y: Axis) -> str:
    if not len(each.x):
        return ""
    there, back = points(x.at(each.x), y.at(each.high)), points(x.at(each.x), y.at(each.low))
    back = "L".join(reversed(back[1:].split("L")))
    return f'<path class="band {each.style}" d="{there}L{back}z"/>'


def _mark(mark: Mark, x: Axis, y: Axis) -> list[str]:
    """A dashed line upward with its words beside it."""
    place = float(x.at(mark.value))
    left = place > (x.start + x.end) / 2
    how = f'class="mark" text-anchor="{"end" if left else "start"}"'
    return [
        line(place, place, y.start, y.end - 6, 'class="mark"'),
        text(place + (4 if left else -4), y.end - 9, mark.words, how),
    ]


def _end_labels(drawn: Sequence[Line], x: Axis, y: Axis) -> list[str]:
    """Names at the right ends of lines, moved apart where they would overlap."""
    if WIDE - x.end < LABELS or not drawn:
        return []
    ends = sorted((float(y.at(each.y[-1])), i) for i, each in enumerate(drawn) if len(each.y))
    places, lowest = [], float(TOP)
    for place, _ in ends:
        lowest = max(place, lowest + 11)
        places.append(lowest)
    over = max(places[-1] - (HIGH - BOTTOM), 0) if places else 0
    return [
        text(
            x.end + 5, place - over + 3.5, short(drawn[i].name, 9), f'class="end {drawn[i].style}"'
        )
        for place, (_, i) in zip(places, ends, strict=True)
    ]


def short(words: str, most: int) -> str:
    """Words cut to so many letters."""
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"
