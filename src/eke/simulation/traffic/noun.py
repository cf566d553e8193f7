"""The noun: who asks when for how much, as a stream of stretches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from eke.types.arrivals import Arrivals
from eke.types.record import Record

STRETCH = 65_536  # requests; one stretch holds about 8 MB
SHOWN = 5  # reasons kept of rows left out; a broken file may have millions


class Skipped:
    """What the latest pass left out or moved. rows: bad ones left out.  reasons: why, of the first
    few.  moved: rows whose time ran back a little and was taken as the time before.  lifted: rows
    with a length of 0, taken as 1.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin a new pass."""
        self.rows = 0
        self.moved = 0
        self.lifted = 0
        self.reasons: list[str] = []

    def add(self, reason: str) -> None:
        """One more bad row."""
        self.rows += 1
        if len(self.reasons) < SHOWN:
            self.reasons.append(reason)

    def add_up(self, parts: list[Skipped]) -> None:
        """What several parts left out together."""
        self.clear()
        for part in parts:
            self.rows += part.rows
            self.moved += part.moved
            self.lifted += part.lifted
            self.reasons = [*self.reasons, *part.reasons][:SHOWN]

    def words(self) -> str:
        """For people: empty when nothing was left out or moved."""
        parts = [f"{self.rows:,} bad rows left out" if self.rows else ""]
        parts.append(f"{self.moved:,} times that ran back a little moved up" if self.moved else "")
        parts.append(f"{self.lifted:,} lengths of 0 taken as 1" if self.lifted else "")
        return "; ".join(filter(None, parts))


class Traffic(Record):
    """Requests over time.

    chunks: a fresh pass over all of them, in stretches of about STRETCH. Those that follow others
    stand right behind the first of their group and in the same stretch.
    users: of a closed loop: at most so many of the requests that follow nobody, with their groups,
    are in the system at once; the next in line comes `arrived` seconds after one ends.
    seconds: length, where known [s].  remarks: what was assumed, in words.
    skipped: what the latest pass left out.
    """

    name: str
    chunks: Callable[[], Iterator[Arrivals]]
    users: int | None = None
    seconds: float | None = None
    remarks: tuple[str, ...] = ()
    skipped: Skipped
