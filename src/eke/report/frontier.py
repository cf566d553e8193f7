"""A frontier as a table and as a picture."""

from __future__ import annotations

from html import escape
from math import log10

from eke.report.drawing import canvas, line, round_step, text
from eke.report.text import table
from eke.report.words import batches, plan_words, shown_unit
from eke.types.goal import Front, Point
from eke.types.plan import Plan
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
            _row_words(point.plan, "ttft" in front.measures or "tpot" in front.measures),
        )
        for point in points
    ]
    head = (*(name.replace("_", " ") for name in front.measures), "plan")
    return f"{first}\n\n{table(rows, head=head)}\n"


def _row_words(plan: Plan, served: bool) -> str:
    """The plan, with the engine's batches where latencies tell plans apart."""
    return ", ".join([plan_words(plan), *(batches(plan, "serve") if served else [])])


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


def _kind(plan: Plan) -> str:
    if plan.rear is not None:
        return f"{plan.chip}, then {plan.rear.chip}"
    if plan.prefill is None:
        return plan.chip
    same = plan.prefill.chip == plan.chip
    return f"{plan.chip}, prefill {'apart' if same else f'on {plan.prefill.chip}'}"


def _read_in(unit: str, most: float) -> float:
    """Seconds of the unit in which durations so long are read; 1 for other figures."""
    if unit != "s":
        return 1.0
    return next((size for size in (86400.0, 3600.0, 60.0) if most >= 2 * size), 1.0)


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

    def ticks(self, unit: str) -> list[float]:
        """About five values that are round in the unit they are read in."""
        scale = _read_in(unit, 10**self.high)
        ends = 10**self.low / scale, 10**self.high / scale
        for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
            first, last = (int(log10(end) // 1) for end in ends)
            every = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            found = [value * scale for value in every if ends[0] <= value <= ends[1]]
            if len(found) >= 4:
                return found[:: max(len(found) // 6, 1)]
        step = round_step((ends[1] - ends[0]) / 5)
        count = int((ends[1] - ends[0]) / step) + 1
        every = [(ends[0] // step + 1 + i) * step for i in range(count)]
        return [value * scale for value in every if value <= ends[1]]

    def drawn(self, unit: str, name: str) -> list[str]:
        """Lines, numbers and the name."""
        found = []
        for value in self.ticks(unit):
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
