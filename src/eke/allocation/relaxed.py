"""The best division where units may be split: columns are added until none would pay.

Source: dantzig1960, whose bound says how much the columns that are not there could still add.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eke.allocation.master import Master
from eke.allocation.problem import FOREVER
from eke.types.record import Record

ROUNDS = 200  # of adding columns; some ten are usual
CLOSE = 1e-9  # share of the objective that may be missed
Near = tuple[Any, Any, Any]  # options, periods and parts of the day of a division nearby
Progress = Callable[[str, float], None]  # what is being done, and how far that is, or how far off


class Relaxed(Record):
    """value: of the objective, and `bound` above which no division comes.  prices: of rows."""

    value: float
    bound: float
    prices: Any


def begin(master: Master, near: Near | None = None) -> None:
    """First columns: those of a division nearby, or else of each pool what does most for a line,
    and what does it fastest."""
    if near is not None:
        master.add(*near)
        return
    options = master.problem.options
    for score in (options.rate * options.quality / options.chips, options.rate):
        best: dict[tuple[int, int], int] = {}
        pairs = zip(options.line.tolist(), options.pool.tolist(), strict=True)
        for number, pair in enumerate(pairs):
            if pair not in best or score[number] > score[best[pair]]:
                best[pair] = number
        _everywhere(master, _leading(master, list(best.values())))


LEADING = 4  # pools of a line to begin with


def _leading(master: Master, numbers: list[int]) -> Any:
    """Of each line the options that make most of a chip."""
    options = master.problem.options
    by_line: dict[int, list[int]] = {}
    for number in numbers:
        by_line.setdefault(int(options.line[number]), []).append(number)
    density = options.rate * options.quality / options.chips
    kept = [sorted(each, key=lambda i: -density[i])[:LEADING] for each in by_line.values()]
    return np.array([number for each in kept for number in each], int)


def _everywhere(master: Master, numbers: Any) -> None:
    """Columns of options in every period and part of the day in which they may work."""
    which, period, part = np.nonzero(master.works()[numbers] & ~master.has[numbers])
    master.add(numbers[which], period, part)


def relax(master: Master, enough: float = FOREVER, told: Progress | None = None) -> Relaxed | None:
    """The optimum of the master's aim, None where there is none. enough: an objective with which
    one may stop."""
    programme = master.programme
    for _ in range(ROUNDS):
        if not programme.solve():
            return None
        missed = 0.0
        if master.closed:
            break
        short = master.short()
        missed, size = master.missed(short), max(abs(programme.objective), 1e-6)
        if told is not None:
            told("prices", missed / size)
        if missed <= CLOSE * size or programme.objective >= enough:
            break
        master.add(*master.best(short))
    bound = programme.objective + missed
    return Relaxed(value=programme.objective, bound=bound, prices=programme.prices)
