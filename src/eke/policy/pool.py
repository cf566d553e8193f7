"""What a policy believes of engines: their reports, and what it started there itself."""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace

from eke.policy.protocol import EngineReport

CLOSED = -1.0  # free room of an engine that takes nothing now
SPARE = 64  # superseded entries of the heap before it is built anew
PATIENT = 3  # reports in a row with requests waiting inside before an engine counts as full


class View:
    """One engine as it is believed to be.

    pool: engines it may stand in for.  limit: sequences it is given in flight at most.
    running, held: sequences and tokens in flight by this policy's own count.
    free: room for more [tokens], CLOSED when it takes nothing.
    ceiling: longest context it can finish [tokens].  pace: seconds per token.
    doubted: it failed, and has neither finished anything nor reported since.
    busy: number of the job of a whole replica that has it.  takes: whether it is alive, trusted
    and not so busy.  stands: free room under which it stands in its pool's heap, CLOSED when it
    does not; never less than its true one.
    """

    __slots__ = (
        *("alive", "as_of", "busy", "ceiling", "doubted", "failed", "free", "held", "inside"),
        *("limit", "model", "number", "pace", "pool", "pressed", "room", "running", "slots"),
        *("stands", "takes"),
    )

    def __init__(self, number: int, pool: Pool) -> None:
        self.number, self.pool = number, pool
        self.as_of = self.failed = float("-inf")
        self.alive = self.doubted = self.takes = False
        self.model = ""
        self.slots = self.limit = self.room = self.ceiling = self.running = 0
        self.held = 0.0
        self.free = self.stands = CLOSED
        self.pace: float | None = None
        self.busy: int | None = None
        self.inside = self.pressed = 0

    def settle(self) -> None:
        """Work out anew whether it takes anything, and how much."""
        self.takes = self.alive and self.busy is None and not self.doubted
        self.pool.open -= self.free >= 0.0
        self.free = self.room - self.held if self.takes and self.running < self.limit else CLOSED
        self.pool.open += self.free >= 0.0

    def fail(self, now: float) -> None:
        """Something it had came to nothing: it may be dead before a report says so."""
        self.doubted, self.failed = True, now
        self.settle()

    def hear(self, report: EngineReport) -> None:
        """Believe a report, unless a newer one was heard."""
        if report.as_of < self.as_of:
            return
        self.as_of = report.as_of
        self.alive, self.model, self.room = report.alive, report.model, report.room
        self.doubted = self.doubted and report.as_of <= self.failed
        self.ceiling = min(report.longest, report.room)
        self.pace = report.seconds_per_token or self.pace
        self._learn(report)
        self.settle()

    def _learn(self, report: EngineReport) -> None:
        """Find out how many sequences it really runs.

        When requests wait inside through PATIENT reports in a row, it is given as many fewer as
        waited in all of them; each report in which none wait gives an eighth more, up to its
        slots. Like congestion control, this also leaves room for others who use the engine.
        Source: chiu1989 (additive increase, multiplicative decrease).
        """
        if report.slots != self.slots:
            self.slots = self.limit = report.slots
        if report.waiting == 0:
            self.pressed = 0
            self.limit = min(self.slots, self.limit + 1 + self.limit // 8)
            return
        self.inside = min(self.inside, report.waiting) if self.pressed else report.waiting
        self.pressed += 1
        if self.pressed >= PATIENT:
            self.limit = max(1, min(self.limit, self.running) - self.inside)
            self.pressed = 0


class Pool:
    """Engines that may stand in for each other, the one with most free room at hand.

    engines, slots, room: of those alive.  rate: tokens they do per second, 0 while nobody knows;
    paced: how many of them tell.
    longest: context that any of them, alive or not, can finish; more than any until one is known.
    barred: engines that can finish contexts as long as this are kept for someone [tokens].
    open: how many take something now.  even: whether all can finish the same.
    only: the engine, where there is but one.
    """

    __slots__ = (
        *("barred", "engines", "even", "heap", "longest", "only", "open", "paced", "rate", "room"),
        *("slots", "views"),
    )

    def __init__(self) -> None:
        self.views: dict[int, View] = {}
        self.heap: list[tuple[float, int]] = []
        self.engines = self.slots = self.room = self.open = self.paced = 0
        self.rate = 0.0
        self.longest = self.barred = float("inf")
        self.even = True
        self.only: View | None = None

    def hear(self, report: EngineReport) -> View:
        """Take in a report of one of its engines, or of a new one."""
        view = self.views.get(report.engine)
        if view is None:
            view = self.views[report.engine] = View(report.engine, self)
            self.only = view if len(self.views) == 1 else None
        self._count(view, -1)
        ceiling = view.ceiling
        view.hear(report)
        self._count(view, 1)
        if view.ceiling != ceiling:
            ceilings = {each.ceiling for each in self.views.values()}
            self.longest, self.even = max(ceilings), len(ceilings) == 1
        self.freed(view)
        return view

    def widest(self) -> View | None:
        """The engine with most free room, lowest number first; None when all are closed.

        Entries of the heap stand at least as high as they should: room that grows is entered at
        once, room that shrinks is found out here.
        """
        heap, views = self.heap, self.views
        while heap:
            key, number = heap[0]
            view = views[number]
            if view.free == -key:
                return view
            if view.stands != -key:
                heappop(heap)  # it stands elsewhere
            elif view.free < 0.0:
                heappop(heap)
                view.stands = CLOSED
            else:
                view.stands = view.free
                heapreplace(heap, (-view.free, number))
        return None

    def freed(self, view: View) -> None:
        """An engine's free room may have grown."""
        if view.free > view.stands:
            view.stands = view.free
            heap = self.heap
            heappush(heap, (-view.free, view.number))
            if len(heap) > 4 * len(self.views) + SPARE:
                self._sift()

    def by_room(self) -> list[View]:
        """Engines that take something, most free room first."""
        free = [view for view in self.views.values() if view.free > 0.0]
        return sorted(free, key=lambda view: (-view.free, view.number))

    def _sift(self) -> None:
        """Throw away what was superseded."""
        views = self.views
        self.heap = list({entry for entry in self.heap if views[entry[1]].stands == -entry[0]})
        heapify(self.heap)

    def _count(self, view: View, sign: int) -> None:
        """Add an engine to the totals, or take it out of them."""
        if view.alive:
            self.engines += sign
            self.slots += sign * view.limit
            self.room += sign * view.room
            if view.pace:
                self.paced += sign
                self.rate += sign / view.pace
        if not self.paced:
            self.rate = 0.0  # sums of fractions may miss it
