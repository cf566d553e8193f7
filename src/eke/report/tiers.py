"""Context tiers in words: who may have how long a context, and what remembering is worth."""

from __future__ import annotations

from eke.report.text import entry, table
from eke.report.words import counted, label, plan_words, spread
from eke.types.need import Matter, Span
from eke.types.tiers import MONTH, KeepCurve, KeepPoint, SharePoint, TierCurve, Tiers
from eke.units import show

WHERE = {"chip": "on the chips", "host": "in their hosts' memory", "nowhere": "nowhere"}


def tiers_words(found: Tiers, command: str) -> str:
    """The whole answer as text. command: what to do next."""
    blocks = [
        headline(found),
        "",
        table([_row(found, each) for each in found.curves], head=_head(found)),
        *(_bound(found, each) for each in found.curves),
        *(_curve(found, each) for each in found.curves),
        *(_keeping(found, each) for each in found.keeping),
        *(
            entry(
                "plan",
                f"{i}: {plan_words(plan)}, batch {plan.batch:,}, token budget "
                f"{plan.token_budget:,}",
            )
            for i, plan in enumerate(found.plans)
        ),
        _grounds(found),
        _matters(found.matters),
        *(entry("note", remark) for remark in (*wanted_words(found), *found.remarks)),
        entry("next", command),
    ]
    return "\n".join(block for block in blocks if block or block == "") + "\n"


def headline(found: Tiers) -> str:
    """Line one: the answer with its unit."""
    curve = found.curves[0]
    at = point_at(curve)
    base, longer = found.demand.base.name, curve.tier.name
    words = [
        f"{percent_span(curve.share)} of {show(found.demand.users)} users may have {longer} beside "
        f"{base} for all on {found.fleet}"
    ]
    if at.ttft is not None:
        words.append(f"{spread(at.ttft, 's')} to first token with {base}")
    if at.ttft_longer is not None:
        words.append(f"{spread(at.ttft_longer, 's')} with {longer}")
    if at.tpot is not None:
        words.append(f"{spread(at.tpot, 's')} per token")
    if at.cost is not None:
        words.append(f"{spread(at.cost, 'USD')} per user and month")
    return ", ".join(words)


def point_at(curve: TierCurve) -> SharePoint:
    """Where the chips just carry the demand."""
    return next(each for each in curve.points if each.share == curve.share.likely)


def percent(share: float) -> str:
    """A share as people read it, none of whom there are some said to be nothing."""
    return "0" if share == 0 else f"{100 * share:.3g} %"


def percent_span(span: Span) -> str:
    """ "31 % (22 – 40)"."""
    low, high = (f"{100 * each:.3g}" for each in (span.low, span.high))
    if low == high:
        return percent(span.likely)
    return f"{percent(span.likely)} ({low} – {high})"


def _head(found: Tiers) -> tuple[str, ...]:
    base = found.demand.base.name
    return (
        "beside " + base,
        "may have it",
        "users",
        f"takes of {base}",
        "stops there",
        "pays",
        "costs",
    )


def _row(found: Tiers, each: TierCurve) -> tuple[str, ...]:
    """One longer tier in a row."""
    at = point_at(each)
    trade = f"{each.displaces:.3g} users" if each.displaces is not None else ""
    cost = costs(found, each)
    return (
        each.tier.name,
        percent_span(each.share),
        show(each.users.likely, digits=3),
        trade,
        each.alone or at.limit,
        money_month(each.tier.pays),
        "" if cost is None else f"{show(cost, 'USD')}/month",
    )


def money_month(rate: float) -> str:
    """What is paid, by the month."""
    return f"{show(rate * MONTH, 'USD')}/month" if rate else ""


def costs(found: Tiers, curve: TierCurve) -> float | None:
    """What a user of the longer tier costs a month: the users displaced, at their cost [USD]."""
    if found.base.cost is None or curve.displaces is None:
        return None
    return curve.displaces * found.base.cost.likely


def _bound(found: Tiers, each: TierCurve) -> str:
    """What binds where the demand is just carried."""
    if not each.resources:
        return ""
    felt = [f"{r.name} {100 * (r.factor - 1):+.2g} %" for r in each.resources]
    return entry("binds", f"{each.tier.name}: 10 % more changes the users by: {', '.join(felt)}")


