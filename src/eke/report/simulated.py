"""What became of the requests of one run, or of several side by side, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eke.report.json import to_json
from eke.report.text import table, wrap
from eke.simulation.fairness import ANSWER_WEIGHT, PROMPT_WEIGHT
from eke.simulation.groups import Group
from eke.simulation.statistics import Percentiles, Refusal, Summary
from eke.types.record import Record
from eke.types.run import Run
from eke.units import show

TOLD = 8  # groups of requests told one by one
REASONS = 8  # why requests went unanswered
TIMES = {
    "ttft": "first token",
    "tpot": "per token",
    "end_to_end": "whole answer",
    "queueing": "in the queue",
}
POINTS = ("mean", "p10", "p50", "p90", "p95", "p99", "max")
# Numbers as people call them, and whether more of it is better; None where it is neither.
NUMBERS: dict[str, tuple[str, bool | None]] = {
    "share_kept": ("kept", True),
    "goodput": ("requests as promised", True),
    "requests": ("requests answered", True),
    "tokens": ("tokens of answers", True),
    "prompt_tokens": ("tokens of prompts", True),
    "utilisation": ("busy", None),
    "cache_mean": ("cache held, mean", None),
    "cache_most": ("cache held, at most", None),
    "reuse": ("prompts from the cache", True),
    "preempted": ("places lost per request", False),
    "cost": ("cost", False),
    "cost_per_request": ("cost per request", False),
    "cost_per_million_tokens": ("cost per million tokens", False),
    "cost_per_million_answer_tokens": ("the same, of answers alone", False),
    "energy": ("energy", False),
    "energy_per_request": ("energy per request", False),
    "energy_per_token": ("energy per token", False),
    "jain": ("evenness of service", True),
    "jain_of_asked": ("evenness of the share served", True),
    "service_gap": ("widest gap in service", False),
}
SHARES = ("share_kept", "utilisation", "cache_mean", "cache_most", "reuse")
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
    blocks += [f"  next       {command}"] if command else []
    return "\n".join(blocks) + "\n"


def headline(summary: Summary) -> str:
    """Line one: the answer with its unit."""
    if not summary.arrived:
        return "no request came"
    words = [f"{share_words(summary)}{' as promised' if summary.promised else ''}"]
    ttft, tpot = summary.times.get("ttft"), summary.times.get("tpot")
    if ttft is not None:
        tail = f", {show(ttft.p99, 's')} (p99)" if ttft.count > 1 else ""
        words.append(f"first token {show(ttft.p50, 's')}{' (p50)' if tail else ''}{tail}")
    if tpot is not None:
        words.append(f"{show(tpot.p50, 's')} per token")
    cost = summary.numbers.get("cost_per_million_tokens")
    if cost is not None:
        words.append(f"{show(cost.value, 'USD')} per million tokens")
    return words[0] + (": " if words[1:] else "") + ", ".join(words[1:])


def share_words(summary: Summary) -> str:
    """ "99.1 % of 71,890 requests were answered"."""
    if "share_kept" not in summary.numbers:
        return f"none of {_requests(summary.arrived)} is decided yet, whether answered"
    verb = "was" if summary.arrived == 1 else "were"
    return f"{answered(summary)} of {_requests(summary.arrived)} {verb} answered"


def answered(summary: Summary) -> str:
    """The share that got what was promised, never rounded to all or nobody."""
    share = summary.numbers.get("share_kept")
    return "" if share is None else percent(share.value)


def percent(share: float) -> str:
    """A share as people read it: 99.97 %, and 100 % only for all."""
    near = min(share, 1 - share)
    places = 1 if near == 0 or near >= 0.0005 else 2 if near >= 0.00005 else 4
    words = f"{100 * share:.{places}f}"
    return f"{words.rstrip('0').rstrip('.') if near == 0 else words} %"


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"


def shown(name: str, value: float, unit: str) -> str:
    """A number in the unit it is read in."""
    if name in SHARES:
        return percent(value)
    if unit.startswith("USD"):
        return show(value, "USD")
    if unit == "token":
        return show(float(round(value)), unit)
    return show(value, unit)


def _outcomes(summary: Summary) -> list[str]:
    """How requests ended, and what was promised."""
    counts = [f"{count:,} {name}" for name, count in summary.counts.items() if count]
    found = [f"  requests   {', '.join(counts)}, in {show(summary.seconds, 's')}"] if counts else []
    promise = promise_words(summary)
    return [*found, wrap(f"  promises   {promise}", indent=" " * 13)] if promise else found


def promise_words(summary: Summary) -> str:
    """What was promised, how many got it, and how many are undecided."""
    if not summary.promised:
        return ""
    words, promise = [], summary.promise
    if promise.ttft is not None:
        words.append(f"first token within {show(promise.ttft, 's')}")
    if promise.tpot is not None:
        words.append(f"{show(promise.tpot, 's')} per token at most")
    usual = " and ".join(words) or "what each request carries"
    late = f", {summary.undecided:,} in flight and not late" if summary.undecided else ""
    return f"{usual}: kept to {summary.kept:,}{late}"


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


def labels(summaries: Sequence[Summary]) -> list[str]:
    """What runs are called; numbered where one has no name."""
    return [each.label or f"run {i + 1}" for i, each in enumerate(summaries)]


def comparison(summaries: Sequence[Summary]) -> str:
    """Line one of several: which kept most, and how the others did."""
    known = [each for each in summaries if "share_kept" in each.numbers]
    if not known:
        return "no request came, or none was decided"
    ranked = sorted(known, key=lambda each: -each.numbers["share_kept"].value)
    first, *others = ranked
    words = "answers as promised" if first.promised else "answers"
    rest = ", ".join(f"{each.label} {answered(each)}" for each in others)
    even = {answered(each) for each in ranked} == {answered(first)}
    if even and others:
        labels = ", ".join(each.label for each in summaries)
        return f"{labels}: each {words} {answered(first)} of {_requests(first.arrived)}"
    after = f"; {rest}" if rest else ""
    return f"{first.label} {words} {answered(first)} of {_requests(first.arrived)}{after}"


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


def gap_words(summary: Summary) -> str:
    """Between whom the gap in service was widest."""
    gap = summary.numbers.get("service_gap")
    if gap is None:
        return ""
    return (
        f"  gap        {shown('service_gap', gap.value, gap.unit)}: the most that "
        f"{summary.ahead or 'one'} got over {summary.behind or 'another'} while both waited "
        f"(tokens of prompts ×{PROMPT_WEIGHT:g}, of answers ×{ANSWER_WEIGHT:g})"
    )


def _refusals(summaries: Sequence[Summary]) -> list[str]:
    """Who was not answered and why."""
    found = []
    for each in summaries:
        label = f"{each.label}: " if len(summaries) > 1 else ""
        words = "; ".join(map(refusal_words, each.refusals[:REASONS]))
        found += [wrap(f"  unanswered {label}{words}", indent=" " * 13)] if words else []
    return ["", *found] if found else []


def refusal_words(refusal: Refusal) -> str:
    """ "12 refused, queue is full"."""
    return f"{refusal.count:,} {refusal.outcome}, {refusal.reason or 'no reason given'}"


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
