"""How often values fell between edges, and percentiles told from that."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

# Upper edges [s], as clients of language models feel them: from a cached head to a long answer.
FIRST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 20.0, 60.0)
TOKEN = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0)
WAIT = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
WHOLE = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)

FINE = tuple(1e-3 * 1.25**step for step in range(64))  # 1 ms to 21 min [s]


class Histogram:
    """Counts of values up to each edge, and their sum.

    counts: of values above the edge before and up to this one; the last is of those above all.
    """

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """One value."""
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value

    def below(self) -> list[int]:
        """How many are up to each edge; the last is how many there are."""
        return list(accumulate(self.counts))


def percentile(edges: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """The value below which a share of them lies, by straight lines between edges.

    counts: one more than edges.  None where there are no values; the last edge where it is above.
    """
    all_of_them = sum(counts)
    if not all_of_them:
        return None
    wanted, before, low = share * all_of_them, 0, 0.0
    for edge, count in zip(edges, counts, strict=False):
        if count and before + count >= wanted:
            return low + (edge - low) * (wanted - before) / count
        before, low = before + count, edge
    return edges[-1]
