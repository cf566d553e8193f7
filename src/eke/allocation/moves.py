"""Rows of the chips a use has: how many at least and at most, and what moving them costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocation.asked import Promised, lack
from eke.allocation.problem import FOREVER, Problem
from eke.allocation.programme import NONE, Programme
from eke.allocation.terms import Term


def held(programme: Programme, problem: Problem) -> tuple[Term, list[Promised]]:
    """A row per use and period where its chips are bounded, and the promises among them."""
    least, most = problem.least, problem.most
    rows, bounded = np.full(least.shape, NONE), np.isfinite(most) | (least > 0)
    rows[bounded] = programme.add_rows(
        np.where(least[bounded] > 0, least[bounded], -FOREVER), most[bounded]
    )
    promises = []
    for use in np.flatnonzero((least > 0).any(axis=1)):
        when = np.flatnonzero(least[use] > 0)
        many = least[use, when]
        lacks = lack(programme, rows[use, when], many)
        promises.append(Promised(use=int(use), line=-1, lacks=lacks, periods=when, size=many))
    use = np.array([line.use for line in problem.lines])[problem.options.line]
    day = problem.seconds / problem.seconds.sum()
    each = problem.options.chips
    return Term(key=use, rows=rows[:, :, None], each=each, weight=day), promises


class Moves:
    """Chips of a use that are in a pool now and were not a period ago cost what moving there does.

    The rows of a use in a pool are made when its first option there is. moved: columns of chips
    that came, by use and pool.
    """

    def __init__(self, programme: Programme, problem: Problem) -> None:
        self._programme, self._problem = programme, problem
        options, (_, periods, _) = problem.options, problem.shape
        uses, self._pools = problem.moving.shape
        use = np.array([line.use for line in problem.lines])[options.line]
        self._pair = use * self._pools + options.pool
        self._now = np.full((uses * self._pools, periods, 1), NONE)
        self._before = np.full((uses * self._pools, periods, 1), NONE)
        self._share = 1.0
        self.moved: dict[tuple[int, int], Any] = {}

    def aim(self, share: float) -> None:
        """What share of the cost the objective counts, from now on."""
        self._share = share
        for pair, columns in self.moved.items():
            self._programme.worths(columns, -share * self._problem.moving[pair])

    def terms(self) -> list[Term]:
        """Of chips that are there now, and of those that were there a period ago."""
        day = self._problem.seconds / self._problem.seconds.sum()
        each = self._problem.options.chips
        return [
            Term(key=self._pair, rows=self._now, each=each, weight=day),
            Term(key=self._pair, rows=self._before, each=-each, weight=day),
        ]

    def make(self, options: Any) -> None:
        """The rows that these options need and that there are not yet."""
        _, periods, _ = self._problem.shape
        for pair in np.unique(self._pair[options]).tolist():
            use, pool = divmod(pair, self._pools)
            cost = self._problem.moving[use, pool]
            if cost <= 0 or (use, pool) in self.moved or periods == 1:
                continue
            rows = self._programme.add_rows(-FOREVER, np.zeros(periods - 1))
            self._now[pair, 1:, 0] = self._before[pair, :-1, 0] = rows
            worth = np.full(periods - 1, -cost * self._share)
            self.moved[use, pool] = self._programme.add_columns(worth, [(rows, -1.0)])
