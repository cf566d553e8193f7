"""Finalists before real traffic, in words: where the closed form was too kind."""

from __future__ import annotations

from eke.checking import Check, Checked, Seen
from eke.report.text import table, wrap
from eke.report.words import plan_words
from eke.units import show

KIND = 1.25  # the closed form was too kind where the simulation takes longer by this factor


def checked_words(found: Check) -> str:
    """The finalists as a table, and what follows from it."""
    asks = (
        f"{found.requests:,} requests, {found.rate:.3g}/s at the peak, {found.prompt:,.0f} + "
        f"{found.answer:,.0f} tokens on average, under {found.policy}"
    )
    head = ("", "figure", "closed form", "simulated", "factor", "promised", "")
    rows = [row for number, each in enumerate(found.finalists) for row in _rows(number, each)]
    lines = [
        wrap(f"  check      {found.traffic}: {asks}", indent=" " * 13),
        table(rows, head, indent="  "),
        *(
            wrap(f"  {_mark(n)}          {plan_words(f.plan)}", indent=" " * 13)
            for n, f in enumerate(found.finalists)
        ),
        wrap(f"  check      {_verdict(found)}", indent=" " * 13),
        *(wrap(f"  note       {remark}", indent=" " * 13) for remark in found.remarks),
    ]
    return "\n".join(lines) + "\n"


def _mark(number: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[number]


def _rows(number: int, each: Checked) -> list[tuple[str, ...]]:
    rows = [_row(seen) for seen in each.seen]
    rows.append(("load at the peak", f"{each.load:.0%}", "", "", "", ""))
    rows.append(("engines at work", "", f"{each.busy:.0%}", "", "", ""))
    if each.reused > 0:
        rows.append(("from the cache", "given", f"{each.reused:.0%}", "", "", ""))
    if each.answered < 1:
        rows.append(("answered", "", f"{each.answered:.2%}", "", "", "not all"))
    return [(_mark(number) if i == 0 else "", *row) for i, row in enumerate(rows)]


def _row(seen: Seen) -> tuple[str, ...]:
    names = {"ttft": "first token", "tpot": "per token"}
    which = f"p{100 * seen.percentile:g}" if seen.percentile else "mean"
    limit = "" if seen.limit is None else show(seen.limit, "s")
    said = "" if seen.limit is None else ("kept" if seen.kept else "missed")
    closed, simulated = show(seen.closed, "s"), show(seen.simulated, "s")
    return f"{names[seen.name]}, {which}", closed, simulated, f"×{seen.factor:.2f}", limit, said


def _verdict(found: Check) -> str:
    """What the simulation says of the choice."""
    first, *others = found.finalists
    kind = max(first.seen, key=lambda seen: seen.factor, default=None)
    words = []
    if kind is not None and kind.factor > KIND:
        which = f"p{100 * kind.percentile:g}" if kind.percentile else "mean"
        words.append(
            f"the closed form was too kind to the chosen plan, by ×{kind.factor:.3g} in "
            f"{kind.name} ({which})"
        )
    else:
        words.append("the closed form was not too kind to the chosen plan")
    if first.kept:
        words.append("it keeps what is promised")
    elif better := next((i for i, f in enumerate(others, start=1) if f.kept), None):
        words.append(f"it does not keep what is promised, but {_mark(better)} does")
    else:
        words.append("neither it nor any rival keeps what is promised")
    return "; ".join(words)
