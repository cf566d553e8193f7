"""Claims as a table, and the working of one."""

from __future__ import annotations

from itertools import zip_longest

from eke.claims.claim import Checked, Verdict, Worked
from eke.report.text import table, wrap, wrapped
from eke.report.words import spread
from eke.units import show


def claims_table(found: list[Verdict]) -> str:
    """One line a claim: who, what, verdict."""
    rows: list[tuple[str, ...]] = []
    for each in found:
        lines = wrapped(each.words, 72)
        titles = wrapped(each.claim.title, 46)
        number = [str(each.claim.number)]
        rows += list(zip_longest(number, titles, lines, fillvalue=""))
    counts = {kind: sum(v.verdict == kind for v in found) for kind in _KINDS}
    totals = ", ".join(
        f"{count} {words}"
        for (_, words), count in zip(_KINDS.items(), counts.values(), strict=True)
    )
    head = ("", "claim", "verdict")
    return f"{len(found)} claims: {totals}\n\n{table(rows, head, indent='')}\n"


_KINDS = {
    "reproduces": "reproduce",
    "off": "are off",
    "cannot be checked": "cannot be checked",
}


def claim_words(found: Verdict) -> str:
    """Who said it, the working step by step, quoted beside computed, the verdict."""
    claim = found.claim
    blocks = [
        wrap(f"{claim.number}. {claim.title}: {found.words}", indent="  "),
        wrap(
            f"  {claim.who}; {claim.where}, {claim.when}. Seen: {claim.seen or 'not'}.", indent="  "
        ),
        wrap(f"  {claim.says}", indent="  ") if claim.says else "",
        "\nWorking\n" + "\n".join(_step(each) for each in found.worked),
        "\nQuoted beside computed\n"
        + table([row for each in found.checked for row in _rows(each)], _HEAD),
        *(wrap(f"  note  {note}", indent=" " * 8) for note in claim.notes),
    ]
    return "\n".join(block for block in blocks if block) + "\n"


_HEAD = ("figure", "quoted", "computed", "verdict")


def _step(worked: Worked) -> str:
    value = spread(worked.span, worked.unit) if worked.span else _value(worked.value, worked.unit)
    hidden = " (hidden input)" if worked.step.hidden else ""
    note = f"  {worked.step.note}" if worked.step.note else ""
    how = "" if worked.how == worked.step.value else f"  = {worked.how}"
    return wrap(f"  {worked.step.name} {value}{hidden}{how}{note}", indent=" " * 6)


def _value(value: float, unit: str) -> str:
    if unit == "FLOP" and value >= 1e18:
        return f"{show(value, unit)} ({_days(value)})"
    return show(value, unit, 4)


def _cell(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return _days(value) if unit == "FLOP" and value >= 1e18 else show(value, unit, 5)


def _days(flop: float) -> str:
    days = flop / 86400e15
    return f"{days:,.{0 if days >= 10000 else 1}f} PF-days"


def _rows(checked: Checked) -> list[tuple[str, ...]]:
    unit = checked.unit
    quoted = _cell(checked.quoted, unit)
    computed = _cell(checked.computed, unit)
    words, names = wrapped(checked.words, 48), wrapped(checked.name, 30)
    return list(zip_longest(names, [quoted], [computed], words, fillvalue=""))
