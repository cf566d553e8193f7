"""The last ten minutes, a sample per second, in memory that does not grow."""

from __future__ import annotations

from array import array

from eke.gateway.seeing.histogram import FINE, percentile

KEPT = 600  # seconds
SLOT = 5  # seconds of a point of a chart
SLOTS = KEPT // SLOT
MINUTE = 60 // SLOT  # slots

# What is known of each second: how many ended in which way, tokens of their answers, who waits and
# who is answered, and how late the event loop was [s].
COLUMNS = ("finished", "refused", "stopped", "failed", "answer", "waiting", "running", "lag")
LEVELS = ("waiting", "running", "lag")  # that are held between samples
SPREADS = ("first", "wait")  # of each slot: counts by the edges of FINE
WIDE = len(FINE) + 1


class History:
    """Samples by the second of the gateway's clock, overwritten after KEPT of them."""

    __slots__ = ("_columns", "_last", "_spreads")

    def __init__(self) -> None:
        self._columns = {name: array("d", bytes(8 * KEPT)) for name in COLUMNS}
        self._spreads = {name: array("I", bytes(4 * SLOTS * WIDE)) for name in SPREADS}
        self._last = -1

    def add(self, now: float, numbers: dict[str, float], spreads: dict[str, list[int]]) -> None:
        """A sample. now: its time, never before the last one's [s]; what ended since that counts
        for its second.

        In seconds without a sample, when the gateway was busy, nothing ended, and levels were as
        the sample finds them.
        """
        second = int(now)
        self._clear(second, numbers)
        place, row = second % KEPT, second // SLOT % SLOTS * WIDE
        for name, column in self._columns.items():
            column[place] = numbers[name] + (0.0 if name in LEVELS else column[place])
        for name, spread in self._spreads.items():
            for edge, count in enumerate(spreads[name], row):
                spread[edge] += count
        self._last = second

    def total(self, name: str, seconds: int = KEPT) -> float:
        """The sum of a column over the last seconds."""
        return sum(self._recent(name)[KEPT - seconds :])

    def lately(self, name: str) -> float:
        """A column per second, mean of the last minute, or since there were any."""
        seconds = max(min(MINUTE * SLOT, self.seconds()), 1)
        return self.total(name, seconds) / seconds

    def rates(self, name: str) -> list[float | None]:
        """A column per second, mean over SLOT of them, oldest first; None before there were any."""
        return [sum(each) / len(each) if each else None for each in self._slots(name)]

    def most(self, name: str) -> list[float | None]:
        """The most of a column in each SLOT, oldest first; None before there were any."""
        return [max(each, default=None) for each in self._slots(name)]

    def percentiles(self, name: str, share: float) -> list[float | None]:
        """A percentile of a spread in each slot, oldest first [s]; None where nothing was."""
        spread = self._turned(name)
        each = range(0, SLOTS * WIDE, WIDE)
        return [percentile(FINE, spread[at : at + WIDE], share) for at in each]

    def percentile(self, name: str, share: float, slots: int = SLOTS) -> float | None:
        """A percentile over the last slots [s]; None where nothing was."""
        recent = self._turned(name)[(SLOTS - slots) * WIDE :]
        return percentile(FINE, [sum(recent[edge::WIDE]) for edge in range(WIDE)], share)

    def seconds(self) -> int:
        """How many of its seconds the gateway was there."""
        return min(self._last + 1, KEPT)

    def _clear(self, second: int, numbers: dict[str, float]) -> None:
        """Make room for a second and for those without a sample before it."""
        for missed in range(max(self._last + 1, second - KEPT + 1), second + 1):
            for name, column in self._columns.items():
                column[missed % KEPT] = numbers[name] if name in LEVELS else 0.0
        slot, last = second // SLOT, self._last // SLOT
        for missed in range(max(last + 1, slot - SLOTS + 1), slot + 1):
            row = missed % SLOTS * WIDE
            for spread in self._spreads.values():
                spread[row : row + WIDE] = array("I", bytes(4 * WIDE))

    def _slots(self, name: str) -> list[array[float]]:
        """The seconds that were, SLOT by SLOT."""
        values, missing = self._recent(name), KEPT - self.seconds()
        return [values[max(at, missing) : at + SLOT] for at in range(0, KEPT, SLOT)]

    def _recent(self, name: str) -> array[float]:
        """A column, oldest first."""
        column, end = self._columns[name], (self._last + 1) % KEPT
        return column[end:] + column[:end]

    def _turned(self, name: str) -> array[int]:
        """A spread, oldest slot first."""
        spread, end = self._spreads[name], (self._last // SLOT + 1) % SLOTS * WIDE
        return spread[end:] + spread[:end]
