"""Names under which things are counted: few enough, and nothing in them that a client wrote."""

from __future__ import annotations

from collections.abc import Callable, Container

from eke.gateway.row import Row

OTHER = "other"
STRANGERS = 200  # tenants that no configuration names, before the rest of them are counted as one
REASONS = 60  # different reasons, before the rest of them are counted as one

LONGEST = 80  # letters of a reason


class Names:
    """Gives each name back while they are few, and OTHER for those that come too late.

    most: names that are told apart.  known: whether a name is always one of them.
    """

    __slots__ = ("_seen", "known", "most")

    def __init__(self, most: int, known: Callable[[], Container[str]] = tuple) -> None:
        self.most, self.known = most, known
        self._seen: set[str] = set()

    def of(self, name: str) -> str:
        """What a name is counted under."""
        if name in self._seen or name in self.known():
            return name
        if len(self._seen) >= self.most:
            return OTHER
        self._seen.add(name)
        return name


def reason_of(row: Row) -> str:
    """Why a request was not answered."""
    return row.reason[:LONGEST] or "no reason given"


def escaped(value: str) -> str:
    """A label's value as Prometheus reads it."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
