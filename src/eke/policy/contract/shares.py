"""How far apart the service of tenants drifts while they wait, inside each class where it is told
apart."""

from __future__ import annotations

from itertools import combinations

from eke.policy.says import Says
from eke.types.request import Request

Who = tuple[int, str]  # a tenant, in one class


class Shares:
    """Service of each tenant, and for each two of them how it drifted while both waited.

    drift: two tenants → lowest and highest difference since both wait.  widest: of all drifts.
    """

    def __init__(self, says: Says) -> None:
        self.service, self.among = says.service, says.among
        self.served: dict[Who, float] = {}
        self.counts: dict[Who, int] = {}
        self.drift: dict[tuple[Who, Who], tuple[float, float]] = {}
        self.widest = 0.0

    def waits(self, request: Request, more: int) -> None:
        """One request more or less of a tenant waits."""
        who = self._who(request)
        count = self.counts[who] = self.counts.get(who, 0) + more
        if count == 0:
            self.drift = {two: gap for two, gap in self.drift.items() if who not in two}

    def finished(self, request: Request, tokens: int) -> None:
        """A tenant was served."""
        if self.service:
            who, more = self._who(request), self.service(request, tokens)
            self.served[who] = self.served.get(who, 0.0) + more

    def look(self) -> None:
        """Note how far apart those are who wait."""
        if self.service is None:
            return
        for two in combinations(sorted(who for who, count in self.counts.items() if count), 2):
            if two[0][0] != two[1][0]:
                continue
            gap = self.served.get(two[0], 0.0) - self.served.get(two[1], 0.0)
            low, high = self.drift.get(two, (gap, gap))
            low, high = self.drift[two] = min(low, gap), max(high, gap)
            self.widest = max(self.widest, high - low)

    def _who(self, request: Request) -> Who:
        return self.among(request) if self.among else 0, request.tenant
