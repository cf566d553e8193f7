"""No gateway at all: what stands before engines today."""

from __future__ import annotations

from eke.policy.protocol import (
    Action,
    Arrived,
    EngineReport,
    Event,
    Failed,
    Finished,
    Left,
    Place,
    Reject,
    Start,
)


class Direct:
    """Each request goes at once where fewest are, however full that engine is.

    The baseline that other policies are to beat: the backlog lies inside the engines, in the order
    in which it came, and nobody is told anything. So it keeps neither to engines' places nor to
    their memory, which the contract of policies demands. Whole replicas are not given away.
    """

    def __init__(self) -> None:
        self.alarm: float | None = None
        self.hear_first = False
        self.inside: dict[int, int] = {}  # engine that takes requests → how many it has
        self.where: dict[int, int] = {}
        self.stranded: dict[int, None] = {}  # who came while no engine was there

    def on(self, event: Event, now: float) -> list[Action]:
        """What to do about an event. now: never runs back [s]."""
        if isinstance(event, Arrived):
            if event.request.work:
                return [Reject(event.request.id, "no whole replica is given away")]
            return self._start(event.request.id)
        if isinstance(event, Finished | Left | Failed):
            self.stranded.pop(event.request, None)
            engine = self.where.pop(event.request, None)
            if engine in self.inside:
                self.inside[engine] -= 1
            return self._start(event.request) if isinstance(event, Failed) else []
        return self._heard(event) if isinstance(event, EngineReport) else []

    def place(self, request: int, now: float) -> Place | None:
        """Where a request stands; only those without any engine wait here."""
        if request not in self.stranded:
            return None
        return Place(before=list(self.stranded).index(request))

    def _start(self, request: int) -> list[Action]:
        if not self.inside:
            self.stranded[request] = None
            return []
        engine = min(self.inside, key=lambda each: (self.inside[each], each))
        self.inside[engine] += 1
        self.where[request] = engine
        return [Start(request, engine)]

    def _heard(self, report: EngineReport) -> list[Action]:
        """An engine is there, or is not."""
        if not report.alive:
            self.inside.pop(report.engine, None)
            return []
        self.inside.setdefault(report.engine, 0)
        waited = list(self.stranded)
        self.stranded.clear()
        return [action for request in waited for action in self._start(request)]
