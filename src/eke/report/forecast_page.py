"""A forecast as a page: demand against supply, power and money, what moves it, what others
counted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from eke.report.areas import areas, ink_key, key_of, layers
from eke.report.charts import LABELS, Line, lines, short, up
from eke.report.document import document
from eke.report.forecast import (
    TOLD,
    headline,
    held_cells,
    layouts,
    middle_words,
    move_cells,
    quarter_rows,
    unit_words,
    use_rows,
)
from eke.report.forecast_published import difference_text, shown, spanned
from eke.report.forecast_published import name as named
from eke.report.html import LONGEST, figure, section, table
from eke.report.periods import over_dates, stepped
from eke.report.tornado import HIGH, LOW, Swing, ranked, tornado
from eke.types.forecast import Forecast, Moves
from eke.types.need import Ground, Span
from eke.units import show

DAY = 86400.0


def forecast_page(found: Forecast, command: str = "") -> str:
    """The page as text. command: what made it."""
    kind = found.count_in
    blocks = [
        f"<h1>{escape(short(found.name, 300))}</h1>",
        f'<p class="lead">{escape(_whole(headline(found)))}.</p>',
        f'<p class="promise">{escape(_intervals(found))}</p>',
        section(
            "Wanted and there",
            f"All in {kind}: chips of other kinds count as many as eke finds them to be worth for "
            "this demand. Bands are 80 % intervals.",
            [_stacked(found), _against(found), *_chance(found)],
        ),
        section(
            "The fleet, its power and its money",
            "Power is that of the chips wanted, at the meter; buying, what has to be added in the "
            "quarter at the price of one.",
            [*_fleet(found), _power(found), *_money(found), *_tokens(found)],
        ),
        section(
            "What moves it most",
            f"{found.quarters[-1].name}, with one input at either end of its interval and all "
            "others at their likeliest.",
            _tornado(found),
        ),
        _numbers(found),
        _held(found),
        _beside(found),
        _footer(found, command),
    ]
    return document(found.name, blocks)


def _whole(words: str) -> str:
    """The same words, no line broken between a number and its unit."""
    return re.sub(r"(?<=\d) (?=[a-z%])", "\u00a0", words)


def _intervals(found: Forecast) -> str:
    last = found.quarters[-1]
    words = f"80 % intervals by {found.samples:,} draws, seed {found.seed}."
    if last.short is not None:
        words = f"In {last.name} chips are short with a chance of {last.short:.0%}. {words}"
    middle = middle_words(found)
    return f"{words} {middle[:1].upper()}{middle[1:]}." if middle else words


def edges(found: Forecast) -> list[str]:
    """Beginnings of the quarters, and the last one's end."""
    year, month, _ = (int(part) for part in found.quarters[-1].date.split("-"))
    end = f"{year + 1}-01-01" if month == 10 else f"{year}-{month + 3:02d}-01"
    return [*(each.date for each in found.quarters), end]


def _stacked(found: Forecast) -> str:
    """Chips of each use, one upon the other, and what there is."""
    held = {
        use.name: np.array([each.uses[use.name].likely for each in found.quarters])
        for use in found.uses
    }
    made = layers(held, "other uses")
    top = None
    if found.quarters[0].supply is not None:
        there = [each.supply.likely for each in found.quarters if each.supply is not None]
        top = ("there are", np.array(there))
    title, about = "Who wants them", f"{found.count_in}, likeliest; dashed: what there is"
    svg = areas(title, about, made, edges(found), "chips", top)
    head = ("", *(use.name for use in found.uses))
    rows = [
        (each.name, *(show(each.uses[use.name].likely) for use in found.uses))
        for each in found.quarters
    ]
    return figure(title, about, svg, table(head, rows, title), key=key_of(made))


def _against(found: Forecast) -> str:
    """Both with their intervals."""
    made = [_banded("wanted", [each.chips for each in found.quarters], found, "ink-0")]
    key = [("wanted", "ink-0")]
    there = [each.supply for each in found.quarters if each.supply is not None]
    if there:
        made.append(_banded("there", there, found, "ink-2"))
        key.append(("there", "ink-2"))
    head = ("", "wanted", "low", "high", *(("there",) if there else ()))
    rows = [
        (
            each.name,
            *(show(x) for x in (each.chips.likely, each.chips.low, each.chips.high)),
            *((show(each.supply.likely),) if each.supply is not None else ()),
        )
        for each in found.quarters
    ]
    return _drawn(
        "Demand and supply", "with their intervals", made, "chips", found, (head, rows), key
    )


