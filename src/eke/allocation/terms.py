"""What a unit of an option takes of each row, said once for adding columns and for pricing them."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.types.record import Record


class Term(Record):
    """One row that every option has an entry in, if at all.

    key: which of the rows' first places, by option (O,).  rows: their numbers, -1 for none, by key,
    period and part of the day (K, T, S), or alike for all parts (K, T, 1).  each: the entry of a
    unit (O,).  weight: times this, by part of the day (S,).
    """

    key: Any
    rows: Any
    each: Any
    weight: Any

    def entries(self, option: Any, period: Any, part: Any) -> tuple[Any, Any]:
        """Rows and values of some columns."""
        last = self.rows.shape[2] - 1
        rows = self.rows[self.key[option], period, np.minimum(part, last)]
        return rows, self.each[option] * self.weight[part]

    def costs(self, prices: Any) -> Any:
        """What the row's price makes a unit cost [USD] (O, T, S). prices: of all rows, and a zero
        for none at the end."""
        of_key = prices[self.rows] * self.weight
        return self.each[:, None, None] * of_key[self.key]
