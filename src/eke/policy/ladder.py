"""A declared way down when there is not enough: shorter answers, a smaller model, then no."""

from __future__ import annotations

from collections.abc import Sequence

from eke.errors import BadInput
from eke.policy.admission import SOON, Gate
from eke.policy.pool import Pool
from eke.policy.protocol import EngineReport, Reject
from eke.policy.routers.least_load import LeastLoad
from eke.policy.routers.router import Router
from eke.types.request import Request

SHORT, SMALL, REFUSE = "short", "small", "refuse"


class Ladder(Gate):
    """Each step of waiting goes down one rung; every rung above stays in force.

    How far down is told from the wait foretold to the last in the queue or, while nobody knows how
    fast engines are, from how long the first has waited. Each request is told what it lost.

    rungs: in order, each a kind and its value: ("short", "256") cuts answers there [tokens];
    ("small", "name") uses engines that serve that model, or, without a name, any other than the
    first engine's, for those that find no room; ("refuse", "") refuses newcomers.
    step: wait that each rung stands for [s].
    """

    def __init__(self, rungs: Sequence[tuple[str, str]], step: float = 5.0) -> None:
        if not rungs or {kind for kind, _ in rungs} - {SHORT, SMALL, REFUSE} or step <= 0:
            raise BadInput(
                "a ladder has rungs short:TOKENS, small, small:MODEL and refuse, and a step above "
                "0 s, such as ladder(short:256,small,refuse,step=5s)."
            )
        self.step = step
        self.shorter: list[tuple[int, int]] = []  # level, longest answer
        self.smaller: list[tuple[int, str, Router]] = []  # level, model, its engines
        self.refuses: int | None = None
        self.main: str | None = None
        for level, (kind, value) in enumerate(rungs, 1):
            if kind == SHORT:
                self.shorter.append((level, int(value)))
            elif kind == SMALL:
                self.smaller.append((level, value, LeastLoad()))
            else:
                self.refuses = level

    def pool(self, report: EngineReport, usual: Pool) -> Pool:
        """Which engines the one of a report belongs to. usual: those that need no step down."""
        if self.main is None:
            self.main = report.model
        for _, model, router in self.smaller:
            if report.model == model or (not model and report.model != self.main):
                return router.pool
        return usual

    def level(self, now: float) -> int:
        """How far down the ladder things are; 0 for not at all."""
        order, rate = self.forecast.order, self.forecast.pool.rate
        if rate:
            return int(len(order.waiting) * self.forecast.mean / rate / self.step)
        first = order.peek(now)
        return 0 if first is None else int((now - first.arrived) / self.step)

    def most(self, request: Request, level: int) -> int:
        """Longest answer a request gets [tokens]."""
        cuts = [cut for rung, cut in self.shorter if rung <= level]
        return min([request.most, *cuts])

    def routers(self, level: int) -> list[tuple[str, Router]]:
        """Models to fall back to, with their engines."""
        return [(model, router) for rung, model, router in self.smaller if rung <= level]

    def arrives(self, request: Request, now: float) -> Reject | None:
        if self.refuses is None or self.level(now) < self.refuses:
            return None
        waits = len(self.forecast.order.waiting)
        again = waits * self.forecast.turn(request) - self.step * (self.refuses - 1)
        return Reject(request.id, "too much to do", max(again, SOON), waits)