def _curve(found: Tiers, each: TierCurve) -> str:
    """The curve of a tier as a table."""
    base, name = found.demand.base.name, each.tier.name
    head = (
        f"{name} for",
        "users carried",
        "chips for all",
        f"first, {base}",
        f"first, {name}",
        "per token",
        "user, month",
        "1M tokens",
        "left, month",
        "plan",
    )
    rows = [point_row(point) for point in each.points]
    return "\n" + table(rows, head=head)


def point_row(point: SharePoint) -> tuple[str, ...]:
    """One point of a curve."""
    return (
        percent(point.share),
        span_words(point.users, "1"),
        "" if point.chips is None else f"{point.chips:,.0f}",
        *(likely(each, "s") for each in (point.ttft, point.ttft_longer, point.tpot)),
        *(likely(each, "USD") for each in (point.cost, point.per_million)),
        "" if point.margin is None else show(point.margin * MONTH, "USD"),
        " + ".join(map(str, point.plans)) if point.plans else point.limit,
    )


def likely(span: Span | None, unit: str) -> str:
    """The likely value alone."""
    return "" if span is None else show(span.likely, unit)


def span_words(span: Span, unit: str) -> str:
    """A span in few digits; what is less than one user is none."""
    rounded = Span(**{end: _whole(getattr(span, end)) for end in ("low", "likely", "high")})
    return spread(rounded, unit)


def _whole(value: float) -> float:
    """To three digits, nothing below one."""
    return 0.0 if value < 1 else float(f"{value:.3g}")


def _keeping(found: Tiers, each: KeepCurve) -> str:
    """What keeping conversations saves, first in words, then by how long."""
    head = (
        "kept for",
        "found again",
        "users carried",
        "chips for all",
        "kept at once",
        f"first, {found.demand.base.name}",
        "user, month",
    )
    rows = [keep_row(point) for point in each.points]
    return "\n" + entry("memory", keep_words(found, each)) + "\n" + table(rows, head=head)


def keep_row(point: KeepPoint) -> tuple[str, ...]:
    """One length of time."""
    return (
        show(point.kept, "s") if point.kept else "not at all",
        percent(point.reuse),
        span_words(point.users, "1"),
        "" if point.chips is None else f"{point.chips:,.0f}",
        show(_whole(point.conversations)),
        likely(point.ttft, "s"),
        likely(point.cost, "USD"),
    )


def keep_words(found: Tiers, each: KeepCurve) -> str:
    """The best time to keep conversations, and what it brings."""
    where, first, best = WHERE[each.where], each.points[0], each.points[each.best]
    if not each.best:
        return f"keeping conversations {where} carries no more users than sending them again"
    more = best.users.likely / first.users.likely - 1
    words = [f"conversations kept {where} for {show(best.kept, 's')} carry {more:.0%} more users"]
    if first.chips and best.chips and best.chips < first.chips:
        saved = first.chips - best.chips
        words.append(f"{saved:,.0f} of {first.chips:,.0f} chips saved at the demand")
    shares = zip(found.curves, each.shares, strict=False)
    now = [f"{curve.tier.name} for {percent(share)}" for curve, share in shares]
    words += [f"then {', '.join(now)} of users"] if now else []
    if each.even:
        words.append(f"beyond {show(each.even, 's')} it carries fewer than sending them again")
    return "; ".join(words)


def wanted_words(found: Tiers) -> list[str]:
    """Whether all who want a tier may have it."""
    words = []
    for each in found.curves:
        want = each.tier.wanted
        if want >= 1:
            continue
        users = want * found.demand.users
        all_of = "all" if each.share.likely >= want else percent(each.share.likely / want)
        words.append(
            f"{each.tier.name}: {percent(want)} of users want it ({show(users, digits=3)}); "
            f"{all_of} of them may have it"
        )
    return words


def _grounds(found: Tiers) -> str:
    """How much of it is known how well."""
    guessed = [each.name for each in found.demand.grounds if each.kind == "assumed"]
    more = f" (of the demand assumed: {', '.join(guessed[:6])})" if guessed else ""
    return "\n" + entry(
        "grounds", f"{counted(found.grounds)}{more}: --json lists each with its source"
    )


def _matters(matters: tuple[Matter, ...]) -> str:
    words = [f"{label(m.name)} {m.change}: {m.figure} ×{m.factor:.2f}" for m in matters[:4]]
    return entry("matters", "; ".join(words))
