"""When an engine that fails is left alone, and when it is tried again."""

from __future__ import annotations

FAILURES = 3  # in a row, before it is left alone
FIRST, LONGEST = 1.0, 30.0  # how long, doubling [s]


class Breaker:
    """Closed while an engine is trusted; open for a while after failures in a row, then a look at
    its health closes it again. Source: nygard2018 (circuit breaker).

    failures: of requests in a row.  missed: looks in a row at which it was not there; each is
    counted for itself, since an engine may look healthy and answer nobody, or the other way round.
    until: no look before [s].
    """

    __slots__ = ("closed", "failures", "missed", "until", "wait")

    def __init__(self) -> None:
        self.closed = True
        self.failures = self.missed = 0
        self.wait = FIRST
        self.until = float("-inf")

    def worked(self) -> None:
        """An answer came."""
        self.failures = 0
        self.wait = FIRST

    def failed(self, now: float) -> bool:
        """Nothing came, or nonsense; whether that opened it."""
        self.failures += 1
        if not self.closed or self.failures < FAILURES:
            return False
        self.open(now)
        return True

    def open(self, now: float) -> None:
        """Leave the engine alone for a while."""
        self.closed = False
        self.until = now + self.wait
        self.wait = min(2 * self.wait, LONGEST)

    def looked(self, healthy: bool, now: float) -> bool:
        """A look at the engine's health; whether that opened or closed it."""
        self.missed = 0 if healthy else self.missed + 1
        before = self.closed
        if healthy and not self.closed:
            self.closed = True
            self.failures = FAILURES - 1  # one more failure opens it again
        elif self.missed >= FAILURES or not self.closed:
            self.open(now)
        return self.closed != before
