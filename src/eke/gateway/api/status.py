"""The status page, the same as JSON, and the metrics."""

from __future__ import annotations

from eke.gateway.api.routes import Asking, Route
from eke.gateway.pages.status_page import body, page
from eke.gateway.seeing.exposition import CONTENT_TYPE
from eke.gateway.seeing.metrics import metrics
from eke.gateway.seeing.seeing import Seeing
from eke.gateway.seeing.states import Status
from eke.gateway.seeing.status import status

HTML = (b"content-type", b"text/html; charset=utf-8")
FRESH = (b"cache-control", b"no-store")
SAFE = (b"x-content-type-options", b"nosniff")
OFTEN = 0.5  # a state is told to all who look within this time [s]


class Told:
    """The state as it was told last, so that a hundred who look cost what one does.

    admin: whether names of tenants and amounts of money are in it.
    """

    def __init__(self, seeing: Seeing, admin: bool) -> None:
        self.seeing, self.admin = seeing, admin
        self._at = float("-inf")
        self._status: Status
        self._body = ""

    async def now(self) -> Status:
        """The state, as of a moment ago."""
        seeing = self.seeing
        census = await seeing.counting.now()
        now = seeing.gateway.clock.now()
        if now - self._at >= OFTEN:
            self._at, self._body = now, ""
            self._status = status(seeing, census, self.admin)
        return self._status

    async def html(self, asking: Asking) -> None:
        """The page, or with ?live=1 what is in it."""
        told = await self.now()
        if "live" not in asking.query:
            await asking.reply(200, page(told, self.seeing.history), (HTML, FRESH, SAFE))
            return
        if not self._body:
            self._body = body(told, self.seeing.history)
        await asking.reply(200, self._body.encode(), (HTML, FRESH, SAFE))

    async def json(self, asking: Asking) -> None:
        """The state as a record."""
        await asking.reply(200, await self.now(), (FRESH,))


def routes(seeing: Seeing) -> tuple[Route, ...]:
    """For everybody: totals and engines, no names of tenants."""
    return _routes(Told(seeing, admin=False))


def admin_routes(seeing: Seeing) -> tuple[Route, ...]:
    """For the administration: everything, and the metrics."""

    async def measured(asking: Asking) -> None:
        kind = (b"content-type", CONTENT_TYPE)
        await asking.reply(200, await metrics(seeing), (kind, FRESH))

    return (*_routes(Told(seeing, admin=True)), Route("GET", "/metrics", measured))


def _routes(told: Told) -> tuple[Route, ...]:
    return (
        Route("GET", "/", told.html),
        Route("GET", "/eke/status", told.html),
        Route("GET", "/eke/status.json", told.json),
    )
