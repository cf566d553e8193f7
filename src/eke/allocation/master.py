"""The programme of a problem, with the options looked at so far as its columns.

A column of an option is its units at work in one part of the day of one period.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocation.asked import Asked, Tallies, asked, work_terms
from eke.allocation.moves import Moves, held
from eke.allocation.problem import FOREVER, Flow, Problem, Project, Queue
from eke.allocation.programme import NONE, Programme
from eke.allocation.supply import supply, supply_terms
from eke.allocation.terms import Term
from eke.types.record import Record, replace

PENALTY = 100.0  # times what it is worth: on a promise that whole units cannot keep to the last
NEAR = 0.6  # of the best score of a line's work, above which another pool's option is added too


class Aim(Record):
    """What the objective counts: the worth of each line's work and what running its options costs,
    both as shares (L,), and that share of what rent and moves cost."""

    worth: Any
    cost: Any
    bought: float = 1.0


class Kept(Record):
    """What an earlier step has reached. size: of a unit of it [USD].  short: the column of what is
    missing of it, where that may be."""

    least: float
    size: float
    short: int


class Master:
    """Grows by `add`, which takes options by number, period and part of the day.

    has: which have columns already (O, T, S).  option, period, part: of each such column, whose
    numbers are `columns`.  shares: whether to sum up what share of its asks a use is given.
    closed: whether no columns are looked for beside those it is given.
    """

    def __init__(self, problem: Problem, shares: bool = False, closed: bool = False) -> None:
        self.problem, self.programme, self.closed = problem, Programme(), closed
        self.tallies = _tallies(self.programme, problem, shares)
        self.supply = supply(self.programme, problem)
        self.asked: Asked = asked(self.programme, problem, self.tallies)
        self.moves = Moves(self.programme, problem)
        chips, promises = held(self.programme, problem)
        self.promises = [*self.asked.promises, *promises]
        self.takes: list[Term] = [*supply_terms(problem, self.supply), chips]
        self.terms: list[Term] = [
            *self.takes,
            *work_terms(problem, self.asked),
            *_tally_terms(problem, self.tallies),
            *self.moves.terms(),
        ]
        self.kept: dict[int, Kept] = {}  # rows of tallies that earlier steps have raised
        self.gain: Any = np.zeros(len(problem.options.line))
        self.has: Any = np.zeros(problem.shape, bool)
        self.option = self.period = self.part = self.columns = np.zeros(0, int)

    def aim(self, aim: Aim) -> None:
        """What the objective counts, from now on."""
        problem, programme = self.problem, self.programme
        line = problem.options.line
        worth, cost = _gains(problem)
        self.gain = aim.worth[line] * worth - aim.cost[line] * cost
        seconds = problem.seconds[self.part]
        programme.worths(self.columns, self.gain[self.option] * seconds)
        for each in self.asked.gains:
            programme.worths(each.columns, aim.worth[each.line] * each.worth)
        for pool in np.flatnonzero(self.supply.rented[:, 0] != NONE):
            price = problem.pools.price[pool] * problem.seconds.sum()
            programme.worths(self.supply.rented[pool], -aim.bought * price)
        self.moves.aim(aim.bought)
        programme.afresh()

    def add(self, option: Any, period: Any, part: Any) -> None:
        """Columns of options that have none yet."""
        new = ~self.has[option, period, part]
        option, period, part = option[new], period[new], part[new]
        self.moves.make(option)
        worth = self.gain[option] * self.problem.seconds[part]
        entries = [term.entries(option, period, part) for term in self.terms]
        columns = self.programme.add_columns(worth, entries)
        self.has[option, period, part] = True
        self.option = np.concatenate([self.option, option])
        self.period = np.concatenate([self.period, period])
        self.part = np.concatenate([self.part, part])
        self.columns = np.concatenate([self.columns, columns])

    def keep(self, row: int, least: float, size: float = 1.0) -> None:
        """What an earlier step has reached of a tally is kept by the later ones."""
        self.kept[row] = Kept(least=least, size=size, short=NONE)
        self.programme.row_bounds(np.array([row]), least, FOREVER)

    def soften(self) -> None:
        """Promises, and what is kept of earlier steps, may be missed at a penalty: in whole units
        they cannot always be met to the last."""
        programme = self.programme
        for promise in self.promises:
            programme.bounds(promise.lacks, 0.0, 1.0)
            programme.worths(promise.lacks, -PENALTY * promise.size)
        for row, kept in self.kept.items():
            short = programme.add_columns([-PENALTY * kept.size], [(np.array([row]), 1.0)])
            self.kept[row] = replace(kept, short=int(short[0]))

    def missed_share(self) -> float:
        """The largest share of what earlier steps have reached that the last solution lacks."""
        values = self.programme.values
        lacks = [values[k.short] / max(k.least, 1e-6) for k in self.kept.values() if k.short >= 0]
        return float(max(lacks, default=0.0))

    def works(self) -> Any:
        """Whether an option may work in a part of a period (O, T, S)."""
        found: Any = self.asked.work[self.problem.options.line] != NONE
        return found

    def short(self) -> Any:
        """What a unit of each option would add to the objective at the prices of the last solution
        (O, T, S) [USD]; zero where there is a column, or where the option does not work."""
        prices = np.append(self.programme.prices, 0.0)
        found = self.gain[:, None, None] * self.problem.seconds
        found = np.broadcast_to(found, self.problem.shape).copy()
        for term in self.terms:
            found -= term.costs(prices)
        return np.where(self.has | ~self.works(), 0.0, found)

    def best(self, short: Any) -> tuple[Any, Any, Any]:
        """The options worth adding: of each pool the best, where it comes near the line's best."""
        options = self.problem.options
        score = short / (options.rate[:, None, None] * self.problem.seconds)
        line = _starts(options.line)
        pool = _starts(options.line * (options.pool.max() + 1) + options.pool)
        of_pool = np.repeat(np.maximum.reduceat(score, pool, axis=0), _sizes(pool, len(score)), 0)
        of_line = np.repeat(np.maximum.reduceat(score, line, axis=0), _sizes(line, len(score)), 0)
        good = (score > 0) & (score == of_pool) & (score >= NEAR * of_line)
        option, period, part = np.nonzero(good)
        return option, period, part

    def missed(self, short: Any) -> float:
        """The most that options without columns could still add to the objective [USD]."""
        options, work = self.problem.options, self.asked.work
        score = short / (options.rate[:, None, None] * self.problem.seconds)
        line = _starts(options.line)
        best = np.maximum(np.maximum.reduceat(score, line, axis=0), 0.0)
        rows = work[options.line[line]]
        highest = np.zeros(self.programme.rows)
        np.maximum.at(highest, rows[best > 0], best[best > 0])
        rows_with = np.flatnonzero(highest).tolist()
        return float(sum(highest[row] * self.asked.most[row] for row in rows_with))


