"""What became of the requests of one run, or of several side by side, in words."""

from __future__ import annotations

from collections.abc import Sequence

from eke.report.compared import comparison, side_by_side
from eke.report.json import to_json
from eke.report.run_words import (
    NUMBERS,
    POINTS,
    TIMES,
    gap_words,
    headline,
    labels,
    percent,
    promise_words,
    refusal_words,
    shown,
)
from eke.report.text import table, wrap
from eke.simulation.groups import Group
from eke.simulation.statistics import Summary
from eke.types.record import Record
from eke.types.run import Run
from eke.units import show

TOLD = 8  # groups of requests told one by one
REASONS = 8  # why requests went unanswered
BEST = " *"


class Simulated(Record):
    """A run without its rows: what it was, what it rests on, and its numbers."""

    label: str
    source: str
    seed: int
    end: float
    facts: dict[str, float]
    remarks: tuple[str, ...]
    summary: Summary


def simulated_json(runs: Sequence[Run], summaries: Sequence[Summary]) -> str:
    """The answer as JSON: one record, or a list of them."""
    found = [
        Simulated(
            label=run.label,
            source=run.source,
            seed=run.seed,
            end=run.end,
            facts=run.facts,
            remarks=run.remarks,
            summary=summary,
        )
        for run, summary in zip(runs, summaries, strict=True)
    ]
    return to_json(found if len(found) > 1 else found[0])


def simulated_words(runs: Sequence[Run], summaries: Sequence[Summary], command: str = "") -> str:
    """The whole answer as text. command: what to do next."""
    if len(summaries) > 1:
        blocks = _several(summaries)
    else:
        one = summaries[0]
        blocks = [headline(one), *_outcomes(one), *_times(one), *_numbers(one)]
    blocks += [block for each in summaries for block in _groups(each, len(summaries) > 1)]
    blocks += [*_refusals(summaries), *_grounds(runs)]
    blocks += [wrap(f"  next       {command}", indent=" " * 13)] if command else []
    return "\n".join(blocks) + "\n"


def _outcomes(summary: Summary) -> list[str]:
    """How requests ended, and what was promised."""
    counts = [f"{count:,} {name}" for name, count in summary.counts.items() if count]
    found = [f"  requests   {', '.join(counts)}, in {show(summary.seconds, 's')}"] if counts else []
    promise = promise_words(summary)
    return [*found, wrap(f"  promises   {promise}", indent=" " * 13)] if promise else found


def _times(summary: Summary) -> list[str]:
    """Percentiles of every duration."""
    rows = [
        (words, *(show(getattr(summary.times[name], point), "s") for point in POINTS))
        for name, words in TIMES.items()
        if name in summary.times
    ]
    return ["", table(rows, head=("", *POINTS))] if rows else []


def _numbers(summary: Summary) -> list[str]:
    """Every single number and what it means."""
    rows = [
        (words, shown(name, number.value, number.unit), number.means)
        for name, (words, _) in NUMBERS.items()
        if (number := summary.numbers.get(name)) is not None
        and (summary.promised or name != "goodput")  # else it is the same as "requests"
    ]
    return ["", table(rows)] if rows else []


def _several(summaries: Sequence[Summary]) -> list[str]:
    """Runs side by side: who does best, then the table, its numbers to the right."""
    found = side_by_side(summaries)
    columns = [[row.cells[i] for row in found] for i in range(len(summaries))]
    widths = [max(map(len, cells)) for cells in columns]
    rows = [
        (row.name, *(_marked(*each) for each in zip(row.cells, row.best, widths, strict=True)))
        for row in found
    ]
    head = ("", *(label.rjust(wide) for label, wide in zip(labels(summaries), widths, strict=True)))
    return [comparison(summaries), "", table(rows, head=head), "  * best of its row"]


def _marked(cell: str, best: bool, wide: int) -> str:
    return cell.rjust(wide) + (BEST if best else "")


def _groups(summary: Summary, named: bool) -> list[str]:
    """Who waited: the tenants that asked most; of a run that stands alone, the kinds too."""
    label, found = f", {summary.label}" if named else "", []
    kinds = () if named else summary.kinds
    for title, groups in (("who waited", summary.tenants), ("by kind", kinds)):
        if len(groups) > 1:
            rows = [group_cells(each) for each in groups[:TOLD]]
            found.append(f"\n  {title}{label}\n{table(rows, head=GROUP_HEAD)}")
        if len(groups) > 1 and title == "who waited":
            left = summary.all_tenants - len(rows)
            found += [f"  … and {left:,} tenants more, who asked less"] if left > 0 else []
            gap = wrap(gap_words(summary), indent=" " * 13)
            found += [gap] if gap else []
    return found


GROUP_HEAD = (
    *("", "requests", "refused", "kept", "queue p50", "p99"),
    *("first token p50", "p99", "served"),
)


def group_cells(group: Group) -> tuple[str, ...]:
    """A group of requests as a row below GROUP_HEAD."""
    times = (group.queueing_p50, group.queueing_p99, group.ttft_p50, group.ttft_p99)
    return (
        group.name or "no name",
        f"{group.arrived:,}",
        percent(group.refused / group.arrived),
        "" if group.share_kept is None else percent(group.share_kept),
        *("" if time is None else show(time, "s") for time in times),
        percent(group.service / group.asked) if group.asked else "",
    )


def _refusals(summaries: Sequence[Summary]) -> list[str]:
    """Who was not answered and why."""
    found = []
    for each in summaries:
        label = f"{each.label}: " if len(summaries) > 1 else ""
        words = "; ".join(map(refusal_words, each.refusals[:REASONS]))
        found += [wrap(f"  unanswered {label}{words}", indent=" " * 13)] if words else []
    return ["", *found] if found else []


def _grounds(runs: Sequence[Run]) -> list[str]:
    """What the runs rest on: their source, seeds and remarks, each said once."""
    seeds = dict.fromkeys(f"{run.seed}" for run in runs)
    source = ", ".join(dict.fromkeys(run.source for run in runs))
    remarks = dict.fromkeys(remark for run in runs for remark in run.remarks)
    seed = f", seed {', '.join(seeds)}" if "simulated" in source else ""
    return [
        *("", f"  grounds    {source}{seed}"),
        *(wrap(f"  note       {remark}", indent=" " * 13) for remark in remarks),
    ]