def _banded(
    name: str, spans: Sequence[Span], found: Forecast, style: str, per: float = 1.0
) -> Line:
    """A line of steps with its band."""
    x, y = stepped(edges(found), [each.likely / per for each in spans])
    low, high = (
        stepped(edges(found), [getattr(each, end) / per for each in spans])[1]
        for end in ("low", "high")
    )
    return Line(name=name, x=x, y=y, style=style, low=low, high=high)


def _drawn(
    title: str,
    about: str,
    made: Sequence[Line],
    beside: str,
    found: Forecast,
    numbers: tuple[Sequence[str], Sequence[Sequence[str]]],
    key: Sequence[tuple[str, str]] = (),
) -> str:
    """Lines over dates as a figure."""
    tops = [each.y if each.high is None else each.high for each in made]
    most = max(float(np.max(each)) for each in tops)
    svg = lines(title, about, made, (over_dates(edges(found), LABELS), up(most), beside))
    return figure(
        title, about, svg, table(*numbers, title), key=ink_key(list(key)) if len(key) > 1 else ""
    )


def _chance(found: Forecast) -> list[str]:
    """The chance that chips are short."""
    if found.quarters[0].short is None:
        return []
    shares = [100 * (each.short or 0.0) for each in found.quarters]
    x, y = stepped(edges(found), shares)
    rows = [
        (each.name, f"{share:.0f}%") for each, share in zip(found.quarters, shares, strict=True)
    ]
    title, about = "Chance to be short", "percent of the draws in which more is wanted"
    made = [Line(name="short", x=x, y=y, style="ink-bad")]
    return [_drawn(title, about, made, "%", found, (("", "chance"), rows))]


def _fleet(found: Forecast) -> list[str]:
    """What stands, by kind, in what it is worth."""
    if not found.quarters[0].standing:
        return []
    kinds = [each.chip for each in found.quarters[0].standing]
    held = {
        kind: np.array(
            [
                next(row.standing * row.worth for row in each.standing if row.chip == kind)
                for each in found.quarters
            ]
        )
        for kind in kinds
    }
    made = layers(held, "other kinds")
    title, about = "What stands", f"by kind, in what it is worth in {found.count_in}"
    svg = areas(title, about, made, edges(found), "chips")
    head = ("", *(f"{kind}{what}" for kind in kinds for what in ("", ", shipped", ", retired")))
    rows = [
        (
            each.name,
            *(show(x) for row in each.standing for x in (row.standing, row.shipped, row.retired)),
        )
        for each in found.quarters
    ]
    return [figure(title, about, svg, table(head, rows, title), key=key_of(made))]


def _power(found: Forecast) -> str:
    most = max(each.power.high for each in found.quarters)
    unit, per = ("GW", 1e9) if most >= 1e9 else ("MW", 1e6)
    made = [_banded("power", [each.power for each in found.quarters], found, "ink-3", per)]
    rows = [
        (each.name, *(show(x, "W") for x in _ends(each.power)), show(each.energy.likely, "J"))
        for each in found.quarters
    ]
    head = ("", "power", "low", "high", "energy")
    return _drawn("Power", "of the chips wanted, at most", made, unit, found, (head, rows))


def _money(found: Forecast) -> list[str]:
    """What has to be bought, and electricity."""
    bought = [each.buying for each in found.quarters if each.buying is not None]
    made = []
    if bought:
        made.append(_chart(found, "To buy", "in the quarter", bought, "ink-4", "USD"))
    spent = [each.running for each in found.quarters]
    return [*made, _chart(found, "Electricity", "in the quarter", spent, "ink-1", "USD")]


def _tokens(found: Forecast) -> list[str]:
    if found.quarters[-1].tokens.likely <= 0:
        return []
    spans = [
        Span(
            low=each.tokens.low * DAY, likely=each.tokens.likely * DAY, high=each.tokens.high * DAY
        )
        for each in found.quarters
    ]
    return [_chart(found, "Tokens", "read and written a day", spans, "ink-5", "1")]


def _chart(
    found: Forecast, title: str, about: str, spans: Sequence[Span], style: str, unit: str
) -> str:
    """A span over the quarters, in thousands, millions or so."""
    most = max(each.high for each in spans)
    per, word = next(((p, w) for p, w in _SCALES if most >= p), _SCALES[-1])
    beside = f"{word} {unit}".strip() if unit != "1" else f"{word}".strip()
    made = [_banded(title.lower(), spans, found, style, per)]
    rows = [
        (each.name, *(show(x, unit) for x in _ends(span)))
        for each, span in zip(found.quarters, spans, strict=True)
    ]
    return _drawn(title, about, made, beside, found, (("", "likely", "low", "high"), rows))


