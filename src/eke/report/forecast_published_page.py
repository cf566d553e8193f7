"""Published forecasts as a page: bars of every quantity, and what tells them apart."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape

from eke.economics.ratios import factor_words
from eke.report.charts import short
from eke.report.document import document
from eke.report.forecast_published import (
    MARKS,
    clash_texts,
    difference_text,
    headline,
    name,
    number,
    row_cells,
    shown,
    spanned,
    unknown_text,
    why_known,
)
from eke.report.html import Cell, figure, section, table
from eke.report.spans import Ranged, ranges
from eke.types.need import Span
from eke.types.published import Chain, Difference, SideBySide, Table

WIDE = 50.0  # times the middle above which bars of one chart tell nothing of the others


def published_page(found: SideBySide, command: str = "") -> str:
    """The page as text. command: what made it."""
    title = "Published forecasts"
    blocks = [
        f"<h1>{title}</h1>",
        f'<p class="lead">{escape(headline(found))}.</p>',
        '<p class="promise">Every figure is in one vocabulary: what an author states, what was put '
        "in so that the chain closes (assumed), and what follows from both (implied). The ratio of "
        "two forecasts is the product of the ratios of their inputs.</p>",
        *(_table(each) for each in found.tables),
        *(_chain(each) for each in (() if found.tables else found.chains)),
        _apart("What tells them apart", found.differences),
        _footer(found, command),
    ]
    return document(title, blocks)


def _table(found: Table) -> str:
    """A quantity: bars, its table, and the factors between the widest apart."""
    figures = [_bars(found), *(_factors(each) for each in found.differences if each.factors)]
    figures = [each for each in figures if each]
    words = [difference_text(each) for each in found.differences]
    words += [_silent(who, lacks) for who, lacks in found.silent.items()]
    said = "".join(f"<li>{escape(each)}.</li>" for each in words)
    about = f"{len(found.rows)} forecasts; ratios are to the smallest published."
    whole = section(found.title[:1].upper() + found.title[1:], about, figures)
    return whole.replace("</section>", f"<ul>{said}</ul></section>") if said else whole


def _silent(who: str, lacks: Sequence[str]) -> str:
    return f"{who} does not tell {', '.join(map(name, lacks))}"


def _bars(found: Table) -> str:
    """A bar a forecast; those far beyond the others are told in the table alone."""
    ranked = sorted(row.value.likely for row in found.rows)
    middle = ranked[len(ranked) // 2]
    drawn = [row for row in found.rows if row.value.likely <= WIDE * middle]
    bars = [
        Ranged(
            name=_bar_name(row.id),
            span=_capped(row.value, WIDE * middle),
            words=shown(found.quantity, row.value.likely),
            style="ink-2" if row.id.startswith("eke:") else "ink-0",
        )
        for row in drawn
    ]
    left = len(found.rows) - len(drawn)
    about = name(found.quantity) + (f"; {left} far larger in the table" if left else "")
    head = ("", "who", "when", name(found.quantity), "", "")
    return figure(
        "As each has it",
        about,
        ranges(found.title, about, bars),
        table(head, row_cells(found), found.title),
    )


def _bar_name(id: str) -> str:
    """A name that fits beside a bar, without its year; the table has it whole."""
    return re.sub(r"-\d{4}$", "", id).replace("eke:", "eke ")


def _capped(span: Span, most: float) -> Span:
    return Span(low=span.low, likely=span.likely, high=min(span.high, most))


def _factors(found: Difference) -> str:
    """How much each input multiplies one forecast over the other."""
    moved = [each for each in found.factors if abs(each.ratio - 1) > 0.005]
    if found.untold or len(found.factors) < 2 or not moved:
        return ""
    bars = [
        Ranged(
            name=factor_words(each.names),
            span=_flat(abs(math.log(each.ratio))),
            words=f"×{number(each.ratio)}",
            style="ink-1" if each.ratio > 1 else "ink-0",
        )
        for each in moved
    ]
    title = f"{found.one} over {found.other}"
    about = (
        f"{name(found.quantity)} ×{number(found.ratio)}; bars are logarithms, orange ones "
        "make it larger, blue ones smaller"
    )
    rows = [
        (
            factor_words(each.names),
            f"{each.one:.6g}",
            f"{each.other:.6g}",
            f"×{number(each.ratio)}",
            *each.marks,
        )
        for each in found.factors
    ]
    head = ("", found.one, found.other, "ratio", "", "")
    return figure(title, about, ranges(title, about, bars), table(head, rows, title))


def _flat(value: float) -> Span:
    return Span(low=value, likely=value, high=value)


def _chain(found: Chain) -> str:
    """Everything of one forecast."""
    rows: list[list[Cell | str]] = [
        [
            name(each.quantity),
            spanned(each.quantity, each.value),
            MARKS[each.mark] or "stated",
            Cell(words=why_known(each), style="words why"),
        ]
        for each in found.known.values()
    ]
    clashes = "".join(f"<li>{escape(each)}.</li>" for each in clash_texts(found))
    unknown = f"<p>{escape(unknown_text(found))}.</p>" if found.unknown else ""
    return (
        f"<section><h2>{escape(short(found.id, 80))}</h2><p>{escape(found.who)}, "
        f"{escape(found.when)}</p>{table((), rows, found.id)}<ul>{clashes}</ul>{unknown}</section>"
    )


def _apart(title: str, every: Sequence[Difference]) -> str:
    if not every:
        return ""
    figures = [made for each in every if (made := _factors(each))]
    said = "".join(f"<li>{escape(difference_text(each))}.</li>" for each in every)
    drawn = section(title, "By input, each pair.", figures) if figures else f"<h2>{title}</h2>"
    return f"{drawn}<ul>{said}</ul>"


def _footer(found: SideBySide, command: str) -> str:
    notes = "".join(f"<li>{escape(each)}</li>" for each in found.remarks)
    said = f"<h2>Notes</h2><ul>{notes}</ul>" if notes else ""
    made = f"<h2>What made it</h2><pre>{escape(command)}</pre>" if command else ""
    return f"<footer>{said}{made}</footer>"
