"""A forecast in words: the quarters, the uses, what matters, and what others counted."""

from __future__ import annotations

from eke.report.forecast_published import difference_words, name, shown, spanned
from eke.report.text import table, wrap
from eke.report.words import KINDS, plan_words, spread
from eke.types.forecast import Beside, Forecast, Moves, Quarter, Use
from eke.types.need import Span
from eke.units import show

DAY = 86400.0
TOLD_APART = 0.1  # of the likeliest, from which on the middle is told
TOLD = 6  # inputs that are told to matter


def forecast_words(found: Forecast, command: str = "") -> str:
    """The whole answer as text."""
    blocks = [
        headline(found),
        _quarters(found),
        _middle(found),
        _uses(found),
        _standing(found),
        _matters(found),
        _held(found),
        *(_beside(each) for each in found.beside),
        _grounds(found),
        *(_line("note", remark) for remark in found.remarks),
        _line("next", next_words(found, command)),
    ]
    return "\n".join(block for block in blocks if block) + "\n"


def headline(found: Forecast) -> str:
    """ "2027 Q2: 1.9M h100-sxm wanted (0.8M – 4.4M) against 1.2M there; short from 2026 Q4 on"."""
    last = found.quarters[-1]
    likely, low, high = (chips(x) for x in (last.chips.likely, last.chips.low, last.chips.high))
    words = f"{last.name}: {likely} {found.count_in} wanted ({low} – {high})"
    if last.supply is None:
        return words
    words += f" against {chips(last.supply.likely)} there"
    if found.first_short == found.quarters[0].name:
        return f"{words}; short throughout"
    if found.first_short:
        return f"{words}; short from {found.first_short} on"
    short = [each.name for each in found.quarters if each.gap is not None and each.gap.likely > 0]
    if short:
        return f"{words}; short until {short[-1]}"
    return f"{words}; enough throughout, though short with a chance of {last.short:.0%}"


def _quarters(found: Forecast) -> str:
    head, rows = quarter_rows(found)
    return "\n" + table(rows, head)


def _middle(found: Forecast) -> str:
    words = middle_words(found)
    return "\n" + _line("middle", words) if words else ""


def middle_words(found: Forecast) -> str:
    """Where the likeliest is no middle, what is."""
    last = found.quarters[-1]
    if abs(last.middle / last.chips.likely - 1) < TOLD_APART:
        return ""
    side = "more" if last.middle > last.chips.likely else "less"
    return (
        f"half of the draws want {side} than {chips(last.middle)} in {last.name}; "
        f"{chips(last.chips.likely)} is with every input at its likeliest"
    )


def quarter_rows(found: Forecast) -> tuple[list[str], list[list[str]]]:
    """The quarters as cells, and what the columns are."""
    priced = found.quarters[0].buying is not None
    supplied = found.quarters[0].supply is not None
    limited = any(each.limited for each in found.quarters)
    head = [found.count_in, "wanted", *(["there", "short by", "chance"] if supplied else [])]
    head += ["power", *(["all of them", "to buy"] if priced else []), "electricity"]
    head += ["tokens a day", *(["limit"] if limited else [])]
    return head, [_quarter_row(each, limited) for each in found.quarters]


def _quarter_row(each: Quarter, limited: bool) -> list[str]:
    row = [each.name, chips_span(each.chips)]
    if each.supply is not None and each.gap is not None and each.short is not None:
        row += [chips(each.supply.likely), chips(each.gap.likely), f"{each.short:.0%}"]
    row.append(show(each.power.likely, "W"))
    if each.buying is not None and each.capex is not None:
        row += [_money(each.capex), _money(each.buying)]
    row += [_money(each.running), show(each.tokens.likely * DAY)]
    return [*row, each.limited] if limited else row


def chips(value: float) -> str:
    """A number of chips, whole where there are many."""
    return f"-{chips(-value)}" if value < 0 else show(round(value) if value >= 100 else value)


def chips_span(span: Span) -> str:
    """Chips with their interval."""
    low, likely, high = (
        float(round(x)) if abs(x) >= 100 else x for x in (span.low, span.likely, span.high)
    )
    return spread(Span(low=low, likely=likely, high=high), "1")


def _money(span: Span) -> str:
    return show(span.likely, "USD").replace(" billion USD", "B$").replace(" million USD", "M$")


def _uses(found: Forecast) -> str:
    head, rows = use_rows(found)
    return "\n" + table(rows, head)


def use_rows(found: Forecast) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """What each use takes, in the first and in the last quarter."""
    first, last = found.quarters[0], found.quarters[-1]
    ends = [first, last] if last is not first else [first]
    rows = [
        (
            use.name,
            *(chips_span(each.uses[use.name]) for each in ends),
            f"{last.uses[use.name].likely / max(last.chips.likely, 1e-300):.0%}",
            _how(use, found.count_in),
        )
        for use in found.uses
    ]
    return ("use", *(each.name for each in ends), "share", "an ask or a run takes"), rows


