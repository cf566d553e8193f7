"""Designs as a page: the frontier, what binds each design, and how it spends its area."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from eke.report.areas import ink_key
from eke.report.charts import Line, short
from eke.report.designs import (
    BUILT,
    GIVEN,
    SHAPES,
    Told,
    built,
    dies,
    given,
    headline,
    layout_words,
    looked_words,
    more_words,
    told,
)
from eke.report.document import document
from eke.report.footer import footer
from eke.report.html import figure, listed, section, sentence, table
from eke.report.inputs import input_value
from eke.report.scatter import Spot, across_values, scatter, up_values
from eke.report.spans import Piece, parts
from eke.types.silicon import Designs
from eke.units import show

AREAS = ("matrix units", "memory on the die", "memory interface", "links", "rest")
WIDE = 10.0  # of the largest value to the smallest, from which an axis is logarithmic


def design_page(found: Designs, command: str = "") -> str:
    """The page as text. command: what made it."""
    every = told(found)
    blocks = [
        f"<h1>{escape(short(found.job, 300))}</h1>",
        f'<p class="lead">{escape(sentence(headline(found)))}.</p>',
        f'<p class="promise">{escape(sentence(looked_words(found)))}.</p>',
        section(
            "What none beats",
            "Useful tokens for a dollar of everything and for a joule at the meter of the site; up "
            "and to the right is better. Numbers are those of the tables below.",
            [_frontier(every), _spent(every), _made(every)],
        ),
        _tables(every),
        footer(
            [listed("Layouts", [f"{e.name}: {layout_words(e.design)}" for e in every])],
            found.remarks,
            found.grounds,
            lambda value, of: input_value(value, of.name, of.unit),
            command,
        ),
    ]
    return document(found.job, blocks)


def _frontier(every: Sequence[Told]) -> str:
    title, about = "Tokens for a dollar and for a joule", "filled: none beats it; hollow: some does"
    spots = [
        Spot(
            x=each.design.per_joule,
            y=each.design.per_dollar,
            name=each.short,
            style=_style(each),
            told=f"{each.name}: {show(each.design.per_dollar)} tokens/USD, "
            f"{each.design.per_joule:.3g} tokens/J",
            label=True,
        )
        for each in every
    ]
    x, y = [spot.x for spot in spots], [spot.y for spot in spots]
    axes = (
        across_values(x, "tokens per joule", max(x) / min(x) > WIDE),
        up_values(y, max(y) / min(y) > WIDE),
        "tokens per USD",
    )
    svg = scatter(title, about, spots, axes, [_way(every, shape) for shape in _shapes(every)])
    key = [(shape, _ink(shape)) for shape in _shapes(every)]
    key += [("exists", "ink-all")] if any(each.exists for each in every) else []
    return figure(
        title, about, svg, table(GIVEN, [given(e) for e in every], title), key=ink_key(key)
    )


def _shapes(every: Sequence[Told]) -> list[str]:
    """Those of the designs that eke drew."""
    there = {each.design.shape for each in every if not each.exists}
    return [shape for shape in SHAPES if shape in there]


def _ink(shape: str) -> str:
    return f"ink-{SHAPES.index(shape)}"


def _style(each: Told) -> str:
    if each.exists:
        return "ink-all other"
    return _ink(each.design.shape) + ("" if each.best else " other")


def _way(every: Sequence[Told], shape: str) -> Line:
    """Through the best designs of a shape."""
    of = [each.design for each in every if not each.exists and each.design.shape == shape]
    of.sort(key=lambda design: design.per_joule)
    x, y = [design.per_joule for design in of], [design.per_dollar for design in of]
    return Line(name=shape, x=np.array(x), y=np.array(y), style=_ink(shape))


def _bar(alike: Sequence[Told]) -> str:
    """The name of designs that share a die, as short as beside a bar."""
    return f"{', '.join(each.short for each in alike)} {alike[0].design.shape}"


def _spent(every: Sequence[Told]) -> str:
    """How each die is spent, whatever its clock."""
    title, about = "How the area is spent", "share of all dies together"
    rows, numbers = [], []
    for alike in dies(every):
        areas = alike[0].design.areas
        total = sum(areas.values())
        pieces = [
            Piece(
                value=areas[name] / total,
                style=f"ink-{i}",
                told=f"{name}: {areas[name] * 1e6:,.0f} mm2 ({areas[name] / total:.0%})",
            )
            for i, name in enumerate(AREAS)
            if name in areas
        ]
        rows.append((_bar(alike), pieces, f"{total * 1e6:,.0f} mm2"))
        shares = (f"{areas.get(name, 0.0) * 1e6:,.0f} mm2" for name in AREAS)
        numbers.append((_bar(alike), *shares))
    key = ink_key([(name, f"ink-{i}") for i, name in enumerate(AREAS)])
    svg = parts(title, about, rows)
    return figure(title, about, svg, table(("", *AREAS), numbers, title), key=key)


def _made(every: Sequence[Told]) -> str:
    """What each costs to make over what it does."""
    title, about = "Making them, for 1,000 tokens a second", "USD, at the likeliest speed"
    names = list(dict.fromkeys(name for each in every for name in each.design.unit))
    rows, numbers = [], []
    for each in every:
        of = each.design
        paid = {name: part * 1000 / of.speed.likely for name, part in of.unit.items()}
        pieces = [
            Piece(value=paid[name], style=f"ink-{i}", told=f"{name}: {paid[name]:,.0f} USD")
            for i, name in enumerate(names)
            if name in paid
        ]
        name = each.name if each.exists else f"{each.short} {of.shape}"
        rows.append((name, pieces, f"{sum(paid.values()):,.0f} USD"))
        numbers.append((each.name, *(f"{paid.get(part, 0.0):,.0f}" for part in names)))
    key = ink_key([(name, f"ink-{i}") for i, name in enumerate(names)])
    svg = parts(title, about, rows)
    return figure(title, about, svg, table(("", *names), numbers, title), key=key)


def _tables(every: Sequence[Told]) -> str:
    """What each gives and what holds it back; what each is."""
    rows = [(*given(e), more_words(e.design), ", ".join(e.design.bound)) for e in every]
    head = (*GIVEN, "1 % more makes it faster by", "held back by")
    gives = table(head, rows, "what each gives")
    made = table(("", *BUILT), [(each.name, *built(each.design)) for each in every], "what each is")
    return (
        f"<section><h2>What each gives, and what binds it</h2><p>Best: no design gives more for "
        f"both. Speeds with their 80 % intervals, of one chip.</p>{gives}"
        f"<h2>What each is</h2><p>Of one chip, all its dies together.</p>{made}</section>"
    )
