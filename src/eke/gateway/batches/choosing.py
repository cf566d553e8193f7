"""Which batches get the room that there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from typing import NamedTuple


class Standing(NamedTuple):
    """A batch with lines to be asked. ends: its window, UTC [s].  left: most lines it can use."""

    batch: str
    tenant: str
    ends: float
    left: int


def choose(
    standings: Iterable[Standing],
    room: int,
    flying: Mapping[str, int],
    weights: Mapping[str, float],
) -> dict[str, int]:
    """Batch → lines of it to ask now, `room` of them in all or as many as there are.

    The tenant with the fewest under way over its weight is next; of its batches, the one whose
    window ends first. flying: lines under way, by tenant.  weights: 1 for others.
    """
    mine: dict[str, list[Standing]] = {}
    for each in sorted(standings, key=lambda each: (each.ends, each.batch), reverse=True):
        if each.left > 0:
            mine.setdefault(each.tenant, []).append(each)
    count = {tenant: flying.get(tenant, 0) for tenant in mine}
    heap = [(count[tenant] / weights.get(tenant, 1.0), tenant) for tenant in mine]
    heapify(heap)
    given: Counter[str] = Counter()
    while heap and room > 0:
        _, tenant = heappop(heap)
        first = mine[tenant][-1]
        given[first.batch] += 1
        room -= 1
        if given[first.batch] >= first.left:
            mine[tenant].pop()
        count[tenant] += 1
        if mine[tenant]:
            heappush(heap, (count[tenant] / weights.get(tenant, 1.0), tenant))
    return dict(given)
