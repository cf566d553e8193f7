"""Figures of the engines: how full they were, and what it all took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eke.report.charts import LABELS, Line, lines, over_time, up
from eke.report.figures import Drawn, length
from eke.report.html import figure, table
from eke.report.run_words import percent, shown
from eke.report.shapes import bars, heat
from eke.simulation.curves import occupancy
from eke.simulation.series import windows

ROWS = 64  # bands of replicas
CELLS = 24_000  # of all heat maps together, so that the page stays small


def engines(all_runs: Sequence[Drawn]) -> list[str]:
    """How full the caches are: means of all runs, and every replica of each."""
    columns = min(96, CELLS // (ROWS * len(all_runs)))
    maps = [occupancy(each.run, windows(each.run, columns), ROWS) for each in all_runs]
    known = [(each, cells) for each, cells in zip(all_runs, maps, strict=True) if len(cells)]
    if not known:
        return []
    return [
        _mean_cache(known, all_runs),
        *(_cache(each, cells, len(all_runs) > 1) for each, cells in known if len(cells) > 1),
    ]


def _mean_cache(known: Sequence[tuple[Drawn, Any]], all_runs: Sequence[Drawn]) -> str:
    several = len(all_runs) > 1
    about = f"held by running sequences, mean{'' if several else ' and range'} of the replicas"
    made = [_mean_line(each, cells, several) for each, cells in known]
    across = over_time(length(all_runs), LABELS if several else 12)
    svg = lines("Cache held", about, made, (across, up(1.0, "%"), "of the cache"))
    names = ("cache_mean", "cache_most", "utilisation")
    rows = [
        (
            each.name,
            *(
                percent(number.value) if (number := each.summary.numbers.get(name)) else ""
                for name in names
            ),
        )
        for each, _ in known
    ]
    return figure("Cache held", about, svg, table(("", "mean", "at most", "busy"), rows, about))


def _mean_line(each: Drawn, cells: Any, several: bool) -> Line:
    """The mean of the replicas; of a run that stands alone, their range too."""
    there = ~np.isnan(cells).all(axis=0)
    at, cells = windows(each.run, cells.shape[1]), cells[:, there]
    return Line(
        name=each.name,
        x=(at.middles - at.start)[there],
        y=np.nanmean(cells, axis=0),
        style=each.ink,
        low=None if several else np.nanmin(cells, axis=0),
        high=None if several else np.nanmax(cells, axis=0),
    )


def _cache(each: Drawn, cells: Any, several: bool) -> str:
    count = len(np.unique(each.run.timeline["replica"]))
    per = "" if count <= ROWS else f", {ROWS} bands of {count:,} replicas"
    title = f"Replicas, {each.name}" if several else "Replicas"
    about = f"cache held by each replica at its fullest{per}"
    svg = heat(title, about, cells, ("replica 0", f"{count - 1}"), length([each]))
    told = min(len(cells), 64)
    rows = [
        (
            f"{i * count // len(cells)}",
            percent(_of(np.mean, cells[i])),
            percent(_of(np.max, cells[i])),
        )
        for i in range(told)
    ]
    numbers = table(("replica", "mean", "at most"), rows, about)
    return figure(title, about, svg, numbers, f"ink-{each.number} run-{each.number}")


def _of(what: Callable[[Any], Any], values: Any) -> float:
    """Of the values there are; 0 for none."""
    known = values[~np.isnan(values)]
    return float(what(known)) if len(known) else 0.0


SPENT = (
    ("cost_per_million_tokens", "Money", "USD per million tokens of prompt and answer"),
    ("energy_per_token", "Energy", "per token of answer"),
    ("utilisation", "Busy", "share of the time the replicas had work to do"),
)


def spent(all_runs: Sequence[Drawn]) -> list[str]:
    """What each run cost, side by side; nothing for one alone, whose numbers are in the table."""
    found = []
    for name, title, about in SPENT if len(all_runs) > 1 else ():
        numbers = [(each, each.summary.numbers.get(name)) for each in all_runs]
        rows = [
            (each.name, number.value, shown(name, number.value, number.unit), each.ink)
            for each, number in numbers
            if number is not None
        ]
        if rows:
            cells = [(row[0], row[2]) for row in rows]
            svg = bars(title, about, rows)
            found.append(figure(title, about, svg, table(("", title), cells, about)))
    return found
