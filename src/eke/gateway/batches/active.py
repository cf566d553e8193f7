"""A batch that runs, as one gateway sees it."""

from __future__ import annotations

from eke.gateway.batches.asking import Asking
from eke.gateway.batches.batch import batch_of, urgency
from eke.gateway.batches.choosing import Standing
from eke.gateway.state.documents import Document

FRESH = 20.0  # in a queue, before a line of the lowest class is asked anew [s]
PAUSES = 1.0, 60.0  # when lines are refused, the first and the longest, doubling [s]


class Active:
    """One batch with lines to be asked.

    lines: those under way here, by the id of their works.  dry: nobody waits, as far as known.
    until: no line is asked before, UTC [s].
    """

    def __init__(self, document: Document) -> None:
        batch = batch_of(document)
        self.id, self.tenant, self.created = document.id, document.tenant, document.created
        self.model, self.window = batch.model or "", batch.window
        self.ends = document.created + batch.window
        self.lines: dict[str, Asking] = {}
        self.dry = False
        self.until = float("-inf")
        self._pause = PAUSES[0]

    def standing(self, room: int, wall: float) -> Standing:
        """What it can use of some room. wall: UTC [s]."""
        closed = self.dry or wall < self.until or wall >= self.ends
        return Standing(self.id, self.tenant, self.ends, 0 if closed else room)

    def refused(self, seconds: float, wall: float) -> float:
        """A line is to be asked again later; when, UTC [s]. None is asked before, and each time the
        pause is longer: what refuses one refuses all."""
        if wall >= self.until:
            self.until = wall + max(seconds, self._pause)
            self._pause = min(2 * self._pause, PAUSES[1])
        return max(self.until, wall + seconds)

    def worked(self) -> None:
        """A line was answered."""
        self._pause = PAUSES[0]

    def refresh(self, now: float, wall: float) -> None:
        """Take those lines out of the queue that came into a class more urgent, and those that
        have stood there so long that they begin to go before others of higher classes. now, wall:
        the gateway's clock and UTC [s]."""
        level = urgency(self.created, self.window, wall)
        for asking in self.lines.values():
            if not asking.waits or asking.errand is None or asking.asked is None:
                continue
            old = asking.errand.call.request.priority
            if old > level or (old == urgency(0.0, 1.0, 0.0) and now - asking.asked > FRESH):
                asking.withdraw()

    def stop(self, state: str) -> None:
        """Nobody wants its lines any more."""
        self.dry = True
        for asking in self.lines.values():
            asking.stop(state)
