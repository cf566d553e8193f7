"""Whole replicas and whole projects: from the best division of split units to one that can be."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocation.master import Master
from eke.allocation.problem import FOREVER, Flow
from eke.allocation.programme import NONE
from eke.types.record import Record

TINY = 1e-7  # of a unit: less is an error of arithmetic


class Whole(Record):
    """A division in whole units. values: of the programme's columns.  waste: work of each option's
    column that nobody asked for.  value: of the objective.  bound: above which no division comes,
    infinite where nobody has looked."""

    values: Any
    waste: Any
    value: float
    bound: float = FOREVER


def rounded(master: Master) -> Whole | None:
    """Whole units near the optimum that the master has just found; None where there are none.

    Projects are finished or not; units are rounded down, then up where there is room, for what they
    do most with.
    """
    _finish(master)
    programme, whole = master.programme, whole_columns(master)
    units = Room(master, whole, programme.values[master.columns][whole]).fill()
    programme.bounds(master.columns[whole], units, units)
    waste = add_waste(master, whole, units)
    master.soften()
    if not programme.solve():
        return None
    return whole_of(master, waste)


def whole_of(master: Master, waste: Any) -> Whole:
    """The solution that the programme has. waste: its columns, by column of an option."""
    programme, found = master.programme, np.zeros(len(master.columns))
    there = waste != NONE
    found[there] = programme.values[waste[there]]
    return Whole(values=programme.values, waste=found, value=programme.objective)


def whole_columns(master: Master) -> Any:
    """Which columns of options come in whole units."""
    lines = master.problem.lines
    whole = np.array([isinstance(line, Flow) and line.whole for line in lines])
    return whole[master.problem.options.line[master.option]]


def projects(master: Master) -> Any:
    """Columns of finished projects, which are one or nothing."""
    found = [gain.columns for gain in master.asked.gains if gain.what == "finished"]
    return np.concatenate(found) if found else np.zeros(0, int)


def _finish(master: Master) -> None:
    """One project after the other, the nearest to one first, is finished or not."""
    programme, open_ = master.programme, set(projects(master).tolist())
    while open_:
        values = programme.values
        clear = [i for i in sorted(open_) if min(values[i], 1 - values[i]) < TINY]
        for column in clear:
            done = float(values[column] > 0.5)
            programme.bounds(column, done, done)
        open_ -= set(clear)
        if clear or not open_:
            continue
        nearest = max(open_, key=lambda i: (values[i], -i))
        programme.bounds(nearest, 1.0, 1.0)
        if not programme.solve():
            programme.bounds(nearest, 0.0, 0.0)
            programme.solve()


def add_waste(master: Master, whole: Any, units: Any) -> Any:
    """Columns of work that units could do and nobody asked for, one for each column of an option
    that has units; -1 for the others. It is worth as much as the work that is counted there."""
    problem, options = master.problem, master.problem.options
    which = np.flatnonzero(whole)[units > 0]
    option, period, part = master.option[which], master.period[which], master.part[which]
    line = options.line[option]
    use = np.array([each.use for each in problem.lines])[line]
    worth = np.array([each.worth for each in problem.lines])[line]
    most = options.rate[option] * problem.seconds[part] * units[units > 0]
    kept = worth * options.quality[option]
    entries = [
        (master.asked.work[line, period, part], -1.0),
        (master.tallies.share[use], -worth / master.tallies.total[use]),
        (master.tallies.worth[line], -kept),
    ]
    found = np.full(len(master.columns), NONE)
    found[which] = master.programme.add_columns(-kept, entries, 0.0, most)
    return found


class Room:
    """What is left of the supply when units are rounded down, and who may have it."""

    def __init__(self, master: Master, whole: Any, units: Any) -> None:
        self.master, self.which = master, np.flatnonzero(whole)
        self.down = np.floor(units + TINY)
        self.part = np.maximum(units - self.down, 0.0)
        rows, values = self._entries()
        programme = master.programme
        self.left = programme.high - programme.activity
        np.add.at(self.left, rows[rows != NONE], (values * self.part[:, None])[rows != NONE])
        self.rows, self.values = rows, values

    def _entries(self) -> tuple[Any, Any]:
        """Rows of supply and of bounded uses, and what a unit takes there, by column."""
        master, which = self.master, self.which
        place = master.option[which], master.period[which], master.part[which]
        found = [term.entries(*place) for term in master.takes]
        return tuple(np.stack([each[i] for each in found], axis=1) for i in (0, 1))  # type: ignore[return-value]

    def fill(self) -> Any:
        """Units, rounded up where that fits and does more than it costs; promises come first."""
        master, options = self.master, self.master.problem.options
        option = master.option[self.which]
        unit = options.rate[option] * master.problem.seconds[master.part[self.which]]
        line = options.line[option]
        worth = np.array([each.worth for each in master.problem.lines])[line]
        worth = worth * options.quality[option]
        cost = options.cost[option] * master.problem.seconds[master.part[self.which]]
        row = master.asked.work[line, master.period[self.which], master.part[self.which]]
        wanting = np.zeros(master.programme.rows)
        np.add.at(wanting, row, unit * self.part)
        promised = np.array([getattr(each, "floor", 0.0) > 0 for each in master.problem.lines])
        units, density = self.down.copy(), worth * self.part * unit / options.chips[option]
        order = np.lexsort((-density, ~promised[line]))
        for i in order[self.part[order] > TINY].tolist():
            serves = min(wanting[row[i]], unit[i])
            if serves * worth[i] <= cost[i] and not promised[line[i]]:
                continue
            if self._fits(i):
                units[i] += 1
                wanting[row[i]] -= serves
        return units

    def _fits(self, i: int) -> bool:
        """Whether there is room for a unit more, which is then taken."""
        kept = self.rows[i] != NONE
        rows, values = self.rows[i][kept], self.values[i][kept]
        if (values > self.left[rows] + TINY).any():
            return False
        self.left[rows] -= values
        return True
