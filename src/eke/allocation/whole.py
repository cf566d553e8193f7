"""Whole replicas and whole projects: from the best division of split units to one that can be."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocation.master import Master
from eke.allocation.problem import FOREVER, Flow
from eke.allocation.programme import NONE
from eke.types.record import Record

TINY = 1e-7  # of a unit: less is an error of arithmetic
MORE = 8  # units of other options tried for what is wanted in one place


class Whole(Record):
    """A division in whole units. values: of the programme's columns.  waste: work of each option's
    column that nobody asked for.  value: of the objective.  bound: above which no division comes,
    infinite where nobody has looked.  missed: share that is missing of what had to be kept.  gap:
    share by which it may be worse than the best, once that is known."""

    values: Any
    waste: Any
    value: float
    bound: float = FOREVER
    missed: float = 0.0
    gap: float = FOREVER


def rounded(master: Master) -> Whole | None:
    """Whole units near the optimum that the master has just found; None where there are none.

    Projects are finished or not; units are rounded down, then up where there is room, for what they
    do most with.
    """
    master.soften()
    _finish(master)
    programme, whole = master.programme, whole_columns(master)
    units = Room(master, whole, programme.values[master.columns][whole]).fill()
    whole = whole_columns(master)
    programme.bounds(master.columns[whole], units, units)
    waste = add_waste(master, whole, units)
    if not programme.solve():
        return None
    return whole_of(master, waste)


def whole_of(master: Master, waste: Any) -> Whole:
    """The solution that the programme has. waste: its columns, by column of an option."""
    programme, found = master.programme, np.zeros(len(master.columns))
    there = waste != NONE
    found[there] = programme.values[waste[there]]
    return Whole(
        values=programme.values,
        waste=found,
        value=programme.objective,
        missed=master.missed_share(),
    )


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
        open_.remove(nearest)
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
    """What is left of the supply when units are rounded down, and who may have it.

    Columns are those of options in whole units, `which` among all of options'.
    """

    def __init__(self, master: Master, whole: Any, units: Any) -> None:
        self.master, self.which = master, np.flatnonzero(whole)
        self.down = np.floor(units + TINY)
        self.part = np.maximum(units - self.down, 0.0)
        self.rows, self.values = self._takes(*self._place())
        programme = master.programme
        self.left = programme.high - programme.activity
        there = self.rows != NONE
        np.add.at(self.left, self.rows[there], (self.values * self.part[:, None])[there])

    def _place(self) -> tuple[Any, Any, Any]:
        master, which = self.master, self.which
        return master.option[which], master.period[which], master.part[which]

    def _takes(self, option: Any, period: Any, part: Any) -> tuple[Any, Any]:
        """Rows of supply and of bounded uses, and what a unit takes there, a line per column."""
        found = [term.entries(option, period, part) for term in self.master.takes]
        rows, values = (np.stack([each[i] for each in found], axis=1) for i in (0, 1))
        return rows, values

    def _brings(self, option: Any, part: Any) -> tuple[Any, Any, Any]:
        """Work of a unit, what a unit of that is worth, and what it costs to run."""
        problem = self.master.problem
        options, seconds = problem.options, problem.seconds[part]
        worth = np.array([each.worth for each in problem.lines])[options.line[option]]
        work = options.rate[option] * seconds
        return work, worth * options.quality[option], options.cost[option] * seconds

    def fill(self) -> Any:
        """Units, rounded up where that fits and does more than it costs; promises come first.

        What is still wanted then is done by other options that fit, whose columns are added to the
        master's, and to `which`.
        """
        master, (option, period, part) = self.master, self._place()
        unit, worth, cost = self._brings(option, part)
        line = master.problem.options.line[option]
        row = master.asked.work[line, period, part]
        wanting = np.zeros(master.programme.rows)
        np.add.at(wanting, row, unit * self.part)
        promised = np.array([getattr(each, "floor", 0.0) > 0 for each in master.problem.lines])
        units = self.down.copy()
        density = self._urgency()[line] * self.part * unit / master.problem.options.chips[option]
        order = np.lexsort((-density, ~promised[line]))
        for i in order[self.part[order] > TINY].tolist():
            serves = min(wanting[row[i]], unit[i])
            pays = serves * worth[i] > cost[i] or promised[line[i]]
            if pays and self._fits(self.rows[i], self.values[i]):
                units[i] += 1
                wanting[row[i]] -= serves
        return self._others(units, wanting, row, promised)

    def _urgency(self) -> Any:
        """Of a unit of work of each line: its worth, or where shares are to be fair its share."""
        lines, tallies = self.master.problem.lines, self.master.tallies
        worth = np.array([line.worth for line in lines])
        use = np.array([line.use for line in lines])
        fair = np.isin(tallies.share[use], list(self.master.kept))
        return np.where(fair, worth / tallies.total[use], worth)

    def _fits(self, rows: Any, values: Any) -> bool:
        """Whether there is room for a unit more, which is then taken."""
        there = rows != NONE
        rows, values = rows[there], values[there]
        if (values > self.left[rows] + TINY).any():
            return False
        self.left[rows] -= values
        return True

    def _others(self, units: Any, wanting: Any, row: Any, promised: Any) -> Any:
        """Units of other options for what is still wanted, the most wanted first."""
        master, (option, period, part) = self.master, self._place()
        places = {}
        for i in np.flatnonzero(wanting[row] > TINY).tolist():
            line = int(master.problem.options.line[option[i]])
            places[int(row[i])] = (line, int(period[i]), int(part[i]))
        urgency = self._urgency()
        ordered = sorted(places.items(), key=lambda each: -urgency[each[1][0]] * wanting[each[0]])
        found: dict[tuple[int, int, int], int] = {}
        for number, (line, when, where) in ordered:
            for _ in range(MORE):
                chosen = self._another(line, when, where, wanting[number], bool(promised[line]))
                if chosen is None:
                    break
                place = (chosen, when, where)
                found[place] = found.get(place, 0) + 1
                wanting[number] -= (
                    master.problem.options.rate[chosen] * master.problem.seconds[where]
                )
                if wanting[number] <= TINY:
                    break
        return self._added(units, found)

    def _another(
        self, line: int, period: int, part: int, wanting: float, promised: bool
    ) -> int | None:
        """The option that does most for it of those there is room for."""
        options = self.master.problem.options
        mine = np.flatnonzero(options.line == line)
        work, worth, cost = self._brings(mine, np.full(len(mine), part))
        gain = np.minimum(work, wanting) * worth - cost
        rows, values = self._takes(mine, np.full(len(mine), period), np.full(len(mine), part))
        for i in np.argsort(-gain, kind="stable").tolist():
            if gain[i] <= 0 and not promised:
                return None
            if self._fits(rows[i], values[i]):
                return int(mine[i])
        return None

    def _added(self, units: Any, found: dict[tuple[int, int, int], int]) -> Any:
        """The same units, with those of further columns."""
        master = self.master
        if found:
            option, period, part = (np.array(each) for each in zip(*found, strict=True))
            master.add(option, period, part)
        whole = np.flatnonzero(whole_columns(master))
        units = np.concatenate([units, np.zeros(len(whole) - len(units))])
        self.which = whole
        places = zip(*(each.tolist() for each in self._place()), strict=True)
        extra = np.array([found.get(place, 0) for place in places], float)
        return units + extra
