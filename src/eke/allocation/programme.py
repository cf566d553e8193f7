"""A linear programme that grows, solved by HiGHS (huangfu2018). The objective is made as large as
possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import highspy
import numpy as np

NONE = -1  # in place of a row: no entry there
DUAL, PRIMAL = 1, 4  # simplex methods: from nothing, and from the last optimum with more columns
SETTLED = (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kInfeasible)
LARGE = 20_000  # columns, from which on an interior point is found sooner than a first basis
FEASIBLE = 2  # of a solution's status
Entries = Sequence[tuple[Any, Any]]  # rows and values, one of each per new column


class Programme:
    """Rows and columns are known by the numbers that adding them gave.

    After solving: `values` of columns, `activity` of rows, and their `prices`: what one unit more
    of the bound that holds is worth. high: bounds of rows.
    """

    def __init__(self) -> None:
        self._highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)  # the same answer on any machine
        self._highs.changeObjectiveSense(highspy.ObjSense.kMaximize)
        self._fresh = True  # never solved
        self.rows = self.columns = 0
        self.objective = 0.0
        self.bound = 0.0
        self.high: Any = np.zeros(0)
        self.values: Any = np.zeros(0)
        self.activity: Any = np.zeros(0)
        self.prices: Any = np.zeros(0)

    def add_rows(self, low: Any, high: Any) -> Any:
        """New rows between these bounds; their numbers, in the shape of the bounds."""
        low, high = np.broadcast_arrays(np.asarray(low, float), np.asarray(high, float))
        number, none = low.size, np.zeros(0, np.int32)
        self._highs.addRows(number, low.ravel(), high.ravel(), 0, none, none, np.zeros(0))
        self.high = np.concatenate([self.high, high.ravel()])
        first, self.rows = self.rows, self.rows + number
        return np.arange(first, self.rows).reshape(low.shape)

    def add_columns(self, worth: Any, entries: Entries, low: Any = 0.0, high: Any = np.inf) -> Any:
        """New columns; their numbers. worth: of a unit of each, in the objective."""
        worth = np.atleast_1d(np.asarray(worth, float))
        number = len(worth)
        rows, values = _stacked(entries, number)
        kept = rows != NONE
        starts = np.concatenate([[0], np.cumsum(kept.sum(1))[:-1]]).astype(np.int32)
        low = np.broadcast_to(np.asarray(low, float), number)
        high = np.broadcast_to(np.asarray(high, float), number)
        self._highs.addCols(
            number,
            worth,
            np.ascontiguousarray(low),
            np.ascontiguousarray(high),
            int(kept.sum()),
            starts,
            rows[kept].astype(np.int32),
            values[kept],
        )
        first, self.columns = self.columns, self.columns + number
        return np.arange(first, self.columns)

    def worths(self, columns: Any, worth: Any) -> None:
        """Other worths in the objective."""
        columns = np.asarray(columns, np.int32).ravel()
        worth = np.broadcast_to(np.asarray(worth, float), columns.shape)
        self._highs.changeColsCost(len(columns), columns, np.ascontiguousarray(worth))

    def bounds(self, columns: Any, low: Any, high: Any) -> None:
        """Other bounds of columns."""
        columns = np.asarray(columns, np.int32).ravel()
        low, high = (
            np.ascontiguousarray(np.broadcast_to(np.asarray(each, float), columns.shape))
            for each in (low, high)
        )
        self._highs.changeColsBounds(len(columns), columns, low, high)

    def row_bounds(self, rows: Any, low: Any, high: Any) -> None:
        """Other bounds of rows."""
        rows = np.asarray(rows).ravel()
        low, high = (np.broadcast_to(np.asarray(e, float), rows.shape) for e in (low, high))
        self.high[rows] = high
        self._highs.changeRowsBounds(
            len(rows),
            rows.astype(np.int32),
            np.ascontiguousarray(low),
            np.ascontiguousarray(high),
        )

    def entries(self, rows: Any, columns: Any, values: Any) -> None:
        """Further entries, one by one."""
        for row, column, value in zip(*np.broadcast_arrays(rows, columns, values), strict=True):
            self._highs.changeCoeff(int(row), int(column), float(value))

    def whole(self, columns: Any) -> None:
        """These columns take whole numbers only, from now on."""
        columns = np.asarray(columns, np.int32).ravel()
        kind = np.full(len(columns), int(highspy.HighsVarType.kInteger), np.uint8)
        self._highs.changeColsIntegrality(len(columns), columns, kind)

    def afresh(self) -> None:
        """The last optimum is no good place to go on from."""
        self._fresh = True

    def solve(self) -> bool:
        """Whether there is a solution, which is then the best one."""
        self._highs.setOptionValue("solver", "ipm" if self._fresh and self._large() else "simplex")
        self._highs.setOptionValue("simplex_strategy", DUAL if self._fresh else PRIMAL)
        self._highs.run()
        if not self._fresh and self._highs.getModelStatus() not in SETTLED:
            self._highs.clearSolver()  # an old basis may be too bad to go on from
            self._highs.setOptionValue("simplex_strategy", DUAL)
            self._highs.run()
        self._fresh = False
        return self._take(mixed=False)

    def _large(self) -> bool:
        return self.columns > LARGE

    def solve_whole(self, gap: float, nodes: int, seconds: float) -> bool:
        """Whether there is a solution in whole numbers, proven to within the gap, or the best one
        after so many nodes or seconds."""
        self._highs.setOptionValue("mip_rel_gap", gap)
        self._highs.setOptionValue("mip_max_nodes", nodes)
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + seconds)
        self._highs.run()
        return self._take(mixed=True)

    def _take(self, mixed: bool) -> bool:
        info = self._highs.getInfo()
        status = self._highs.getModelStatus()
        if info.primal_solution_status != FEASIBLE or not (mixed or status == SETTLED[0]):
            return False
        found = self._highs.getSolution()
        self.values, self.activity = np.array(found.col_value), np.array(found.row_value)
        self.objective = info.objective_function_value
        self.bound = info.mip_dual_bound if mixed else self.objective
        if not mixed:
            self.prices = np.array(found.row_dual)
        return True


def _stacked(entries: Entries, number: int) -> tuple[Any, Any]:
    """Entries side by side, a line per column."""
    if not entries:
        return np.zeros((number, 0), int), np.zeros((number, 0))
    rows = np.stack([np.broadcast_to(np.asarray(row), number) for row, _ in entries], axis=1)
    values = [np.broadcast_to(np.asarray(value, float), number) for _, value in entries]
    return rows, np.stack(values, axis=1)
