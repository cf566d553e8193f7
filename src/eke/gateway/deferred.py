"""Errands that are charged only when their result is stored: others may make it in the end."""

from __future__ import annotations

from eke.gateway.asker import Asker
from eke.gateway.changes import Usage
from eke.gateway.errand import Errand
from eke.gateway.gateway import Gateway
from eke.gateway.row import REFUSED, Row
from eke.gateway.settled import row_of


class Deferred(Errand):
    """An errand that is charged when its result is stored, and for nothing if it is not.

    row: what it took, when it is over; None if it was taken back, or is closed.
    """

    __slots__ = ("row",)

    def __init__(self, gateway: Gateway, asker: Asker, body: bytes) -> None:
        self.row: Row | None = None
        super().__init__(gateway, asker, body)

    def settle(self, usage: Usage | None, tokens: int, outcome: str, reason: str = "") -> Row:
        """It is over. One that was taken back is over already, and took nothing."""
        if not self.settled:
            return super().settle(usage, tokens, outcome, reason)
        return row_of(self, (0, 0, 0), (REFUSED, reason), self.gateway.clock.now())

    def charge(self, row: Row) -> None:
        """Wait for what becomes of it."""
        self.row = row

    def close(self, charged: bool) -> None:
        """Tell the ledger and the log, now that it is known whether it is charged; once."""
        row, self.row = self.row, None
        if row is not None:
            super().charge(row if charged else spared(row))


def spared(row: Row) -> Row:
    """What a request takes that is not charged: chips were used, tokens are not counted."""
    return row._replace(prompt=0, tokens=0, cached=0, charged=0.0, saved=0.0)
