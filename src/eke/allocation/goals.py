"""What a division is to make best: the most value, the least cost, or the fairest shares."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocation.master import Aim, Master
from eke.allocation.problem import FOREVER
from eke.allocation.programme import NONE
from eke.allocation.relaxed import Progress, Relaxed, relax
from eke.types.provider import Wanted

FAIR: tuple[Wanted, ...] = ("max-min", "proportional")  # goals of shares, not of money
SLACK = 1e-7  # share by which what an earlier step has reached may be missed
ROUNDS = 60  # of raising the lowest shares; what is left then shares by value
POINTS = 48  # at which the logarithm is touched by lines
TOUCHES, CLOSE = 30, 1e-6  # times more lines are laid, until logarithms are met so well
SMALLEST = 1e-4  # share of what a use asks for below which proportions do not count


def pursue(master: Master, goal: Wanted, told: Progress | None = None) -> list[Relaxed] | None:
    """The optimum of the goal where units may be split, step by step; None where there is none.

    Of several classes of priority there is a step each, whose worth the later ones keep. Shares are
    made fair first, and what they leave open is then decided by value.
    """
    if goal == "cost":
        nothing, all_ = np.zeros(len(master.problem.lines)), np.ones(len(master.problem.lines))
        master.aim(Aim(worth=nothing, cost=all_))
        return _steps(relax(master, told=told))
    if goal != "value":
        fair = _lowest_first if goal == "max-min" else _proportional
        if not fair(master, told):
            return None
    return _by_class(master, told)


def _steps(found: Relaxed | None) -> list[Relaxed] | None:
    return None if found is None else [found]


def _by_class(master: Master, told: Progress | None) -> list[Relaxed] | None:
    priority = np.array([line.priority for line in master.problem.lines])
    steps = []
    for each in sorted(set(priority.tolist())):
        counted = (priority <= each).astype(float)
        master.aim(Aim(worth=counted, cost=counted))
        found = relax(master, told=told)
        if found is None:
            return None
        steps.append(found)
        row = master.tallies.worth[priority == each][0]
        if row != NONE:
            reached = master.programme.activity[row]
            master.keep(row, reached - SLACK * max(abs(reached), 1.0))
    return steps


def _nothing(master: Master) -> Aim:
    none = np.zeros(len(master.problem.lines))
    return Aim(worth=none, cost=none, bought=0.0)


def _asking(master: Master) -> Any:
    """Uses that ask for anything."""
    return np.flatnonzero(master.tallies.total > 1e-12)


def _lowest_first(master: Master, told: Progress | None) -> bool:
    """The lowest share is made as large as possible, then the next, and so on."""
    programme, share = master.programme, master.tallies.share
    uses = _asking(master)
    master.aim(_nothing(master))
    above = programme.add_rows(np.zeros(len(uses)), FOREVER)  # share less the level
    level = programme.add_columns([1.0], [(row, -1.0) for row in above], 0.0, 1.0)
    shares = programme.add_columns(
        np.zeros(len(uses)), [(above, 1.0), (share[uses], -1.0)], 0.0, 1.0
    )
    programme.row_bounds(share[uses], 0.0, 0.0)
    open_, kept = np.ones(len(uses), bool), np.zeros(len(uses))
    for _ in range(ROUNDS):
        if relax(master, told=told) is None:
            return False
        reached = float(programme.values[level[0]])
        tight = open_ & (np.abs(programme.prices[above]) > 1e-9)
        if reached >= 1 - SLACK or not tight.any():
            break
        open_ &= ~tight
        least = max(reached - SLACK, 0.0)
        kept[tight] = least
        programme.bounds(shares[tight | open_], least, 1.0)
        programme.row_bounds(above[tight], -FOREVER, FOREVER)
        if not open_.any():
            break
    programme.row_bounds(above, -FOREVER, FOREVER)
    programme.worths(level, 0.0)
    kept[open_] = max(reached - SLACK, 0.0)
    _keep(master, uses, shares, kept)
    return True


def _keep(master: Master, uses: Any, shares: Any, least: Any) -> None:
    """These shares of what uses ask for are held from now on, by the rows that sum them up."""
    master.programme.bounds(shares, 0.0, 0.0)
    for use, each in zip(uses.tolist(), least.tolist(), strict=True):
        size = float(master.tallies.total[use])
        master.keep(int(master.tallies.share[use]), each, size)


def _proportional(master: Master, told: Progress | None) -> bool:
    """The sum of the logarithms of the shares is made as large as possible.

    The logarithm is replaced by the lowest of lines that touch it, ever closer to the optimum.
    """
    programme, share = master.programme, master.tallies.share
    uses = _asking(master)
    master.aim(_nothing(master))
    shares = programme.add_columns(np.zeros(len(uses)), [(share[uses], -1.0)], 0.0, 1.0)
    programme.row_bounds(share[uses], 0.0, 0.0)
    logs = programme.add_columns(np.ones(len(uses)), [], np.log(SMALLEST) - 1, 0.0)
    for point in np.geomspace(SMALLEST, 1.0, POINTS).tolist():
        _touch(master, shares, logs, np.full(len(uses), point))
    for _ in range(TOUCHES):
        if relax(master, told=told) is None:
            return False
        at = np.maximum(programme.values[shares], SMALLEST)
        if float(np.abs(programme.values[logs] - np.log(at)).max()) < CLOSE:
            break
        _touch(master, shares, logs, at)
    programme.worths(logs, 0.0)
    _keep(master, uses, shares, np.maximum(programme.values[shares] - SLACK, 0.0))
    return True


def _touch(master: Master, shares: Any, logs: Any, at: Any) -> None:
    """log s ≤ log a + (s − a)/a, for each use at its own a."""
    rows = master.programme.add_rows(-FOREVER, np.log(at) - 1.0)
    master.programme.entries(rows, logs, 1.0)
    master.programme.entries(rows, shares, -1.0 / at)
