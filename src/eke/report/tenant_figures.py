"""Figures of those who asked: who waited, and who was not answered and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eke.report.axes import Axis, linear, logarithmic
from eke.report.charts import WIDE
from eke.report.figures import Drawn, length
from eke.report.html import figure, key, table
from eke.report.run_words import percent
from eke.report.shapes import Dot, dots, stacked
from eke.report.simulated import GROUP_HEAD, group_cells
from eke.simulation.curves import refusals
from eke.simulation.groups import Group
from eke.simulation.series import windows
from eke.units import show

REASONS = 5
TENANTS = 16
ALL = 0.9995  # of what was asked, which is told as all
NAMES = 96  # room for the names of tenants [pixels]


def tenants(all_runs: Sequence[Drawn]) -> list[str]:
    """Who waited: a row per tenant, a dot per run."""
    names = [group.name for group in all_runs[0].summary.tenants[:TENANTS]]
    if len(names) < 2:
        return []
    found = [[_named(each.summary.tenants, name) for each in all_runs] for name in names]
    waited = any(group and group.queueing_p99 is not None for row in found for group in row)
    waits = [_waits(all_runs, names, found)] if waited else []
    short_of = any(group and group.service < ALL * group.asked for row in found for group in row)
    return [*waits, *([_served(all_runs, names, found)] if short_of else [])]


def _named(groups: Sequence[Group], name: str) -> Group | None:
    return next((group for group in groups if group.name == name), None)


Found = Sequence[Sequence[Group | None]]  # by tenant and run


def _waits(all_runs: Sequence[Drawn], names: Sequence[str], found: Found) -> str:
    title, about = "Time in the queue", "from p50 to the dot at p99; the left edge is next to none"
    tails = [g.queueing_p99 for row in found for g in row if g and g.queueing_p99]
    most = max(tails, default=1.0)
    least = max(min(tails, default=1.0) / 30, most / 1e5)
    x = logarithmic(least, most, NAMES, WIDE - 12)

    def dot(each: Drawn, group: Group | None) -> Dot | None:
        if group is None or group.queueing_p50 is None or group.queueing_p99 is None:
            return None
        p50, p99 = group.queueing_p50, group.queueing_p99
        told = f"{group.name}, {each.name}: p50 {show(p50, 's')}, p99 {show(p99, 's')}"
        return Dot(value=p99, low=p50, style=each.ink, told=told)

    svg = dots(title, about, _rows(all_runs, names, found, dot), x, "logarithmic")
    return figure(title, about, svg, _groups(all_runs))


def _served(all_runs: Sequence[Drawn], names: Sequence[str], found: Found) -> str:
    title, about = "Share served", "of the tokens each tenant asked for, those it got"
    x: Axis = linear(1.0, NAMES, WIDE - 20, "%")

    def dot(each: Drawn, group: Group | None) -> Dot | None:
        if group is None or not group.asked:
            return None
        share = group.service / group.asked
        return Dot(value=share, style=each.ink, told=f"{group.name}, {each.name}: {percent(share)}")

    svg = dots(title, about, _rows(all_runs, names, found, dot), x, "")
    return figure(title, about, svg, _groups(all_runs))


def _rows(
    all_runs: Sequence[Drawn],
    names: Sequence[str],
    found: Found,
    dot: Callable[[Drawn, Group | None], Dot | None],
) -> list[tuple[str, list[Dot]]]:
    rows = []
    for name, groups in zip(names, found, strict=True):
        made = [dot(each, group) for each, group in zip(all_runs, groups, strict=True)]
        rows.append((name or "no name", [each for each in made if each is not None]))
    return rows


def _groups(all_runs: Sequence[Drawn]) -> str:
    """What each tenant got, run by run."""
    rows = [
        (group.name or "no name", each.name, *group_cells(group)[1:])
        for each in all_runs
        for group in each.summary.tenants[:TENANTS]
    ]
    return table(("tenant", "run", *GROUP_HEAD[1:]), rows, "what each tenant got")


def unanswered(all_runs: Sequence[Drawn]) -> list[str]:
    """Who was refused and why, over time, one chart per run at one scale."""
    counts = [refusals(each.run, windows(each.run, 80), REASONS) for each in all_runs]
    most = max((float(of.sum(axis=0).max()) for _, of in counts if len(of)), default=0.0)
    found = []
    for each, (reasons, of) in zip(all_runs, counts, strict=True):
        if not len(of):
            continue
        title = f"Not answered, {each.name}" if len(all_runs) > 1 else "Not answered"
        about = (
            f"requests refused, stopped or lost in each {show(windows(each.run, 80).width, 's')}"
        )
        svg = stacked(title, about, of, reasons, length([each]), most)
        rows = [(r.reason or "no reason", r.outcome, f"{r.count:,}") for r in each.summary.refusals]
        numbers = table(("reason", "outcome", "requests"), rows[:20], about)
        found.append(figure(title, about, svg, numbers, f"run-{each.number}", key(reasons)))
    return found
