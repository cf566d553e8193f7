"""Horizontal bars with spans, and bars made of parts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from eke.report.charts import LETTER, TOP, WIDE, chart, short
from eke.report.drawing import box, line, text
from eke.types.need import Span
from eke.types.record import Record

STEP, BAR = 22, 15
NAME = 15  # letters of a name
LEFT = 100


class Ranged(Record):
    """A bar to the likely value with a line from low to high. words: what is told at its end.
    style: its classes, such as "ink-3"."""

    name: str
    span: Span
    words: str
    style: str = "ink-0"


def ranges(title: str, about: str, rows: Sequence[Ranged]) -> str:
    """A bar per row; the line over its end is its 80 % interval."""
    room = _room([each.words for each in rows])
    most = max((each.span.high for each in rows), default=1.0) or 1.0
    scale = (WIDE - LEFT - room) / most
    found = []
    for i, each in enumerate(rows):
        y = TOP - 12 + STEP * i
        low, likely, high = (
            LEFT + scale * max(value, 0.0)
            for value in (each.span.low, each.span.likely, each.span.high)
        )
        bar = box(LEFT, y, likely - LEFT, BAR, "currentColor", 'fill-opacity="0.55"')
        pieces = [_name(each.name, y), bar]
        if high > low:
            pieces += _whisker(low, high, y + BAR / 2)
        pieces.append(text(high + 6, y + 12, each.words, 'class="value"'))
        told = f"<title>{escape(short(f'{each.name}: {each.words}', 200))}</title>"
        found.append(f'<g class="bar {each.style}">{told}{"".join(pieces)}</g>')
    return chart(title, about, found, TOP + STEP * len(rows))


def _room(words: Sequence[str]) -> float:
    """To the right, for the longest words."""
    return min(12 + LETTER * max((len(each) for each in words), default=0), 150.0)


def _name(name: str, y: float) -> str:
    return text(LEFT - 8, y + 12, short(name, NAME), 'text-anchor="end" class="row"')


def _whisker(low: float, high: float, y: float) -> list[str]:
    ends = [line(place, place, y - 4, y + 4, 'class="whisker"') for place in (low, high)]
    return [line(low, high, y, y, 'class="whisker"'), *ends]


class Piece(Record):
    """A part of a bar. told: on hovering."""

    value: float
    style: str
    told: str


def parts(title: str, about: str, rows: Sequence[tuple[str, Sequence[Piece], str]]) -> str:
    """Bars made of parts: a name, its parts and the words for their sum."""
    room = _room([words for _, _, words in rows])
    sums = [sum(max(each.value, 0.0) for each in pieces) for _, pieces, _ in rows]
    scale = (WIDE - LEFT - room) / (max(sums, default=1.0) or 1.0)
    found = []
    for i, ((name, pieces, words), whole) in enumerate(zip(rows, sums, strict=True)):
        y, place = TOP - 12 + STEP * i, float(LEFT)
        found.append(_name(name, y))
        for each in pieces:
            wide = scale * max(each.value, 0.0)
            told = f"<title>{escape(short(each.told, 200))}</title>"
            shape = box(place, y, wide, BAR, "currentColor")
            found.append(f'<g class="bar {each.style}">{told}{shape}</g>')
            place += wide
        found.append(text(LEFT + scale * whole + 6, y + 12, words, 'class="value"'))
    return chart(title, about, found, TOP + STEP * len(rows))
