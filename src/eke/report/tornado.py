"""A tornado: how far each input, low or high, moves an answer from its middle, the widest first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from eke.report.axes import Axis
from eke.report.charts import LETTER, TOP, WIDE, chart, short
from eke.report.drawing import box, line, text
from eke.types.record import Record

ROW, BAR = 34, 13
LOW, HIGH = "ink-0", "ink-1"  # of the ends of the inputs
GAP = 5  # between a bar and its words
RATIO = 30  # of the largest value to the smallest from which the axis is logarithmic


class Swing(Record):
    """What an input does. low, high: of the answer where the input is low and high, and the words
    for both.  ends: the input's own two values in words."""

    name: str
    low: float
    high: float
    words: tuple[str, str]
    ends: tuple[str, str] = ("", "")

    @property
    def reach(self) -> float:
        """From one end to the other."""
        return abs(self.high - self.low)


def ranked(swings: Sequence[Swing], most: int = 12) -> list[Swing]:
    """The widest, first to last."""
    return sorted(swings, key=lambda each: -each.reach)[:most]


def tornado(
    title: str, about: str, middle: tuple[float, str], swings: Sequence[Swing], below: str
) -> str:
    """Bars from the middle to the answer at both ends of each input, the widest on top.

    middle: the answer and its words.  below: what the answer is.  Where the answer at both ends
    lies on one side, the shorter bar stands before the longer.
    """
    rows = ranked(swings, len(swings))
    x = _axis(middle[0], rows)
    floor = TOP + ROW * len(rows)
    place = float(x.at(middle[0]))
    pieces = [piece for i, each in enumerate(rows) for piece in _row(each, middle[0], x, i)]
    pieces.append(_in_picture(place, TOP - 8, middle[1], "mark"))
    pieces.append(text(WIDE - 12, floor + 13, short(below, 56), 'text-anchor="end" class="axis"'))
    return chart(title, about, pieces, floor + 20)


def _axis(middle: float, rows: Sequence[Swing]) -> Axis:
    """From the least to the most, with room for words at both ends."""
    values = [middle, *(value for each in rows for value in (each.low, each.high))]
    words = [word for each in rows for word in each.words]
    room = min(GAP + LETTER * max((len(word) for word in words), default=0) + 8, 110.0)
    low, high = min(values), max(values)
    if low == high:
        low, high = low - abs(low) / 2 - 1e-9, high + abs(high) / 2 + 1e-9
    log = low > 0 and high / low > RATIO
    return Axis(low=low, high=high, start=room, end=WIDE - room, log=log)


def _row(each: Swing, middle: float, x: Axis, i: int) -> list[str]:
    top = TOP + ROW * i
    bar = top + 15
    ends = f" ({each.ends[0]} – {each.ends[1]})" if any(each.ends) else ""
    at = float(x.at(middle))
    sides = [(each.low, each.words[0], LOW), (each.high, each.words[1], HIGH)]
    sides.sort(key=lambda side: -abs(side[0] - middle))
    one_side = (each.low - middle) * (each.high - middle) > 0
    found = [text(4, top + 10, short(f"{each.name}{ends}", 58), 'class="row"')]
    for k, (value, words, style) in enumerate(sides):
        found.append(_bar(value, middle, x, bar, (style, f"{each.name}: {words}")))
        if not (one_side and k) and value != middle:
            found.append(_end(value < middle, float(x.at(value)), bar, words))
    return [*found, line(at, at, bar - 2, bar + BAR + 2, 'class="base"')]


def _bar(value: float, middle: float, x: Axis, y: float, how: tuple[str, str]) -> str:
    a, b = sorted((float(x.at(value)), float(x.at(middle))))
    told = f"<title>{escape(short(how[1], 200))}</title>"
    return f'<g class="bar {how[0]}">{told}{box(a, y, b - a, BAR, "currentColor")}</g>'


def _end(left: bool, place: float, bar: float, words: str) -> str:
    """Words at the end of a bar, outward."""
    how = 'class="value" text-anchor="end"' if left else 'class="value"'
    return text(place + (-GAP if left else GAP), bar + 10.5, short(words, 18), how)


def _in_picture(place: float, y: float, words: str, style: str) -> str:
    """Words in the middle over a place, but inside the picture."""
    half = math.ceil(LETTER * len(words) / 2)
    inside = min(max(place, half + 2), WIDE - half - 2)
    return text(inside, y, words, f'text-anchor="middle" class="{style}"')
