"""What a search has seen so far, and the bounds that let it skip the rest.

A bound is a figure that a plan cannot stay below, worked out from few of its fields: chips alone
say what a rented fleet costs, arithmetic alone how long learning takes. A plan whose bound is past
the bar need not be priced; the best plan and those near it are never among them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics.costs import energy_of, price_of
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool

SLACK = 1.5  # plans up to so many times the best are kept, to say what others lose


class Tally:
    """Counts plans, and keeps the bar: the goal's figure beyond which a plan no longer matters."""

    def __init__(self, figure: str, slack: float = SLACK) -> None:
        self.figure, self.slack = figure, slack
        self.best = np.inf
        self.priced = self.skipped = 0

    @property
    def bar(self) -> float:
        """Plans beyond it are not wanted."""
        return self.best * self.slack

    @property
    def considered(self) -> int:
        """Plans priced or ruled out."""
        return self.priced + self.skipped

    def skip(self, plans: int) -> None:
        """So many were ruled out by a bound."""
        self.skipped += plans

    def saw(self, plans: int, best: float) -> None:
        """So many were priced; the best of them that keeps every limit has that figure."""
        self.priced += plans
        self.best = min(self.best, best)

    def floor(self, chips: Any, seconds: Any, pool: Pool, knobs: Knobs, time: Any = None) -> Any:
        """What the goal's figure is at least, for so many chips held for at least so long [s].

        time: what the job takes at least, where that is known [s].
        """
        idle = energy_of(pool, chips, seconds, knobs, busy=0.0)
        floors = {
            "chips": chips,
            "time": time,
            "energy": idle,
            "money": price_of(pool, chips, seconds, knobs, idle),
        }
        floor = floors.get(self.figure)
        return 0.0 * chips if floor is None else floor + 0.0 * chips
