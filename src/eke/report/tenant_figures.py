"""Figures of those who asked: who waited, and who was not answered and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eke.report.axes import linear, logarithmic
from eke.report.charts import WIDE, short
from eke.report.figures import Drawn, length
from eke.report.html import LONGEST, figure, key, table
from eke.report.run_words import percent
from eke.report.shapes import Dot, dots, stacked
from eke.report.simulated import GROUP_HEAD, group_cells
from eke.simulation.curves import refusals
from eke.simulation.groups import Group
from eke.simulation.series import windows
from eke.types.record import Record
from eke.units import show

REASONS = 5
OTHERS = "other reasons"
COLUMNS = 80  # of a chart of refusals
ROWS = 16  # tenants or kinds
ALL = 0.9995  # of what was asked, which is told as all
NAMES = 96  # room for the names [pixels]


class Table(Record):
    """Groups of requests by run. what: "tenants" or "kinds".  found: by group and run."""

    what: str
    runs: tuple[Drawn, ...]
    names: tuple[str, ...]
    found: tuple[tuple[Group | None, ...], ...]


def waits(runs: Sequence[Drawn]) -> list[str]:
    """Who waited and who was served in full: a row per tenant or kind, a dot per run."""
    found = []
    for what in ("tenants", "kinds"):
        names = tuple(group.name for group in getattr(runs[0].summary, what)[:ROWS])
        rows = tuple(tuple(_named(getattr(d.summary, what), name) for d in runs) for name in names)
        each = Table(what=what, runs=tuple(runs), names=names, found=rows)
        groups = [group for row in rows for group in row if group is not None]
        if any(group.queueing_p99 is not None for group in groups):
            found.append(_waited(each))
        if any(group.service < ALL * group.asked for group in groups):
            found.append(_served(each))
    return found


def _named(groups: Sequence[Group], name: str) -> Group | None:
    return next((group for group in groups if group.name == name), None)


def _waited(of: Table) -> str:
    title = f"Time in the queue, {of.what}"
    about = "from p50 to the dot at p99; the left edge is next to none"
    tails = [g.queueing_p99 for row in of.found for g in row if g and g.queueing_p99]
    most = max(tails, default=1.0)
    x = logarithmic(max(min(tails, default=1.0) / 30, most / 1e5), most, NAMES, WIDE - 12)

    def dot(each: Drawn, group: Group) -> Dot | None:
        if group.queueing_p50 is None or group.queueing_p99 is None:
            return None
        p50, p99 = group.queueing_p50, group.queueing_p99
        told = (
            f"{short(group.name, LONGEST)}, {each.name}: p50 {show(p50, 's')}, p99 {show(p99, 's')}"
        )
        return Dot(value=p99, low=p50, style=each.ink, told=told)

    svg = dots(title, about, _rows(of, dot), x, "logarithmic")
    return figure(title, about, svg, _numbers(of))


def _served(of: Table) -> str:
    title, about = f"Share served, {of.what}", "of the tokens they asked for, those they got"

    def dot(each: Drawn, group: Group) -> Dot | None:
        if not group.asked:
            return None
        share = group.service / group.asked
        told = f"{short(group.name, LONGEST)}, {each.name}: {percent(share)}"
        return Dot(value=share, style=each.ink, told=told)

    svg = dots(title, about, _rows(of, dot), linear(1.0, NAMES, WIDE - 20, "%"), "")
    return figure(title, about, svg, _numbers(of))


def _rows(of: Table, dot: Callable[[Drawn, Group], Dot | None]) -> list[tuple[str, list[Dot]]]:
    """A name and its dots for every group."""
    rows = []
    for name, groups in zip(of.names, of.found, strict=True):
        pairs = zip(of.runs, groups, strict=True)
        made = [dot(each, group) for each, group in pairs if group is not None]
        rows.append((name or "no name", [each for each in made if each is not None]))
    return rows


def _numbers(of: Table) -> str:
    """What each group got, run by run."""
    rows = [
        (name or "no name", each.name, *group_cells(group)[1:])
        for name, groups in zip(of.names, of.found, strict=True)
        for each, group in zip(of.runs, groups, strict=True)
        if group is not None
    ]
    return table(("", "run", *GROUP_HEAD[1:]), rows, f"what {of.what} got")


def unanswered(runs: Sequence[Drawn]) -> list[str]:
    """Who was refused and why, one chart per run, all at one scale and in the same colours."""
    counts = [refusals(each.run, windows(each.run, COLUMNS)) for each in runs]
    reasons = _most_frequent(counts)
    stacks = [_merged(each, reasons) for each in counts]
    most = max(float(of.sum(axis=0).max()) for of in stacks)
    found = []
    for each, of in zip(runs, stacks, strict=True):
        if not of.any():
            continue
        title = f"Not answered, {each.name}" if len(runs) > 1 else "Not answered"
        wide = show(windows(each.run, COLUMNS).width, "s")
        about = f"requests refused, stopped or lost in each {wide}"
        svg = stacked(title, about, of, reasons, length([each]), most)
        rows = [(r.reason or "no reason", r.outcome, f"{r.count:,}") for r in each.summary.refusals]
        numbers = table(("reason", "outcome", "requests"), rows[:20], about)
        told = {i: name for i, name in enumerate(reasons) if of[i].any()}
        found.append(figure(title, about, svg, numbers, f"run-{each.number}", key(told)))
    return found


def _most_frequent(counts: Sequence[dict[str, Any]]) -> list[str]:
    """Reasons of all runs, the most frequent first; beyond REASONS, the last is all others."""
    totals: Counter[str] = Counter()
    for each in counts:
        totals.update({name: float(of.sum()) for name, of in each.items()})
    names = [name for name, _ in totals.most_common()]
    return names if len(names) <= REASONS else [*names[: REASONS - 1], OTHERS]


def _merged(counts: dict[str, Any], reasons: Sequence[str]) -> Any:
    """Counts by reason and window; reasons that are not told are added to the last."""
    found = np.zeros((max(len(reasons), 1), COLUMNS))
    for name, of in counts.items():
        found[reasons.index(name) if name in reasons else -1] += of
    return found
