"""How far apart the service of tenants drifts while they wait."""

from __future__ import annotations

from itertools import combinations

from eke.policy.says import Says
from eke.types.request import Request


class Shares:
    """Service of each tenant, and for each two of them how it drifted while both waited.

    drift: two tenants → lowest and highest difference since both wait.  widest: of all drifts.
    """

    def __init__(self, says: Says) -> None:
        self.service = says.service
        self.served: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.drift: dict[tuple[str, str], tuple[float, float]] = {}
        self.widest = 0.0

    def waits(self, request: Request, more: int) -> None:
        """One request more or less of a tenant waits."""
        count = self.counts[request.tenant] = self.counts.get(request.tenant, 0) + more
        if count == 0:
            self.drift = {two: gap for two, gap in self.drift.items() if request.tenant not in two}

    def finished(self, request: Request, tokens: int) -> None:
        """A tenant was served."""
        if self.service:
            more = self.service(request, tokens)
            self.served[request.tenant] = self.served.get(request.tenant, 0.0) + more

    def look(self) -> None:
        """Note how far apart those are who wait."""
        if self.service is None:
            return
        for two in combinations(sorted(who for who, count in self.counts.items() if count), 2):
            gap = self.served.get(two[0], 0.0) - self.served.get(two[1], 0.0)
            low, high = self.drift.get(two, (gap, gap))
            low, high = self.drift[two] = min(low, gap), max(high, gap)
            self.widest = max(self.widest, high - low)