_SCALES = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"), (1e3, "thousand"), (1.0, ""))


def _ends(span: Span) -> tuple[float, float, float]:
    return span.likely, span.low, span.high


def _tornado(found: Forecast) -> list[str]:
    """Every input that moves the last quarter."""
    swings = [
        Swing(
            name=each.name,
            low=each.low,
            high=each.high,
            words=(show(each.low), show(each.high)),
            ends=_between(each),
        )
        for each in found.matters
    ]
    if not swings:
        return []
    last = found.quarters[-1]
    title, about = f"{found.count_in} wanted", f"{last.name}, by input"
    shown_ones = ranked(swings, 2 * TOLD)
    middle = (last.chips.likely, show(last.chips.likely))
    svg = tornado(title, about, middle, shown_ones, f"{found.count_in} wanted in {last.name}")
    rows = [move_cells(each) for each in found.matters]
    head = ("", "between", f"{last.name} wanted", "of the spread")
    key = ink_key([("input low", LOW), ("input high", HIGH)])
    return [figure(title, about, svg, table(head, rows, title), key=key)]


def _between(each: Moves) -> tuple[str, str]:
    """The ends of an input in words."""
    return unit_words(each.span.low, each.unit), unit_words(each.span.high, each.unit)


def _numbers(found: Forecast) -> str:
    """Every quarter and every use, as tables."""
    head, rows = quarter_rows(found)
    uses_head, uses = use_rows(found)
    return (
        "<section><h2>Quarter by quarter</h2><p>Likely values; the chips wanted with their "
        f"interval.</p>{table(head, rows, 'quarters')}"
        f"<h2>What an ask or a run takes</h2><p>Of one chip, at full load.</p>"
        f"{table(uses_head, uses, 'uses')}</section>"
    )


def _held(found: Forecast) -> str:
    rows = held_cells(found)
    if not rows:
        return ""
    head = ("", "here", "is", "of", "what others counted", "by")
    notes = dict.fromkeys(f"{each.against}, {each.quarter}: {each.note}" for each in found.held)
    said = "".join(f"<li>{escape(each)}</li>" for each in notes)
    return (
        "<section><h2>Held against what others counted</h2><p>The same quarter or year.</p>"
        f"{table(head, rows, 'anchors')}<details><summary>How they were counted</summary>"
        f"<ul>{said}</ul></details></section>"
    )


def _beside(found: Forecast) -> str:
    """Published forecasts that a demand was taken from."""
    if not found.beside:
        return ""
    rows = [
        (
            named(each.quantity),
            spanned(each.quantity, each.own),
            shown(each.quantity, each.theirs),
            f"{each.like} ({each.who})",
        )
        for each in found.beside
    ]
    why = "".join(f"<li>{escape(difference_text(each.difference))}</li>" for each in found.beside)
    head = ("", "eke", "they", "who")
    return (
        "<section><h2>Beside the forecast it was taken from</h2><p>The same question, answered by "
        f"eke.</p>{table(head, rows, 'beside')}<ul>{why}</ul></section>"
    )


def _footer(found: Forecast, command: str) -> str:
    """What it rests on, the layouts, and what made it."""
    plans = "".join(f"<li>{escape(each)}</li>" for each in layouts(found))
    notes = "".join(f"<li>{escape(each)}</li>" for each in found.remarks)
    rows = [
        (
            short(each.name, LONGEST),
            *_value(each),
            each.kind,
            short(each.source, LONGEST),
            each.note,
        )
        for each in found.grounds
    ]
    head = ("", "value", "low", "high", "kind", "source", "")
    grounds = table(head, rows, "what it rests on")
    folded = f"<details><summary>What it rests on</summary>{grounds}</details>"
    planned = f"<h2>Layouts that eke planned</h2><ul>{plans}</ul>" if plans else ""
    said = f"<h2>Notes</h2><ul>{notes}</ul>" if notes else ""
    made = f"<h2>What made it</h2><pre>{escape(command)}</pre>" if command else ""
    return f"<footer>{planned}{said}{folded}{made}</footer>"


def _value(ground: Ground) -> tuple[str, str, str]:
    likely, low, high = (_told(x, ground.unit) for x in (ground.value, ground.low, ground.high))
    return (likely, "", "") if low == high else (likely, low, high)


def _told(value: Any, unit: str) -> str:
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return unit_words(value, unit.replace("1 a year", "1/yr"))
