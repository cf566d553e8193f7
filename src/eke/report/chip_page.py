"""Buy, rent or build as a page: what a token costs, whether building pays, what would turn it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from eke.report.areas import ink_key
from eke.report.axes import around, ticks
from eke.report.charts import LEFT, WIDE, Across, Line, Mark, lines, short, up
from eke.report.chip_choice import (
    GAINS,
    OFFERS,
    amount_words,
    chance,
    cost_words,
    gain_rows,
    headline,
    layout_words,
    offer_cells,
    one_by_one,
    signed,
    swing_cells,
    turning_cells,
    unit_words,
)
from eke.report.document import document
from eke.report.footer import footer
from eke.report.html import LONGEST, figure, listed, section, sentence, table
from eke.report.inputs import input_value, input_words
from eke.report.shapes import bars
from eke.report.spans import Piece, Ranged, parts, ranges
from eke.report.tornado import HIGH, LOW, Swing, tornado
from eke.types.silicon import ChipChoice, Gain, Offer, Turning
from eke.units import show

GROUPS = {  # parts of a cost by what they are told as, each with a colour of its own
    "chips": ("chips", "silicon", "memory", "package", "test"),
    "rent": ("rent",),
    "server": ("server",),
    "site": ("site",),
    "energy": ("energy",),
    "failures": ("failures",),
    "design and software": ("design", "software"),
    "waiting": ("waiting",),
}
SCALES = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"), (1e3, "thousand"), (1.0, ""))


def chip_page(found: ChipChoice, command: str = "") -> str:
    """The page as text. command: what made it."""
    able = [offer for offer in found.offers if offer.cost is not None]
    cases = f"{found.samples:,} cases drawn, seed {found.seed}."
    blocks = [
        f"<h1>{escape(short(found.job, 300))}</h1>",
        f'<p class="lead">{escape(sentence(headline(found)))}.</p>',
        f'<p class="promise">{escape(sentence(amount_words(found)))}. {cases}</p>',
        section(
            "What a useful token costs",
            "Today's worth of everything a way costs over the useful tokens it serves, discounted "
            "alike. Lines are 80 % intervals; every way serves the same tokens.",
            [_costs(able), _parts(able), *_making(able)],
        ),
        _ways(found.offers),
        section(
            "Whether building pays off",
            "What building saves against each other way, as today's worth.",
            [_distribution(found.gains), _chances(found.gains)] if found.gains else [],
        ),
        _gains(found.gains),
        section(
            "What moves it most",
            "What building saves against each, with one input at either end of its 80 % interval "
            "and all others at their likeliest.",
            [_tornado(gain) for gain in found.gains if gain.swings],
        ),
        _turnings(found.gains),
        footer(
            [listed("Layouts", [f"{each.name}: {layout_words(each)}" for each in able])],
            found.remarks,
            found.grounds,
            lambda value, of: input_value(value, of.name, of.unit),
            command,
        ),
    ]
    return document(found.job, blocks)


def _style(index: int) -> str:
    return f"ink-{index % 8}"


def _costs(offers: Sequence[Offer]) -> str:
    title, about = "Cost", "USD for a million useful tokens, likeliest and 80 % interval"
    rows = [
        Ranged(name=each.name, span=each.cost, words=cost_words(each))
        for each in offers
        if each.cost is not None
    ]
    numbers = table(OFFERS, [offer_cells(each) for each in offers], title)
    return figure(title, about, ranges(title, about, rows), numbers)


def _parts(offers: Sequence[Offer]) -> str:
    """What the likeliest cost is made of."""
    title, about = "What it is made of", "USD for a million useful tokens, likeliest"
    rows = []
    for each in offers:
        pieces = [
            Piece(value=value, style=_style(i), told=f"{name}: {show(value, 'USD')}")
            for i, name in enumerate(GROUPS)
            if (value := sum(each.parts.get(part, 0.0) for part in GROUPS[name]))
        ]
        rows.append((each.name, pieces, show(sum(each.parts.values()), "USD")))
    there = {part for each in offers for part in each.parts}
    key = [
        (name, _style(i)) for i, (name, of) in enumerate(GROUPS.items()) if there.intersection(of)
    ]
    names = sorted(there, key=lambda name: -max(each.parts.get(name, 0.0) for each in offers))
    numbers = [
        (
            name,
            *(
                show(each.parts.get(name, 0.0), "USD") if name in each.parts else ""
                for each in offers
            ),
        )
        for name in names
    ]
    head = ("", *(each.name for each in offers))
    return figure(
        title, about, parts(title, about, rows), table(head, numbers, title), key=ink_key(key)
    )


def _making(offers: Sequence[Offer]) -> list[str]:
    """What chips cost to make, of those whose maker one is or pays."""
    made = [each for each in offers if each.unit]
    if not made:
        return []
    title, about = "What making a chip costs", "USD, in a mature process, without its design"
    names = list(dict.fromkeys(name for each in made for name in each.unit))
    rows = [
        (
            each.name,
            [
                Piece(
                    value=value, style=_style(names.index(name)), told=f"{name}: {value:,.0f} USD"
                )
                for name, value in each.unit.items()
            ],
            show(sum(each.unit.values()), "USD"),
        )
        for each in made
    ]
    numbers = [
        (each.name, *(f"{each.unit.get(name, 0.0):,.0f}" for name in names)) for each in made
    ]
    key = ink_key([(name, _style(i)) for i, name in enumerate(names)])
    svg = parts(title, about, rows)
    return [figure(title, about, svg, table(("", *names), numbers, title), key=key)]


def _ways(offers: Sequence[Offer]) -> str:
    """Every way in a row, and why some cannot."""
    rows = [offer_cells(each) for each in offers]
    cannot = [f"{each.name} cannot: {each.why_not}" for each in offers if each.cost is None]
    made = [f"{each.name}: {unit_words(each)}" for each in offers if each.unit]
    said = "".join(f"<li>{escape(each)}</li>" for each in (*cannot, *made))
    return table(OFFERS, rows, "every way") + (f"<ul>{said}</ul>" if said else "")


def _distribution(gains: Sequence[Gain]) -> str:
    """The share of cases that save less than so much, against each."""
    title, about = (
        "What building saves",
        "share of cases in which it saves less; right of 0 it pays",
    )
    every = [value for gain in gains for value in gain.quantiles]
    most = max(abs(value) for value in every)
    scale, word = next(((s, w) for s, w in SCALES if most >= s), SCALES[-1])
    axis = around(min(every) / scale, max(every) / scale, LEFT, WIDE - 12)
    across = Across(axis=axis, ticks=tuple(ticks(axis, 5)), name=f"{word} USD".strip(), unit="1")
    upward = up(1.0, "%")
    drawn = [
        Line(
            name=short(gain.against, LONGEST),
            x=np.array(gain.quantiles) / scale,
            y=(np.arange(len(gain.quantiles)) + 0.5) / len(gain.quantiles),
            style=_curve_style(i, gains),
            label=False,
        )
        for i, gain in enumerate(gains)
    ]
    marks = [Mark(value=0.0, words="")]
    svg = lines(title, about, drawn, (across, upward, "of cases"), marks)
    key = [
        (f"{gain.against}: {chance(gain.chance)}", _curve_style(i, gains))
        for i, gain in enumerate(gains)
    ]
    shares = [f"{100 * line_y:.3g} %" for line_y in drawn[0].y.tolist()]
    rows = [(shares[i], *(signed(gain.quantiles[i]) for gain in gains)) for i in range(len(shares))]
    head = ("of cases save less than", *(gain.against for gain in gains))
    return figure(title, about, svg, table(head, rows, title), key=ink_key(key))


def _chances(gains: Sequence[Gain]) -> str:
    title, about = "Chance that building pays off", "share of cases in which it saves anything"
    rows = [
        (
            gain.against if gain in one_by_one(gains) else "all of them",
            gain.chance,
            chance(gain.chance),
            _curve_style(i, gains),
        )
        for i, gain in enumerate(gains)
    ]
    numbers = table(("", "chance"), [(name, words) for name, _, words, _ in rows], title)
    return figure(title, about, bars(title, about, rows), numbers)


def _curve_style(index: int, gains: Sequence[Gain]) -> str:
    """Dashed for the cheapest in each case."""
    return _style(index) if index < len(one_by_one(gains)) else "ink-top top"


def _gains(gains: Sequence[Gain]) -> str:
    return table(GAINS, gain_rows(gains), "what building saves") if gains else ""


def _tornado(gain: Gain) -> str:
    title, about = f"Against {gain.against}", "what building saves, by input"
    made = [
        Swing(
            name=input_words(each.name),
            low=each.gain_low,
            high=each.gain_high,
            words=(signed(each.gain_low), signed(each.gain_high)),
            ends=_ends(each.name, each.unit, each.low, each.high),
        )
        for each in gain.swings
    ]
    middle = (gain.likely, signed(gain.likely))
    svg = tornado(title, about, middle, made, "what building saves, USD")
    head = ("", "low", "high", "saves at low", "saves at high")
    numbers = table(head, [swing_cells(each) for each in gain.swings], title)
    key = ink_key([("input low", LOW), ("input high", HIGH)])
    return figure(title, about, svg, numbers, key=key)


def _ends(name: str, unit: str, low: float, high: float) -> tuple[str, str]:
    """Both ends of an input; of an efficiency they say nothing to a reader."""
    if unit == "sd":
        return "", ""
    return input_value(low, name, unit), input_value(high, name, unit)


def _turnings(gains: Sequence[Gain]) -> str:
    """What would have to be true against each, one thing at a time."""
    if not gains:
        return ""
    each = one_by_one(gains)
    found: dict[str, dict[str, Turning]] = {}
    for gain in each:
        for turn in gain.turnings:
            found.setdefault(turn.name, {})[gain.against] = turn
    rows = [_turning_row(turns, each) for turns in found.values()]
    head = ("it pays off with", "now", *(f"against {gain.against}" for gain in each))
    inside = table(head, rows, "what would turn it") if rows else ""
    return (
        f"<section><h2>What would turn it</h2><p>{ABOUT if rows else NOTHING}</p>{inside}</section>"
    )


ABOUT = (
    "One input at a time, all others at their likeliest. Where building pays off already, this is "
    "how far the input may go."
)
NOTHING = "No single change, however large, turns the answer against any of them."


def _turning_row(turns: Mapping[str, Turning], gains: Sequence[Gain]) -> tuple[str, ...]:
    """One input: what it is, and what it would have to be against each."""
    words = {against: turning_cells(turn) for against, turn in turns.items()}
    first, _, now = next(iter(words.values()))
    none = "" if first.startswith("price of ") else "no value"  # of others it is not asked
    return first, now, *(words[g.against][1] if g.against in words else none for g in gains)
