"""Published forecasts in words: beside each other, and each with what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eke.economics.ratios import factor_words
from eke.report.text import table, wrap
from eke.types.need import Span
from eke.types.published import (
    QUANTITIES,
    Chain,
    Difference,
    Factor,
    Known,
    SideBySide,
    Table,
)
from eke.units import show

TOLD = 0.005  # ratios closer to one are told as equal
COUNTED = ("chips", "servers", "users")
MARKS = {"stated": "", "assumed": "assumed", "implied": "implied"}


def published_words(found: SideBySide, command: str = "") -> str:
    """The whole answer as text."""
    blocks = [
        headline(found),
        *(_table(each) for each in found.tables),
        *(_chain(each) for each in (() if found.tables else found.chains)),
        *(difference_words(each) for each in found.differences),
        *(_line("note", each) for each in found.remarks),
        _line("next", command or "eke allocate forecast --published NAME NAME"),
    ]
    return "\n".join(block for block in blocks if block) + "\n"


def headline(found: SideBySide) -> str:
    """How many forecasts, and where they disagree most."""
    theirs = [chain for chain in found.chains if not chain.id.startswith("eke:")]
    words = f"{len(theirs)} published forecasts in one vocabulary"
    if len(theirs) == 1:
        return f"{theirs[0].id} ({theirs[0].who}, {theirs[0].when}): {_most(theirs[0])}"
    every = [each.differences[0] for each in found.tables if each.differences]
    every += [each for each in found.differences if "eke:" not in each.one + each.other]
    widest = max(every, key=lambda each: max(each.ratio, 1 / each.ratio), default=None)
    if widest is None:
        return f"{words}; no quantity is common to two of them"
    ratio = max(widest.ratio, 1 / widest.ratio)
    hidden = f", most of it {widest.hidden}" if widest.hidden and not widest.untold else ""
    hidden = "" if widest.hidden == name(widest.quantity) else hidden
    return f"{words}; furthest apart in {name(widest.quantity)}, ×{number(ratio)}{hidden}"


def _most(chain: Chain) -> str:
    said = [each for each in chain.known.values() if each.mark == "stated"]
    implied = [each for each in chain.known.values() if each.mark == "implied"]
    return (
        f"{len(said)} figures stated, {len(implied)} implied, {len(chain.unknown)} cannot be known"
    )


def name(quantity: str) -> str:
    """A quantity as it is called."""
    return quantity.replace("_", " ")


def shown(quantity: str, value: float) -> str:
    """A value in the unit in which people read the quantity; what is counted, whole."""
    of = QUANTITIES[quantity]
    if not of.per:
        return show(round(value) if quantity in COUNTED and value >= 100 else value, of.unit, 4)
    return f"{show(value / of.scale, digits=4)} {of.per}"


def spanned(quantity: str, span: Span) -> str:
    """A value, with its ends where it has any."""
    likely = shown(quantity, span.likely)
    if span.low == span.high:
        return likely
    low, high = shown(quantity, span.low), shown(quantity, span.high)
    word = likely.partition(" ")[2]
    if word and low.endswith(f" {word}") and high.endswith(f" {word}"):
        low = low.removesuffix(f" {word}")
    return f"{likely} ({low} – {high})"


def row_cells(found: Table) -> list[tuple[str, ...]]:
    """Whose, by whom, when, the figure, how it compares, and whether it was said."""
    return [
        (
            row.id,
            row.who,
            row.when,
            spanned(found.quantity, row.value),
            f"×{number(row.ratio)}",
            MARKS[row.mark],
        )
        for row in found.rows
    ]


def _table(found: Table) -> str:
    rows = [(row[0], *row[2:]) for row in row_cells(found)]
    lines = [f"\n{found.title}", table(rows, ("forecast", "when", name(found.quantity), "", ""))]
    lines += [difference_words(each) for each in found.differences]
    lines += [_silent(each, lacks) for each, lacks in found.silent.items()]
    return "\n".join(lines)


def _silent(who: str, lacks: Sequence[str]) -> str:
    return _line("unknown", f"from {who}: it does not tell {_listed(lacks)}")


def _listed(names: Iterable[str], last: str = "or") -> str:
    words = [name(each) for each in names]
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def difference_words(found: Difference) -> str:
    """The same as a line of the answer."""
    return _line("apart", difference_text(found))


def difference_text(found: Difference) -> str:
    """ "a is ×11.2 b in …: this input × that input", or why that cannot be told."""
    about = f"{found.one} is ×{number(found.ratio)} {found.other} in {name(found.quantity)}"
    if found.untold:
        told = "; ".join(f"{who} does not tell {_listed(n)}" for who, n in found.untold.items())
        return f"{about}, and why cannot be known: {told}"
    if found.factors[0].names == (found.quantity,):
        return f"{about}: neither tells what it is made of"
    moved = [each for each in found.factors if abs(each.ratio - 1) > TOLD]
    same = [_plain(each) for each in found.factors if abs(each.ratio - 1) <= TOLD]
    words = [about]
    if moved:
        words[0] += " = " + " × ".join(map(_factor, moved)) + _hidden(moved[0], found)
    if same:
        words.append(f"the same {_listed(same, 'and')}")
    return "; ".join(words)


def _factor(found: Factor) -> str:
    together = " together" if len(found.names) > 1 else ""
    return f"{number(found.ratio)} ({factor_words(found.names)}{together})"


def _hidden(first: Factor, found: Difference) -> str:
    """Whether the input that explains most was told."""
    named = zip((found.one, found.other), first.marks, strict=True)
    silent = [who for who, mark in named if mark != "stated" and not who.startswith("eke:")]
    if not silent or len(first.names) > 1:
        return ""
    who = "neither tells" if len(silent) == 2 else f"{silent[0]} does not tell"
    return f", of which {who} the {_plain(first)}"


def _plain(found: Factor) -> str:
    """Its inputs, whether they multiply or divide."""
    return " and ".join(name(each).removeprefix("/ ") for each in found.names)


def number(value: float) -> str:
    """A ratio in three digits."""
    return f"{value:,.0f}" if value >= 99.5 else show(value, digits=3)


def _chain(found: Chain) -> str:
    """Everything known of one forecast, everything that is not, and where it contradicts itself."""
    rows = [
        (name(each.quantity), spanned(each.quantity, each.value), MARKS[each.mark], why_known(each))
        for each in found.known.values()
    ]
    lines = [f"\n{found.id}  {found.who}, {found.when}", table(rows, indent="  ")]
    lines += [_line("clash", each) for each in clash_texts(found)]
    agree = [each.quantity for each in found.clashes if abs(each.ratio - 1) <= TOLD]
    if agree:
        lines.append(_line("agrees", f"{_listed(agree, 'and')}, said as well, with the rest"))
    if found.unknown:
        lines.append(_line("unknown", unknown_text(found)))
    return "\n".join(lines)


def clash_texts(found: Chain) -> list[str]:
    """Where a forecast contradicts itself."""
    return [
        f"{name(each.quantity)} is said to be {shown(each.quantity, each.said)}; {each.how} gives "
        f"{shown(each.quantity, each.follows)}, ×{each.ratio:.4g}"
        for each in found.clashes
        if abs(each.ratio - 1) > TOLD
    ]


def unknown_text(found: Chain) -> str:
    """The inputs that are not told, and what therefore cannot be known."""
    inputs = sorted({each for lacks in found.unknown.values() for each in lacks})
    results = [each for each in found.unknown if each not in inputs]
    therefore = f"; so {_listed(results, 'and')} cannot be known" if results else ""
    return f"{_listed(inputs, 'and')} are not told and do not follow{therefore}"


def why_known(known: Known) -> str:
    """From which figures, or what is said of it."""
    return f"= {known.how}" if known.how else known.note


def _line(word: str, text: str) -> str:
    return wrap(f"  {word:<10} {text}", indent=" " * 13)
