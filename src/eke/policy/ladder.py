"""A declared way down when there is not enough: shorter answers, a smaller model, then no."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

from eke.errors import BadInput
from eke.policy.admission import SOON, Gate
from eke.policy.pool import Pool
from eke.policy.protocol import EngineReport, Reject
from eke.policy.routers.least_load import LeastLoad
from eke.policy.routers.router import Router
from eke.types.request import Request

SHORT, SMALL, REFUSE = "short", "small", "refuse"


class Rung(NamedTuple):
    """What is done on one rung and those above it.

    most: longest answer [tokens].  routers: to engines for those that find no room.
    refuses: whether newcomers are refused.
    """

    most: int
    routers: tuple[Router, ...]
    refuses: bool


class Ladder(Gate):
    """Each step of waiting goes down one rung; every rung above stays in force.

    How far down is told from the wait foretold to the last in the queue or, while nobody knows how
    fast engines are, from how long the first has waited. Each request is told what it lost.

    rungs: in order, each a kind and its value: ("short", "256") cuts answers there [tokens];
    ("small", "name") uses engines that serve that model, or, without a name, any other than
    `main`, for those that find no room; ("refuse", "") refuses newcomers.
    step: wait that each rung stands for [s].  main: model that requests ask for; None until the
    first engine tells its own.
    """

    def __init__(self, rungs: Sequence[tuple[str, str]], step: float = 5.0) -> None:
        if not rungs or {kind for kind, _ in rungs} - {SHORT, SMALL, REFUSE} or step <= 0:
            raise BadInput(
                "a ladder has rungs short:TOKENS, small, small:MODEL and refuse, and a step above "
                "0 s, such as ladder(short:256,small,refuse,step=5s)."
            )
        self.step = step
        self.main: str | None = None
        self.smaller: list[tuple[str, Router]] = []  # model, its engines
        self.rungs = [Rung(sys.maxsize, (), False)]
        for kind, value in rungs:
            self.rungs.append(self._lower(self.rungs[-1], kind, value))

    def pool(self, report: EngineReport, usual: Pool) -> Pool:
        """Which engines the one of a report belongs to. usual: those that need no step down."""
        if self.main is None:
            self.main = report.model
        for model, router in self.smaller:
            if report.model == model or (not model and report.model != self.main):
                return router.pool
        return usual

    def rung(self, now: float) -> Rung:
        """How far down the ladder things are."""
        order, rate = self.forecast.order, self.forecast.pool.rate
        if rate:
            wait = len(order.waiting) * self.forecast.mean / rate
        else:
            first = order.peek(now)
            wait = 0.0 if first is None else now - first.arrived
        return self.rungs[min(int(wait / self.step), len(self.rungs) - 1)]

    def arrives(self, request: Request, now: float) -> Reject | None:
        if not self.rung(now).refuses:
            return None
        waits = len(self.forecast.order.waiting)
        first = next(level for level, rung in enumerate(self.rungs) if rung.refuses)
        again = waits * self.forecast.turn(request) - self.step * (first - 1)
        return Reject(request.id, "too much to do", max(again, SOON), waits)

    def _lower(self, above: Rung, kind: str, value: str) -> Rung:
        """The next rung down."""
        if kind == SHORT:
            return above._replace(most=min(above.most, int(value)))
        if kind == REFUSE:
            return above._replace(refuses=True)
        self.smaller.append((value, LeastLoad()))
        return above._replace(routers=(*above.routers, self.smaller[-1][1]))
