"""Work that takes a whole engine, such as fine-tuning, in the troughs of everything else."""

from __future__ import annotations

from collections import OrderedDict

from eke.policy.pool import Pool, View
from eke.types.request import Request


class Jobs:
    """Jobs that wait for an idle engine, and those that have one.

    A job starts when nobody else waits, and the engines without its own can carry what is in
    flight with room to spare. It is stopped as soon as a request finds no room; it keeps its
    progress, and goes first when there is a trough again.

    spare: share of the other engines that must be free.  quiet: time without stops before a job
    starts again [s].
    """

    __slots__ = ("quiet", "running", "spare", "until", "waiting")

    def __init__(self, spare: float = 0.5, quiet: float = 10.0) -> None:
        self.spare, self.quiet = spare, quiet
        self.waiting: OrderedDict[int, Request] = OrderedDict()
        self.running: dict[int, tuple[Request, View]] = {}
        self.until = float("-inf")  # no job starts before

    def again(self, request: Request) -> None:
        """A job that had an engine waits again, first."""
        self.waiting[request.id] = request
        self.waiting.move_to_end(request.id, last=False)

    def trough(self, pool: Pool, flying: int) -> View | None:
        """An idle engine that can be spared. flying: requests in flight."""
        view = pool.widest()
        if view is None or view.running:
            return None
        others = pool.slots - view.limit - sum(each.limit for _, each in self.running.values())
        if flying > (1 - self.spare) * others:
            return None
        held = sum(each.held for each in pool.views.values())
        room = sum(each.free + each.held for each in pool.by_room() if each is not view)
        return view if held <= (1 - self.spare) * room else None

    def start(self, view: View) -> Request:
        """Give the first job an engine."""
        number, request = self.waiting.popitem(last=False)
        view.busy = number
        view.settle()
        self.running[number] = request, view
        return request

    def stop(self, now: float) -> Request | None:
        """Take its engine from the job that had it for the shortest time."""
        for number, (_, view) in reversed(self.running.items()):
            if view.alive and not view.doubted:
                self.until = now + self.quiet
                return self.end(number)
        return None

    def end(self, number: int) -> Request:
        """A job does not have its engine any more."""
        request, view = self.running.pop(number)
        view.busy = None
        view.settle()
        view.pool.freed(view)
        return request
