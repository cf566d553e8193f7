"""A frontier as a table and as a picture."""

from __future__ import annotations

from html import escape
from math import log10

from eke.report.drawing import canvas, line, text
from eke.report.text import table
from eke.report.words import plan_words, shown_unit
from eke.types.goal import Front, Point
from eke.units import show

SHOWN = 24  # points of a table; more are thinned evenly, the ends kept


def frontier_words(front: Front) -> str:
    """The frontier as a table, the first measure rising."""
    points = list(front.points)
    words = " and ".join(name.replace("_", " ") for name in front.measures)
    first = f"{len(points):,} plans of {front.considered:,} that no other beats in {words}"
    if len(points) > SHOWN:
        step = (len(points) - 1) / (SHOWN - 1)
        points = [points[round(i * step)] for i in range(SHOWN)]
        first += f"; {SHOWN} of them"
    units = _units(front)
    rows = [
        (
            *(show(value, unit) for value, unit in zip(point.values, units, strict=True)),
            plan_words(point.plan),
        )
        for point in points
    ]
    head = (*(name.replace("_", " ") for name in front.measures), "plan")
    return f"{first}\n\n{table(rows, head=head)}\n"


def _units(front: Front) -> list[str]:
    """In which the measures are read."""
    return [shown_unit(*pair) for pair in zip(front.measures, front.units, strict=True)]


WIDE, HIGH = 1010, 520
LEFT, RIGHT, TOP, BOTTOM = 84, 270, 60, 64
GREY, MIDDLE = 'stroke-opacity="0.15"', 'text-anchor="middle"'
COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d", "#72b7b2", "#e45756", "#79706e")


def frontier_picture(front: Front) -> str:
    """The first two measures as a scatter of plans, as SVG; a third is the size of a point."""
    kinds = list(dict.fromkeys(_kind(point.plan) for point in front.points))
    x, y = (_Axis([p.values[i] for p in front.points], i) for i in (0, 1))
    names = [name.replace("_", " ") for name in front.measures]
    title = f"{len(front.points)} plans no other beats in {' and '.join(names)}"
    pieces = [
        text(16, 26, title, 'font-size="14" font-weight="600"'),
        *x.drawn(_units(front)[0], names[0]),
        *y.drawn(_units(front)[1], names[1]),
        *_points(front, x, y, kinds),
        *_legend(kinds, names[2:]),
    ]
    return canvas(WIDE, HIGH, *pieces)


def _kind(plan: object) -> str:
    chip = getattr(plan, "chip", "")
    half = getattr(plan, "prefill", None)
    if half is None:
        return chip
    return f"{chip}, prefill apart" if half.chip == chip else f"{chip}, prefill on {half.chip}"


class _Axis:
    """A logarithmic axis over some values: 0 across, 1 up."""

    def __init__(self, values: list[float], which: int) -> None:
        low, high = log10(min(values)), log10(max(values))
        room = max((high - low) * 0.06, 0.02)
        self.low, self.high, self.which = low - room, high + room, which

    def at(self, value: float) -> float:
        """Where a value stands in the picture."""
        part = (log10(value) - self.low) / (self.high - self.low)
        if self.which == 0:
            return LEFT + part * (WIDE - LEFT - RIGHT)
        return HIGH - BOTTOM - part * (HIGH - TOP - BOTTOM)

    def ticks(self) -> list[float]:
        """About five round values."""
        for steps in (
            (1,),
            (1, 2, 5),
            (1, 1.5, 2, 3, 4, 5, 7),
            tuple(i / 10 for i in range(10, 100, 5)),
        ):
            found = self._round(steps)
            if len(found) >= 4:
                return found[:: max(len(found) // 6, 1)]
        span = self.high - self.low
        return [10 ** (self.low + span * i / 4) for i in range(1, 4)]

    def _round(self, steps: tuple[float, ...]) -> list[float]:
        first, last = int(self.low // 1), int(self.high // 1)
        every = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        return [value for value in every if self.low <= log10(value) <= self.high]

    def drawn(self, unit: str, name: str) -> list[str]:
        """Lines, numbers and the name."""
        found = []
        for value in self.ticks():
            place, words = self.at(value), show(value, unit)
            if self.which == 0:
                found += [
                    line(place, place, TOP, HIGH - BOTTOM, GREY),
                    text(place, HIGH - BOTTOM + 18, words, MIDDLE),
                ]
            else:
                found += [
                    line(LEFT, WIDE - RIGHT, place, place, GREY),
                    text(LEFT - 8, place + 4, words, 'text-anchor="end"'),
                ]
        if self.which == 0:
            middle = (LEFT + WIDE - RIGHT) / 2
            found.append(text(middle, HIGH - BOTTOM + 42, name, f'{MIDDLE} font-weight="600"'))
        else:
            found.append(text(16, TOP - 12, name, 'font-weight="600"'))
        return found


def _points(front: Front, x: _Axis, y: _Axis, kinds: list[str]) -> list[str]:
    thirds = [point.values[2] for point in front.points] if len(front.measures) > 2 else [1.0]
    most = max(thirds)
    found = []
    for point in front.points:
        size = 4.0 if len(front.measures) == 2 else 3 + 7 * (point.values[2] / most) ** 0.5
        colour = COLOURS[kinds.index(_kind(point.plan)) % len(COLOURS)]
        found.append(
            f'<circle cx="{x.at(point.values[0]):.1f}" cy="{y.at(point.values[1]):.1f}" '
            f'r="{size:.1f}" fill="{colour}" fill-opacity="0.75" stroke="white">'
            f"<title>{escape(plan_words(point.plan))}</title></circle>"
        )
        if len(front.points) <= SHOWN:
            found.append(_label(point, x, y))
    return found


def _label(point: Point, x: _Axis, y: _Axis) -> str:
    """How many chips, beside the point."""
    left = x.at(point.values[0]) > WIDE - RIGHT - 60
    away, anchor = (-9, "end") if left else (9, "start")
    place = x.at(point.values[0]) + away, y.at(point.values[1]) - 6
    return text(*place, f"{point.plan.chips:,} chips", f'fill="#555" text-anchor="{anchor}"')


def _legend(kinds: list[str], third: list[str]) -> list[str]:
    """Which colour is which kind of chip, right of the picture."""
    found, x = [], WIDE - RIGHT + 22
    for index, kind in enumerate(kinds[: len(COLOURS)]):
        y = TOP + 14 + 20 * index
        found += [
            f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{COLOURS[index]}"/>',
            text(x + 12, y, kind),
        ]
    y = TOP + 14 + 20 * min(len(kinds), len(COLOURS))
    if len(kinds) > len(COLOURS):
        found.append(text(x + 12, y, f"and {len(kinds) - len(COLOURS)} more in these colours"))
        y += 20
    found += [text(x - 6, y + 14, f"larger points: more {name}", 'fill="#555"') for name in third]
    return found
