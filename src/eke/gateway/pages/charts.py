"""Small charts of the last ten minutes, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from itertools import groupby
from math import ceil, floor, log10
from typing import NamedTuple

WIDE, HIGH = 320.0, 96.0
STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
LEFT, RIGHT, TOP, BOTTOM = 0.0, 4.0, 14.0, 16.0

Values = Sequence[float | None]


class Line(NamedTuple):
    """One line. values: oldest first, None where there is none.  now: what stands beside its name;
    "" for its last value."""

    name: str
    values: Values
    now: str = ""


def chart(key: str, title: str, lines: Sequence[Line], show: Callable[[float], str]) -> str:
    """A figure with one or two lines from 0 up. show: a value in words, with its unit."""
    known = [value for line in lines for value in line.values if value is not None]
    top = round_up(max(known, default=0.0))
    caption = " ".join(_named(line, place, show) for place, line in enumerate(lines))
    drawn = "".join(
        f'<path class="line ink-{place}" d="{path(line.values, top)}"/>'
        for place, line in enumerate(lines)
    )
    told = "; ".join(f"{line.name}: {_now(line, show)} now" for line in lines)
    y_top, y_end = TOP, HIGH - BOTTOM
    return (
        f'<figure id="chart-{key}" data-live>'
        f"<figcaption><h3>{escape(title)}</h3><p>{caption}</p></figcaption>"
        f'<svg viewBox="0 0 {WIDE:g} {HIGH:g}" role="img" aria-labelledby="t-{key} d-{key}">'
        f'<title id="t-{key}">{escape(title)} in the last ten minutes</title>'
        f'<desc id="d-{key}">{escape(told)}; at most {escape(show(top))} on this scale.</desc>'
        f'<line class="grid" x1="{LEFT:g}" x2="{WIDE - RIGHT:g}" y1="{y_top:g}" y2="{y_top:g}"/>'
        f'<line class="base" x1="{LEFT:g}" x2="{WIDE - RIGHT:g}" y1="{y_end:g}" y2="{y_end:g}"/>'
        f"{drawn}"
        f'<text x="{LEFT:g}" y="{y_top - 3:g}">{escape(show(top))}</text>'
        f'<text x="{LEFT:g}" y="{HIGH - 3:g}">10 minutes ago</text>'
        f'<text x="{WIDE - RIGHT:g}" y="{HIGH - 3:g}" text-anchor="end">now</text>'
        "</svg></figure>"
    )


def path(values: Values, top: float) -> str:
    """The line of some values, broken where there are none. top: value at the upper edge."""
    step = (WIDE - LEFT - RIGHT) / max(len(values) - 1, 1)
    high = HIGH - BOTTOM - TOP
    pieces = []
    for there, run in groupby(enumerate(values), lambda each: each[1] is not None):
        if not there:
            continue
        points = [
            f"{LEFT + place * step:.1f},{TOP + high * (1 - min((value or 0.0) / top, 1.0)):.1f}"
            for place, value in run
        ]
        pieces.append("M" + "L".join(points if len(points) > 1 else points * 2))
    return "".join(pieces)


def round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, … 10, 15, 20, …; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return power * next(each for each in STEPS if ceil(value / power * 1e9) <= each * 1e9)


def _named(line: Line, place: int, show: Callable[[float], str]) -> str:
    """A line's name, colour and last value."""
    return (
        f'<span><i class="ink-{place}"></i>{escape(line.name)} '
        f"<b>{escape(_now(line, show))}</b></span>"
    )


def _now(line: Line, show: Callable[[float], str]) -> str:
    if line.now:
        return line.now
    value = line.values[-1] if line.values else None
    return "none" if value is None else show(value)
