"""The best division of a small problem in whole units, by branching and bounding."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocation.master import Master
from eke.allocation.problem import FOREVER, Flow, Problem
from eke.allocation.whole import Whole, add_waste, projects, whole_columns, whole_of
from eke.types.record import replace

FEW = 4_000  # columns of whole units up to which it is sought
FEWER = 300  # up to which it is sought where shares had to be fair, which is harder
NODES, SECONDS = 200_000, 20.0  # after which the best that was found has to do


def is_small(problem: Problem, fair: bool) -> bool:
    """Whether the search is likely to end soon."""
    _, periods, parts = problem.shape
    lines = [isinstance(line, Flow) and line.whole for line in problem.lines]
    return int(np.array(lines)[problem.options.line].sum()) * periods * parts <= (
        FEWER if fair else FEW
    )


def exact(master: Master, gap: float) -> Whole | None:
    """The best division, proven to within the gap or as far as the search came; None where it found
    none. The master's steps so far hold, softened; it gets every column there can be."""
    programme = master.programme
    master.add(*np.nonzero(master.works()))
    master.soften()
    whole = whole_columns(master)
    programme.whole(master.columns[whole])
    programme.whole(projects(master))
    waste = add_waste(master, whole, np.full(int(whole.sum()), np.inf))
    _only_of_units(master, whole, waste)
    if not programme.solve_whole(gap, NODES, SECONDS):
        return None
    return replace(whole_of(master, waste), bound=programme.bound)


def _only_of_units(master: Master, whole: Any, waste: Any) -> None:
    """No more work is wasted than the units of that option could do."""
    options, seconds = master.problem.options, master.problem.seconds
    columns, wasted = master.columns[whole], waste[whole]
    most = options.rate[master.option[whole]] * seconds[master.part[whole]]
    rows = master.programme.add_rows(-FOREVER, np.zeros(len(columns)))
    master.programme.entries(rows, wasted, 1.0)
    master.programme.entries(rows, columns, -most)
