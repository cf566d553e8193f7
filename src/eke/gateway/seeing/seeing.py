"""Everything that looks at one gateway, beaten once a second."""

from __future__ import annotations

import logging
import re
from asyncio import sleep

from eke.gateway.gateway import Gateway
from eke.gateway.row import FAILED, FINISHED, REFUSED, STOPPED, Row
from eke.gateway.seeing.census import Counting
from eke.gateway.seeing.history import History
from eke.gateway.seeing.logs import RequestLog
from eke.gateway.seeing.meters import Meters
from eke.gateway.seeing.traces import Traces
from eke.gateway.troubles import troubles

log = logging.getLogger("eke.gateway")

OUTCOMES = (FINISHED, REFUSED, STOPPED, FAILED)
BEAT = 1.0  # between samples [s]


class Seeing:
    """What is seen of a gateway.

    log: of requests, None for none.  traces: None for none.
    meters: numbers of requests that are over.  counting: of those under way.  history: of the last
    minutes.  lag: how late the event loop was at the last beat [s].  jumps: of the calendar.
    """

    def __init__(
        self, gateway: Gateway, log: RequestLog | None = None, traces: Traces | None = None
    ) -> None:
        self.gateway, self.log, self.traces = gateway, log, traces
        self._written: list[RequestLog | Traces] = [each for each in (log, traces) if each]
        self.meters = Meters(lambda: gateway.tenants.by_name)
        self.counting = Counting(gateway)
        self.history = History()
        self.lag = 0.0
        self.jumps = 0
        self.version = _version()
        self._last = gateway.clock.now()

    def over(self, row: Row) -> None:
        """A request is over."""
        self.meters.over(row)
        for each in self._written:
            each.over(row)

    async def beat(self) -> None:
        """Look at everything once a second, until cancelled; then write what is left."""
        loop = self.gateway.loop
        due = loop.time()
        try:
            while True:
                due += BEAT
                await sleep(max(due - loop.time(), 0.0))
                self.lag = max(loop.time() - due, 0.0)
                if self.lag > BEAT:
                    due = loop.time()  # what was missed is not made up for
                with troubles("a look at the gateway"):
                    self.look()
                    for each in self._written:
                        await each.write()
        finally:
            for each in self._written:
                each.close()

    def look(self) -> None:
        """One sample, and a look at the calendar."""
        gateway = self.gateway
        now = gateway.clock.now()
        lately = self.meters.fade(now - self._last)
        self._last = now
        ended = {name: float(lately.outcomes[name]) for name in OUTCOMES}
        levels = {
            "answer": float(lately.answer),
            "waiting": float(sum(desk.waiting for desk in gateway.all_desks())),
            "running": float(sum(engine.running for engine in gateway.engines.values())),
            "lag": self.lag,
        }
        self.history.add(now, {**ended, **levels}, {"first": lately.first, "wait": lately.wait})
        jump = gateway.clock.look()
        if jump:
            self.jumps += 1
            log.warning("the calendar jumped by %g s and is believed now", jump)

    def numbered(self, text: str) -> int | None:
        """The number in one; None where it is not of this gateway."""
        match = re.fullmatch(r"req_([0-9a-f]+)_([0-9a-f]{1,12})", text)
        if match is None or match[1] != self.gateway.mark:
            return None
        return int(match[2], 16)


def _version() -> str:
    """Of eke, as installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("eke")
    except PackageNotFoundError:
        return "unknown"
