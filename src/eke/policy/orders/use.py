"""How much of the engines a group of requests has in flight."""

from __future__ import annotations

from eke.policy.pool import Pool
from eke.types.request import Request


class Use:
    """Sequences and tokens in flight, by forecast."""

    __slots__ = ("count", "tokens")

    def __init__(self) -> None:
        self.count = 0
        self.tokens = 0.0

    def add(self, request: Request) -> None:
        """A request of the group started."""
        self.count += 1
        self.tokens += size(request)

    def remove(self, request: Request) -> None:
        """A request of the group is over."""
        self.count -= 1
        self.tokens = self.tokens - size(request) if self.count else 0.0

    def within(self, share: float, pool: Pool, request: Request) -> bool:
        """Whether a request more is still within a share of the slots and of the cache."""
        return (
            self.count + 1 <= share * pool.slots
            and self.tokens + size(request) <= share * pool.room
        )

    def part(self, pool: Pool) -> float:
        """Share of slots or of the cache, whichever is more. Source: ghodsi2011."""
        return max(self.count / (pool.slots or 1), self.tokens / (pool.room or 1))


def size(request: Request) -> float:
    """What a request will hold at its end, by forecast [tokens]."""
    likely, most = request.likely, request.most
    return request.prompt + (likely if likely < most else most)