def _how(use: Use, kind: str) -> str:
    """Chip time, and from what it comes."""
    time = use.chip_time[kind]
    assert time is not None, "a use runs on the kind it is counted in"
    each = show(time.likely, "s" if use.what == "inference" else "chip s")
    each = each if use.what == "training" else f"{each} of a chip"
    if use.plan is None:
        return f"{each} (assumed: {use.peak_share:.0%} of the peak)"
    return f"{each} ({use.model}, planned: {use.peak_share:.0%} of the peak)"


def layouts(found: Forecast) -> list[str]:
    """The layouts that eke planned, one a use."""
    return [f"{use.name}: {plan_words(use.plan)}" for use in found.uses if use.plan is not None]


def _standing(found: Forecast) -> str:
    """The fleet after the last quarter."""
    last = found.quarters[-1]
    if not last.standing:
        return ""
    words = [
        f"{chips(each.standing)} {each.chip}"
        + ("" if each.worth == 1 else f", each worth {show(each.worth)} {found.count_in}")
        for each in last.standing
    ]
    where = f"  fleet      {last.name}: {'; '.join(words)}"
    h100 = f"; wanted are {spread(last.h100, '1')} H100-equivalents by 8-bit peak"
    return wrap(where + h100, indent=" " * 13)


def _matters(found: Forecast) -> str:
    rows = [move_cells(each) for each in found.matters[:TOLD]]
    if not rows:
        return ""
    head = ("matters most", "between", f"{found.quarters[-1].name} wanted", "of the spread")
    text = "\n" + table(rows, head)
    if found.together > 0.02:
        text += "\n" + _line(
            "together", f"{found.together:.0%} of the spread is of several at once"
        )
    return text


def move_cells(each: Moves) -> tuple[str, ...]:
    """An input, its ends, and what they do."""
    low, high = (unit_words(x, each.unit) for x in (each.span.low, each.span.high))
    return (
        each.name,
        f"{low} – {high}",
        f"{chips(each.low)} – {chips(each.high)}",
        f"{each.share:.0%}",
    )


def unit_words(value: float, unit: str) -> str:
    """A value of an input, growth in percent."""
    if unit.endswith("/yr"):
        return f"{100 * value:.3g}%/yr"
    if unit == "1/s":
        return f"{show(value * DAY)}/day"
    if unit == "USD/s":
        return f"{show(value * DAY * 365.25, 'USD')} a year"
    return show(value, unit)


def _held(found: Forecast) -> str:
    """Its figures beside what others counted for the same time."""
    rows = held_cells(found)
    return "\n" + table(rows, ("held against", "", "", "", "", "counted by")) if rows else ""


def held_cells(found: Forecast) -> list[tuple[str, ...]]:
    """Own figure, its share, and whose."""
    rows: list[tuple[str, ...]] = []
    for each in found.held:
        own, theirs = (held_words(x, each.unit) for x in (each.own, each.theirs.likely))
        ratio = f"{100 * each.ratio:.2g}%" if each.ratio < 1 else f"×{each.ratio:.3g}"
        what = f"{each.quarter} {each.what}"
        rows.append((what, own, ratio, f"of {theirs}", each.against, each.who))
    return rows


def held_words(value: float, unit: str) -> str:
    """A figure that others counted too, by the day where it is a rate."""
    if unit in ("token/s", "1/s"):
        return f"{show(value * DAY)} a day"
    return chips(value) if unit == "1" else show(value, unit)


def _beside(each: Beside) -> str:
    own, theirs = spanned(each.quantity, each.own), shown(each.quantity, each.theirs)
    about = _line("beside", f"{name(each.quantity)}: eke {own}, {each.like} {theirs} ({each.who})")
    return f"{about}\n{difference_words(each.difference)}"


def _grounds(found: Forecast) -> str:
    kinds: dict[str, list[str]] = {}
    for ground in found.grounds:
        kinds.setdefault(ground.kind, []).append(ground.name)
    words = [f"{len(kinds[kind])} {kind}" for kind in KINDS if kind in kinds]
    assumed = f" ({', '.join(kinds['assumed'][:6])})" if "assumed" in kinds else ""
    drawn = f"; spans by {found.samples:,} draws, seed {found.seed}" if found.samples else ""
    return _line("grounds", f"{', '.join(words)}{assumed}{drawn}: --json lists each")


def next_words(found: Forecast, command: str) -> str:
    """What to ask next."""
    if found.first_short:
        return (
            "eke allocate provider.toml: who gets the chips there are, and what one more is worth"
        )
    return command or "eke allocate forecast --published"


def _line(word: str, text: str) -> str:
    return wrap(f"  {word:<10} {text}", indent=" " * 13)
