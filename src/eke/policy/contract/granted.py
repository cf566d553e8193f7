"""What groups are granted, and what they have of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from eke.policy.orders.use import Use, size
from eke.policy.protocol import EngineReport
from eke.types.request import Request


class Granted:
    """Shares of the engines by group, and what each has in flight.

    shares: of slots and cache, by group.  whose: which group a request counts for.
    """

    def __init__(self, shares: Mapping[str, float], whose: Callable[[Request], str] | None) -> None:
        self.shares, self.whose = shares, whose
        self.uses = {group: Use() for group in shares}

    def group(self, request: Request) -> str:
        """Whose share a request counts for; "" for nobody's."""
        group = "" if self.whose is None or request.work else self.whose(request)
        return group if group in self.shares else ""

    def starts(self, request: Request) -> None:
        """A request is in flight."""
        if group := self.group(request):
            self.uses[group].add(request)

    def lands(self, request: Request) -> None:
        """A request is in flight no more."""
        if group := self.group(request):
            self.uses[group].remove(request)

    def allows(self, request: Request, reports: Iterable[EngineReport]) -> bool:
        """Whether a request more is within the share of its group, which it has; one always is.

        reports: of the engines alive.
        """
        share, use = self.shares[self.group(request)], self.uses[self.group(request)]
        slots, room = 0, 0
        for report in reports:
            slots, room = slots + report.slots, room + report.room
        return use.count == 0 or (
            use.count + 1 <= share * slots and use.tokens + size(request) <= share * room
        )
