"""Stacked areas: who holds how much of something over a row of periods."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

import numpy as np

from eke.errors import BadInput
from eke.report.axes import Axis
from eke.report.charts import LETTER, across_axis, chart, short, up, up_axis
from eke.report.charts import points as path_of
from eke.report.drawing import line, text
from eke.report.html import LONGEST
from eke.report.periods import days, over_dates, stepped
from eke.types.record import Record

MOST = 8  # layers with a colour of their own; the others are one


class Layer(Record):
    """What one holds in each period, as an array. style: its classes, such as "ink-3"."""

    name: str
    values: Any
    style: str


def layers(held: Mapping[str, Any], others: str = "others") -> list[Layer]:
    """A layer for each of the largest, in the order given, and one for all the others together."""
    known = {name: np.asarray(values, dtype=float) for name, values in held.items()}
    ranked = sorted(known, key=lambda name: -float(known[name].sum()))
    own = ranked if len(ranked) <= MOST else ranked[:MOST]
    found = [
        Layer(name=name, values=known[name], style=f"ink-{i}")
        for i, name in enumerate(each for each in known if each in own)
    ]
    rest = [known[name] for name in known if name not in own]
    if rest:
        name = f"{len(rest)} {others}"
        found.append(Layer(name=name, values=np.sum(rest, axis=0), style="ink-all"))
    return found


def areas(
    title: str,
    about: str,
    drawn: Sequence[Layer],
    edges: Sequence[date | str],
    beside: str,
    top: tuple[str, Any] | None = None,
) -> str:
    """Layers one upon the other, the first at the bottom, each a value per period.

    edges: beginnings of the periods, and the last one's end.  beside: what is held.  top: a dashed
    line over them, such as what there is: its name and a value per period.
    """
    _check(drawn, len(edges) - 1)
    whole = sum((each.values for each in drawn), np.zeros(len(edges) - 1))
    above = whole if top is None else np.asarray(top[1], dtype=float)
    across, y = over_dates(edges), up(float(max(whole.max(), above.max())))
    x = across.axis
    pieces = [*up_axis(x, y, beside), *_stack(drawn, edges, x, y)]
    if top is not None:
        pieces += _top(top[0], stepped(edges, above), x, y)
    pieces += across_axis(x, y.start, across.ticks, across.name)
    ends = ("low", "high", "start", "end", "log", "unit")
    data = {name: {e: getattr(axis, e) for e in ends} for name, axis in (("x", x), ("y", y))}
    data["y"]["scale"] = data["x"]["scale"] = 1.0
    told = f"data-axes='{escape(json.dumps(data))}' data-edges='{json.dumps(days(edges).tolist())}'"
    return chart(title, about, pieces, more=told)


def _check(drawn: Sequence[Layer], periods: int) -> None:
    """Refuse what cannot be stacked."""
    for each in drawn:
        if each.values.shape != (periods,) or not (each.values >= 0).all():
            raise BadInput(f"{each.name} needs {periods} values, none of them negative.")


def _stack(drawn: Sequence[Layer], edges: Sequence[date | str], x: Axis, y: Axis) -> list[str]:
    floor, found = np.zeros(len(edges) - 1), []
    for each in drawn:
        if not each.values.any():
            continue
        place, high = stepped(edges, floor + each.values)
        low = stepped(edges, floor)[1]
        there = path_of(x.at(place), y.at(high))
        back = path_of(x.at(place[::-1]), y.at(low[::-1]))[1:]
        name, values = escape(short(each.name, LONGEST), quote=True), _plain(each.values)
        data = f'data-name="{name}" data-values="{json.dumps(values)}"'
        found.append(f'<path class="area {each.style}" {data} d="{there}L{back}z"/>')
        floor = floor + each.values
    return found


def _plain(values: Any) -> list[float]:
    """Numbers as short as they may be told."""
    return [float(f"{value:.4g}") for value in values.tolist()]


def _top(name: str, steps: tuple[Any, Any], x: Axis, y: Axis) -> list[str]:
    """The line over the layers; its name stands in the corner, behind a piece of the line."""
    words, data = short(name, 28), escape(short(name, LONGEST), quote=True)
    way = path_of(x.at(steps[0]), y.at(steps[1]))
    left = x.end - LETTER * len(words) - 30
    return [
        f'<path class="line ink-top top" data-name="{data}" d="{way}"/>',
        line(left, left + 22, y.end - 12, y.end - 12, 'class="top"'),
        text(x.end, y.end - 9, words, 'text-anchor="end" class="mark"'),
    ]


def ink_key(names: Sequence[tuple[str, str]]) -> str:
    """Which colour is whose: names and classes, such as "ink-3"."""
    each = "".join(
        f'<li><i class="{style}"></i>{escape(short(name, LONGEST))}</li>' for name, style in names
    )
    return f'<ul class="key">{each}</ul>'


def key_of(drawn: Sequence[Layer]) -> str:
    """Of the layers that are drawn, the topmost first."""
    return ink_key([(each.name, each.style) for each in reversed(drawn) if each.values.any()])