def _starts(key: Any) -> Any:
    """Where another key begins, of sorted keys."""
    return np.concatenate([[0], np.flatnonzero(np.diff(key)) + 1])


def _sizes(starts: Any, total: int) -> Any:
    return np.diff(np.append(starts, total))


def _gains(problem: Problem) -> tuple[Any, Any]:
    """What a unit of each option adds by itself and what it costs [USD/s]: the worth of work that
    passes; for work that waits, what lower quality takes away of the worth."""
    options = problem.options
    worth = np.array([line.worth for line in problem.lines])[options.line]
    flow = np.array([isinstance(line, Flow) for line in problem.lines])[options.line]
    queue = np.array([isinstance(line, Queue) for line in problem.lines])[options.line]
    share = np.where(flow, options.quality, np.where(queue, options.quality - 1.0, 0.0))
    return share * worth * options.rate, options.cost


def _tallies(programme: Programme, problem: Problem, shares: bool) -> Tallies:
    """Rows that bind nothing yet. Classes of priority need none where there is only one."""
    uses = len(problem.least)
    total = np.zeros(uses)
    projects: dict[tuple[int, int], float] = {}
    for line in problem.lines:
        if isinstance(line, Flow | Queue):
            total[line.use] += float(line.asked.sum()) * line.worth
        elif isinstance(line, Project):
            choice = (line.use, line.choice)
            projects[choice] = max(projects.get(choice, 0.0), line.worth)
    for (use, _), worth_of_best in projects.items():
        total[use] += worth_of_best
    classes = sorted({line.priority for line in problem.lines})
    worth = np.full(len(problem.lines), NONE)
    if len(classes) > 1:
        rows = dict(
            zip(classes, programme.add_rows(-FOREVER, np.full(len(classes), FOREVER)), strict=True)
        )
        worth = np.array([rows[line.priority] for line in problem.lines])
    share = np.full(uses, NONE)
    if shares:
        share = programme.add_rows(-FOREVER, np.full(uses, FOREVER))
    return Tallies(share=share, worth=worth, total=np.maximum(total, 1e-30))


def _tally_terms(problem: Problem, tallies: Tallies) -> list[Term]:
    """Of work that passes, and of what lower quality takes away of work that waits; the rest is
    summed up where it is done."""
    options, lines = problem.options, problem.lines
    use = np.array([line.use for line in lines])[options.line]
    worth = np.array([line.worth for line in lines])[options.line]
    flow = np.array([isinstance(line, Flow) for line in lines])[options.line]
    done = np.where(flow, options.rate * worth, 0.0) / tallies.total[use]
    share, classes = (
        np.repeat(rows[:, None, None], problem.shape[1], axis=1)
        for rows in (tallies.share, tallies.worth)
    )
    return [
        Term(key=use, rows=share, each=done, weight=problem.seconds),
        Term(key=options.line, rows=classes, each=_gains(problem)[0], weight=problem.seconds),
    ]
