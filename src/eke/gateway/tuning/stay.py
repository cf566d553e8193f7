"""What a job takes of an engine, counted by the engine's meter and paid for bit by bit."""

from __future__ import annotations

from eke.gateway.asked import CLASSES
from eke.gateway.engines.engine import Engine
from eke.gateway.gateway import Gateway
from eke.gateway.ledger import FREE, Hold, Use
from eke.gateway.row import TUNE, Row
from eke.gateway.settings import Tenant
from eke.gateway.state.documents import Document
from eke.gateway.tuning.job import Stretch, job_of
from eke.types.request import Request

SLICE = 60.0  # of an engine's time that is reserved at once [s]
TIER = "batch"  # of its rows


class Stay:
    """A job on an engine. began: since when, by the gateway's clock [s]."""

    def __init__(self, gateway: Gateway, tenant: Tenant, engine: Engine) -> None:
        self.gateway, self.tenant, self.engine = gateway, tenant, engine
        self.began = gateway.clock.now()
        self._hold: Hold = FREE
        self._mark: float | None = None
        self._since = self.began  # of the slice
        self._paid = 0.0  # of the engine's time [s]

    @property
    def due(self) -> bool:
        """Whether the next slice is to be reserved."""
        return self.gateway.clock.now() >= self._since + SLICE

    async def reserve(self) -> None:
        """Leave to use the engine for a slice more. Raises Refusal where a budget is spent."""
        ledger, said, wall = self.gateway.ledger, self.engine.settings, self.gateway.clock.wall()
        most = Use(0.0, 0.0, SLICE * said.rate, SLICE * said.chips)
        hold = ledger.reserve(self.tenant, most, wall)
        self._hold = await ledger.fetch(self.tenant, most, wall) if hold is None else hold

    def begin(self) -> None:
        """It has the engine from now on."""
        self.began = self._since = self.gateway.clock.now()
        self._mark = self.engine.meter.begin(1.0, self.began)

    async def go_on(self) -> None:
        """Reserve the next slice and pay for the one that is over. Raises Refusal; then what is
        over is still to be paid."""
        before = self._hold
        await self.reserve()
        now = self.gateway.clock.now()
        self._pay(before, now - self._since)
        self._since = now

    def end(self) -> float:
        """It is off the engine; its share of the engine's time [s]."""
        now, share = self.gateway.clock.now(), 0.0
        if self._mark is not None:
            share = self.engine.meter.end(self._mark, 1.0, now)
        self._pay(self._hold, max(share - self._paid, 0.0))
        return share

    def _pay(self, hold: Hold, seconds: float) -> None:
        said = self.engine.settings
        took = Use(0.0, 0.0, seconds * said.rate, seconds * said.chips)
        self.gateway.ledger.settle(hold, took)
        self._paid += seconds


def stretch_of(gateway: Gateway, request: Request, engine: Engine) -> Stretch:
    """A stretch on an engine that begins now."""
    assert gateway.keeper is not None
    base, wall, said = gateway.clock.wall(0.0), gateway.clock.wall(), engine.settings
    return Stretch(
        gateway=gateway.keeper.name,
        base=base,
        engine=engine.name,
        asked=base + request.arrived,
        began=wall,
        seen=wall,
        number=gateway.number(),
        chips=said.chips,
        rate=said.rate,
        power=said.power,
    )


def row_of(document: Document, stretch: Stretch, end: tuple[str, str, float]) -> Row:
    """What is kept of a job's stretch. end: outcome, reason, and time of the engine [s]."""
    outcome, reason, share = end
    started, cost = stretch.began - stretch.base, share * stretch.rate
    return Row(
        number=stretch.number,
        arrived_at=stretch.asked,
        arrived=stretch.asked - stretch.base,
        started=started,
        first=None,
        finished=started + share,
        prompt=0,
        asked=0,
        tokens=0,
        cached=0,
        tenant=document.tenant,
        kind=TUNE,
        model=job_of(document).model,
        priority=CLASSES[TIER],
        tier=TIER,
        engine=stretch.engine,
        outcome=outcome,
        reason=reason,
        tries=0,
        session=None,
        ttft=None,
        deadline=None,
        seconds=share * stretch.chips,
        energy=share * stretch.power,
        cost=cost,
        charged=cost,
        saved=0.0,
    )


def request_of(gateway: Gateway, tenant: str, work: float) -> Request:
    """A job as policies see it. work: time it will take, as far as known [s]."""
    arrived, number = gateway.clock.now(), gateway.number()
    plain = (number, arrived, 0, 0.0, 0, tenant, TUNE, CLASSES[TIER])
    return Request(*plain, work=max(work, 1.0))
