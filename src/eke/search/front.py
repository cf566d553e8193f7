"""Plans that no other beats in every one of two or three measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eke.physics.answer import outcome
from eke.search.best import Found, Progress
from eke.search.block import Apart, blocks
from eke.search.heap import keep_freed_memory
from eke.search.limits import figure
from eke.search.place import Place
from eke.search.priced import Candidate, Priced, nearer
from eke.search.tally import Tally
from eke.types.goal import Front, Goal, Point, figure_of
from eke.types.job import Job

NEAR = 0.01  # points closer than this in every measure are shown once


def front(
    jobs: Sequence[Job],
    places: Sequence[Place],
    goal: Goal,
    measures: tuple[str, ...],
    apart: Apart,
    progress: Progress | None = None,
) -> Front | Found:
    """The Pareto front of all feasible plans; what a search found out where none is feasible.

    No bound rules a plan out here but memory and throughput, since any may be best in something.
    """
    keep_freed_memory()
    tally = Tally("")
    units: dict[str, str] = {}
    nearest: Candidate | None = None
    kept: list[tuple[Candidate, tuple[float, ...]]] = []
    almost: dict[str, list[Candidate]] = {}
    for job in jobs:
        for block in blocks(job, places, tally, apart):
            result = outcome(block.job, block.plans, block.fleet, block.knobs)
            units |= {amount.name: amount.unit for amount in result.amounts}
            priced = Priced(block, goal, result)
            missed = priced.missed.sum(axis=0)
            tally.saw(len(missed), np.inf)
            values = np.array(
                [priced.flat(figure(priced.figures, name, block.place)) for name in measures]
            )
            index = np.flatnonzero(missed == 0)
            index = index[pareto(values[:, index])]
            kept += [(priced.keep(i), tuple(values[:, i].tolist())) for i in index]
            kept = _unbeaten(kept)
            if not kept and len(missed):
                nearest = nearer(nearest, priced.nearest())
                for name, some in priced.almost(missed).items():
                    almost[name] = almost.get(name, []) + some
            if progress is not None:
                progress(tally.considered, min((row[0].value for row in kept), default=np.inf))
    if not kept:
        return Found(
            best=[],
            almost=almost,
            nearest=nearest,
            considered=tally.considered,
            priced=tally.priced,
        )
    return Front(
        measures=measures,
        units=tuple(units[figure_of(name)] for name in measures),
        points=tuple(Point(plan=each.plan, values=values) for each, values in _apart(kept)),
        considered=tally.considered,
        priced=tally.priced,
    )


Rows = list[tuple[Candidate, tuple[float, ...]]]


def _unbeaten(kept: Rows) -> Rows:
    if not kept:
        return []
    values = np.array([values for _, values in kept]).T
    return [kept[i] for i in pareto(values)]


def _apart(kept: Rows) -> Rows:
    """One of points that lie almost together."""
    found: Rows = []
    for row in sorted(kept, key=lambda row: row[1]):
        if not any(
            all(abs(a / b - 1) < NEAR for a, b in zip(row[1], other[1], strict=True))
            for other in found
        ):
            found.append(row)
    return found


def pareto(values: Any) -> Any:
    """Indices of the columns that no other column beats or equals in every row, by the first row.

    values: measures × plans, less is better.
    """
    values = np.round(np.log(np.maximum(values, 1e-300)), 9)  # beyond that they are equal
    order = np.lexsort(values[::-1])
    ranked, kept = values[:, order], []
    if len(values) == 2:
        lowest = np.minimum.accumulate(ranked[1])
        first = np.r_[True, ranked[1][1:] < lowest[:-1]] if ranked.shape[1] else []
        return order[np.flatnonzero(first)]
    alive = np.arange(ranked.shape[1])
    while len(alive):
        first, alive = alive[0], alive[1:]
        kept.append(first)
        alive = alive[(ranked[:, alive] < ranked[:, [first]]).any(axis=0)]
    return order[np.array(kept, dtype=int)]
