"""Several runs on the same traffic side by side, and which is best at what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eke.report.run_words import NUMBERS, TIMES, answered, labels, requests_words, shown
from eke.simulation.statistics import Percentiles, Summary
from eke.types.record import Record
from eke.units import show

FIRST = 4  # runs named in line one beside the best


class Row(Record):
    """A row of several runs side by side. cells: of each run, as text.  best: which are."""

    name: str
    cells: tuple[str, ...]
    best: tuple[bool, ...]


def side_by_side(summaries: Sequence[Summary]) -> list[Row]:
    """What several runs have in common to compare, the best of each row known."""
    found = [_row("arrived", [each.arrived for each in summaries], _whole, None)]
    for outcome in summaries[0].counts:
        counts = [each.counts[outcome] for each in summaries]
        more = {"waiting": None, "running": None, "finished": True}.get(outcome, False)
        found += [_row(outcome, counts, _whole, more)] if any(counts) else []
    for name, words in TIMES.items():
        for point in ("p50", "p90", "p99"):
            values = [_point(each.times.get(name), point) for each in summaries]
            found.append(_row(f"{words}, {point}", values, lambda x: show(x, "s"), False))
    for name, (words, more) in NUMBERS.items():
        numbers = [each.numbers.get(name) for each in summaries]
        unit = next((number.unit for number in numbers if number is not None), "")
        values = [None if number is None else number.value for number in numbers]
        found.append(_row(words, values, lambda x, n=name, u=unit: shown(n, x, u), more))
    return [row for row in found if any(row.cells)]


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _point(times: Percentiles | None, point: str) -> float | None:
    return None if times is None else float(getattr(times, point))


def _row(name: str, values: Sequence[float | None], words: Any, more: bool | None) -> Row:
    """One row. more: whether more is better; None where nothing is."""
    known = [value for value in values if value is not None]
    best = (max if more else min)(known) if known and more is not None else None
    cells = tuple("" if value is None else str(words(value)) for value in values)
    told = "" if best is None or len(set(cells) - {""}) < 2 else str(words(best))
    return Row(name=name, cells=cells, best=tuple(cell == told != "" for cell in cells))


def comparison(summaries: Sequence[Summary]) -> str:
    """Line one of several: which kept most, and how the others did."""
    named = zip(labels(summaries), summaries, strict=True)
    known = [(name, each) for name, each in named if "share_kept" in each.numbers]
    if not known:
        return "no request came, or none was decided"
    known.sort(key=lambda pair: -pair[1].numbers["share_kept"].value)
    (best, first), *others = known
    verb = "answers as promised" if first.promised else "answers"
    count = f"{answered(first)} of {requests_words(first.arrived)}"
    if others and all(answered(each) == answered(first) for _, each in others):
        return f"{', '.join(name for name, _ in known)}: each {verb} {count}"
    rest = [f"{name} {answered(each)}" for name, each in others[:FIRST]]
    more = len(others) - len(rest)
    after = f"; {', '.join(rest)}{f' and {more} more' if more else ''}" if rest else ""
    return f"{best} {verb} {count}{after}"
