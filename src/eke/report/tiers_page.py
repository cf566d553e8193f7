"""Context tiers as a page: the curves, what users see, what it costs, what remembering saves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np

from eke.report.areas import ink_key
from eke.report.axes import Axis, ticks
from eke.report.charts import (
    LABELS,
    LEFT,
    WIDE,
    Across,
    Line,
    Mark,
    lines,
    over_durations,
    short,
    up,
)
from eke.report.document import document
from eke.report.footer import footer
from eke.report.html import Cell, figure, folded, listed, section, table, unbroken
from eke.report.tiers import (
    WHERE,
    costs,
    headline,
    keep_row,
    keep_words,
    money_month,
    percent,
    percent_span,
    point_at,
    point_row,
    wanted_words,
)
from eke.report.words import plan_words
from eke.types.need import Span
from eke.types.tiers import MONTH, KeepCurve, SharePoint, TierCurve, Tiers
from eke.units import show

CARRIED = (
    "",
    "users",
    "chips for all",
    "first, base",
    "first, longer",
    "per token",
    "user, month",
    "1M tokens",
    "left, month",
    "plan",
)
KEPT = ("", "found again", "users", "chips for all", "at once", "first token", "user, month")


def tiers_page(found: Tiers, command: str = "") -> str:
    """The page as text. command: what made it."""
    name = found.demand.name or "Context tiers"
    blocks = [
        f"<h1>{escape(short(name, 300))}</h1>",
        f'<p class="lead">{escape(unbroken(headline(found)))}.</p>',
        f'<p class="promise">Promised: {escape(_promises(found))}.</p>',
        _summary(found),
        section(
            f"How many may have more than {found.demand.base.name}",
            "The most users of whom everybody keeps every promise, by the share of them who have "
            "the longer context. The dashed line is the demand; bands are 80 % intervals.",
            [_all(found), *(_carried(found, i) for i in range(len(found.curves)))],
        ),
        section(
            "What they see",
            "At the demand, or at as many users as there is room for. Waiting and the pace of an "
            "answer are everybody's; taking in a prompt takes as long as it is.",
            _latencies(found),
        ),
        section(
            "What it costs",
            "All chips paid all day: of a user with the chips kept full, and what is left of what "
            "users pay at the demand.",
            _money(found),
        ),
        section("What remembering saves", _remembering(found), _keeping(found)),
        _footer(found, command),
    ]
    return document(name, blocks)


def _promises(found: Tiers) -> str:
    said = [
        f"{tier.name} first token within {show(tier.ttft.limit, 's')} "
        f"(p{100 * tier.ttft.percentile:g})"
        for tier in (found.demand.base, *(each.tier for each in found.curves))
        if tier.ttft is not None
    ]
    if found.demand.tpot is not None:
        pace = found.demand.tpot
        said.append(f"{show(pace.limit, 's')} per token (p{100 * pace.percentile:g})")
    return ", ".join(said) or "nothing"


def _summary(found: Tiers) -> str:
    """One row per longer tier."""
    base = found.demand.base.name
    head = ("", "may have it", "users", f"each takes of {base}", "stops there", "pays", "costs")
    rows: list[list[Cell | str]] = [
        [
            Cell(words=each.tier.name, style=f"ink-{i}"),
            percent_span(each.share),
            show(each.users.likely, digits=3),
            "" if each.displaces is None else f"{each.displaces:.3g} users",
            each.alone or point_at(each).limit,
            money_month(each.tier.pays),
            "" if (cost := costs(found, each)) is None else f"{show(cost, 'USD')}/month",
        ]
        for i, each in enumerate(found.curves)
    ]
    return table(head, rows, "longer tiers beside the base tier")


def _shares(right: float) -> Across:
    """The axis of shares of users."""
    axis = Axis(low=0.0, high=1.0, start=LEFT, end=WIDE - right, unit="%")
    return Across(axis=axis, ticks=tuple(ticks(axis, 5)), name="who have it", unit="%")


def _over(curve: TierCurve, of: Callable[[SharePoint], float | None]) -> tuple[Any, Any]:
    """A figure over the share, where it is known."""
    rows = [(p.share, value) for p in curve.points if (value := of(p)) is not None]
    return np.array([x for x, _ in rows]), np.array([y for _, y in rows])


def _lines(found: Tiers, of: Callable[[SharePoint], float | None], style: str = "") -> list[Line]:
    """A line per longer tier."""
    made = []
    for i, curve in enumerate(found.curves):
        x, y = _over(curve, of)
        if len(x):
            made.append(Line(name=curve.tier.name, x=x, y=y, style=f"ink-{i} {style}".strip()))
    return made


def _all(found: Tiers) -> str:
    """Users carried of all tiers in one chart."""
    title, about = "Users carried", "by the share of users who have the longer context"
    made = [*_lines(found, lambda p: p.users.likely), _demand(found)]
    svg = lines(title, about, made, (_shares(LABELS), up(_most(made)), "users"))
    rows = [
        (percent(point.share), curve.tier.name, show(point.users.likely))
        for curve in found.curves
        for point in curve.points
    ]
    return figure(title, about, svg, table(("", "tier", "users"), rows, about))


def _demand(found: Tiers) -> Line:
    wanted = found.demand.users
    return Line(
        name="demand",
        x=np.array([0.0, 1.0]),
        y=np.array([wanted, wanted]),
        style="ink-top top",
    )


def _most(made: Sequence[Line]) -> float:
    tops = [each.y if each.high is None else each.high for each in made if len(each.y)]
    return max((float(each.max()) for each in tops), default=1.0)


def _carried(found: Tiers, index: int) -> str:
    """Users carried of one tier, with its interval, and what tiers apart would carry."""
    curve = found.curves[index]
    title = f"{curve.tier.name} beside {found.demand.base.name}"
    about = f"{percent_span(curve.share)} of users may have it"
    x, y = _over(curve, lambda p: p.users.likely)
    low, high = (_over(curve, of)[1] for of in (_lowest, _highest))
    inner = [p for p in curve.points if 0 < p.share < 1]
    own = Line(
        name="tiers apart",
        x=np.array([p.share for p in inner]),
        y=np.array([p.apart for p in inner]),
        style="ink-all",
        label=False,
    )
    main = Line(name="carried", x=x, y=y, style=f"ink-{index}", low=low, high=high, label=False)
    made = [main, own, _demand(found)]
    marks = [Mark(value=curve.share.likely, words=percent(curve.share.likely))]
    svg = lines(title, about, made, (_shares(12), up(_most(made)), "users"), marks)
    key = ink_key([("carried", f"ink-{index}"), ("each tier on replicas of its own", "ink-all")])
    numbers = table(CARRIED, [point_row(point) for point in curve.points], title)
    return figure(title, about, svg, numbers, key=key)


def _lowest(point: SharePoint) -> float:
    return point.users.low


def _highest(point: SharePoint) -> float:
    return point.users.high


def _latencies(found: Tiers) -> list[str]:
    """First tokens of the base tier and of the longer ones, and the pace."""
    base = found.demand.base.name
    figures = (
        (f"First token, {base}", "seconds, as promised", lambda p: _likely(p.ttft), "s"),
        ("First token, longer", "seconds, as promised", lambda p: _likely(p.ttft_longer), "s"),
        ("Per token", "milliseconds, everybody's", lambda p: _milli(p.tpot), "ms"),
    )
    return [_chart(found, *each) for each in figures]


def _likely(span: Span | None) -> float | None:
    return None if span is None else span.likely


def _milli(span: Span | None) -> float | None:
    return None if span is None else 1e3 * span.likely


def _chart(
    found: Tiers, title: str, about: str, of: Callable[[SharePoint], float | None], unit: str
) -> str:
    """One figure of all tiers over the share."""
    made = _lines(found, of)
    if not made:
        return ""
    svg = lines(title, about, made, (_shares(LABELS), up(_most(made)), unit))
    rows = [
        (percent(point.share), curve.tier.name, f"{value:,.3g} {unit}")
        for curve in found.curves
        for point in curve.points
        if (value := of(point)) is not None
    ]
    return figure(title, about, svg, table(("", "tier", unit), rows, title))


def _money(found: Tiers) -> list[str]:
    """Cost of a user and of tokens, and what is left."""
    figures = (
        ("Cost of a user", "a month, of the mix", lambda p: _likely(p.cost), "USD"),
        ("Cost of a million tokens", "prompt and answer", lambda p: _likely(p.per_million), "USD"),
        (
            "Left when the chips are paid",
            "millions a month; nothing where it is a loss",
            lambda p: None if p.margin is None else max(p.margin, 0.0) * MONTH / 1e6,
            "million USD",
        ),
    )
    return [chart for each in figures if (chart := _chart(found, *each))]


def _remembering(found: Tiers) -> str:
    """The best of each place, in words."""
    words = [keep_words(found, each) for each in found.keeping]
    return ". ".join(f"{each[:1].upper()}{each[1:]}" for each in words) + "." if words else ""


def _keeping(found: Tiers) -> list[str]:
    """Users, first tokens and chips by how long conversations are kept."""
    if not found.keeping:
        return []
    figures: tuple[tuple[str, str, Callable[[Any], float | None], str], ...] = (
        ("Users carried", "everybody in the base tier", lambda p: p.users.likely, "users"),
        ("First token", "seconds, as promised", lambda p: _likely(p.ttft), "s"),
        ("Chips for all", "in whole replicas", lambda p: p.chips, "chips"),
    )
    return [made for each in figures if (made := _kept(found, *each))]


def _kept(
    found: Tiers, title: str, about: str, of: Callable[[Any], float | None], unit: str
) -> str:
    """A figure over the time that conversations are kept, on the chips and on their hosts."""
    made, rows = [], []
    for i, each in enumerate(found.keeping):
        known = [(p, v) for p in each.points[1:] if (v := of(p)) is not None]
        x, y = np.array([p.kept for p, _ in known]), np.array([v for _, v in known])
        if len(x):
            made.append(Line(name=each.where, x=x, y=y, style=f"ink-{i}"))
        rows += [(show(p.kept, "s"), WHERE[each.where], f"{v:,.4g} {unit}") for p, v in known]
    first = of(found.keeping[0].points[0])
    if not made or first is None:
        return ""
    ends = np.array([found.keeping[0].points[1].kept, found.keeping[0].points[-1].kept])
    made.append(Line(name="sent again", x=ends, y=np.array([first, first]), style="ink-top top"))
    axis = over_durations(float(ends[0]), float(ends[1]))
    svg = lines(title, about, made, (axis, up(_most(made)), unit))
    key = ink_key([(WHERE[each.where], f"ink-{i}") for i, each in enumerate(found.keeping)])
    rows.insert(0, ("not at all", "", f"{first:,.4g} {unit}"))
    return figure(title, about, svg, table(("kept for", "where", unit), rows, title), key=key)


def _table(each: KeepCurve) -> str:
    return table(KEPT, [keep_row(point) for point in each.points], WHERE[each.where])


def _footer(found: Tiers, command: str) -> str:
    """What it rests on, the layouts, and what made it."""
    plans = [
        f"{i}: {plan_words(plan)}, batch {plan.batch:,}, token budget {plan.token_budget:,}"
        for i, plan in enumerate(found.plans)
    ]
    kept = [folded(f"Conversations kept {WHERE[e.where]}", _table(e)) for e in found.keeping]
    return footer(
        [listed("Layouts", plans), *kept],
        (*wanted_words(found), *found.remarks),
        found.grounds,
        lambda value, of: show(value, of.unit),
        command,
    )
