"""The figures of a page: which charts a run, or several on the same traffic, are shown in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eke.report.charts import LABELS, Line, Mark, lines, over_durations, over_time, up
from eke.report.html import figure, table
from eke.report.run_words import POINTS, TIMES
from eke.simulation.curves import Level, cumulative, flows, running, waiting
from eke.simulation.series import Windows, windows
from eke.simulation.statistics import Summary
from eke.simulation.times import TIMES as DURATIONS
from eke.types.record import Record, replace
from eke.types.run import Run
from eke.units import show

WINDOWS = 160  # of a curve over time
FLOWS = 72  # of requests per second, which are rough in short windows
BLOCKS = 12  # rows of the table below one
FASTEST = 1e-9  # durations below are drawn as this [s]


class Drawn(Record):
    """A run that is drawn. number: of its colour.  at: its windows."""

    number: int
    name: str
    run: Run
    summary: Summary
    at: Windows

    @property
    def ink(self) -> str:
        """The classes of what is drawn of it."""
        return f"ink-{self.number} run-{self.number}"

    @property
    def time(self) -> Any:
        """Middle of each window since the first [s]."""
        return self.at.middles - self.at.start


def drawn(runs: Sequence[Run], summaries: Sequence[Summary], names: Sequence[str]) -> list[Drawn]:
    """The runs with their colours."""
    return [
        Drawn(number=i, name=names[i], run=run, summary=summary, at=windows(run, WINDOWS))
        for i, (run, summary) in enumerate(zip(runs, summaries, strict=True))
    ]


def length(shown: Sequence[Drawn]) -> float:
    """Of the longest run [s]."""
    return max(each.at.end - each.at.start for each in shown)


TITLES = {
    "ttft": ("First token", "share of requests whose first token came within this time"),
    "tpot": ("Per token", "share of answers written at this pace or faster"),
    "end_to_end": ("Whole answer", "share of answers complete within this time"),
}


def durations(shown: Sequence[Drawn]) -> list[str]:
    """Which share of requests took at most how long, one chart per duration."""
    return [
        _cumulative(shown, name) for name in TITLES if any(name in d.summary.times for d in shown)
    ]


def _cumulative(shown: Sequence[Drawn], name: str) -> str:
    title, about = TITLES[name]
    curves = [(each, *cumulative(DURATIONS[name](each.run.requests))) for each in shown]
    curves = [curve for curve in curves if len(curve[1])]
    low = max(min(float(np.quantile(x, 0.02)) for _, x, _ in curves), FASTEST)
    high = max(max(float(x[-1]) for _, x, _ in curves), low)
    made = [_rising(each, x, y, low) for each, x, y in curves]
    bound = getattr(shown[0].summary.promise, name, None)
    marks = [Mark(value=bound, words=f"promised {show(bound, 's')}")] if bound else []
    if marks:
        low, high = min(low, marks[0].value), max(high, marks[0].value)
    svg = lines(title, about, made, (over_durations(low, high), up(1.0, "%"), "share"), marks)
    return figure(title, about, svg, _percentiles(shown, name))


def _rising(each: Drawn, x: Any, y: Any, low: float) -> Line:
    """The curve from `low` on; from nothing where none of it is left out."""
    seen = x >= low
    if seen.all():
        x, y, seen = np.append(x[:1], x), np.append(0.0, y), np.append(True, seen)
    return Line(name=each.name, x=x[seen], y=y[seen], style=each.ink)


def _percentiles(shown: Sequence[Drawn], name: str) -> str:
    rows = [
        (each.name, *(show(getattr(each.summary.times[name], point), "s") for point in POINTS))
        for each in shown
        if name in each.summary.times
    ]
    return table(("", *POINTS), rows, f"percentiles: {TIMES[name]}")


def arrivals(shown: Sequence[Drawn]) -> list[str]:
    """What came, what was answered and what was refused, one chart per run at one scale."""
    at = [windows(each.run, FLOWS) for each in shown]
    rates = [flows(each.run, when) for each, when in zip(shown, at, strict=True)]
    most = max(float(values.max()) for rate in rates for values in rate.values())
    across = over_time(length(shown), LABELS)
    found = []
    for each, when, rate in zip(shown, at, rates, strict=True):
        lost = rate["stopped"] + rate["failed"]
        named = [("came", rate["arrived"], "ink-all"), ("answered", rate["finished"], each.ink)]
        named += [("refused", rate["refused"], "ink-bad")] if rate["refused"].any() else []
        named += [("lost", lost, "ink-lost")] if lost.any() else []
        x = when.middles - when.start
        made = [Line(name=name, x=x, y=y, style=ink) for name, y, ink in named]
        made[0] = replace(made[0], low=np.zeros(FLOWS), high=rate["arrived"])
        about = "requests per second that came and ended"
        title = f"Requests, {each.name}" if len(shown) > 1 else "Requests"
        svg = lines(title, about, made, (across, up(most), "requests/s"))
        numbers = over_blocks(when, [(name, y) for name, y, _ in named])
        found.append(figure(title, about, svg, numbers, f"run-{each.number}"))
    return found


def queues(shown: Sequence[Drawn]) -> list[str]:
    """How many wait and how many are being answered, all runs in one chart each."""
    waits = [waiting(each.run, each.at) for each in shown]
    runs = [running(each.run, each.at) for each in shown]
    return [
        _levels(shown, "Waiting", "not taken in yet", waits, True),
        _levels(shown, "Running", "being answered", runs, len(shown) == 1),
    ]


def _levels(
    shown: Sequence[Drawn], title: str, which: str, levels: Sequence[Level], ranges: bool
) -> str:
    """ranges: whether the least and the most are drawn too, as a band."""
    several = len(shown) > 1
    about = f"requests {which}: mean{' and range' if ranges else ''}"
    made = [
        Line(
            name=d.name,
            x=d.time,
            y=level.mean,
            style=f"{d.ink} among" if several else d.ink,
            low=level.low if ranges else None,
            high=level.high if ranges else None,
        )
        for d, level in zip(shown, levels, strict=True)
    ]
    most = max(float(level.high.max()) for level in levels)
    across = over_time(length(shown), LABELS if several else 12)
    svg = lines(title, about, made, (across, up(most), "requests"))
    series = [(d.name, level.mean) for d, level in zip(shown, levels, strict=True)]
    return figure(title, about, svg, over_blocks(shown[0].at, series))


def over_blocks(at: Windows, series: Sequence[tuple[str, Any]]) -> str:
    """Means over a dozen stretches of time, as a table."""
    starts = [float(part[0]) for part in np.array_split(at.middles - at.start, BLOCKS)]
    half = at.width / 2
    columns = [[float(np.nanmean(part)) for part in np.array_split(y, BLOCKS)] for _, y in series]
    rows = [
        (show(start - half, "s"), *(f"{column[i]:,.3g}" for column in columns))
        for i, start in enumerate(starts)
    ]
    return table(("from", *(name for name, _ in series)), rows, "means over time")
