"""One request on its way between its client, the policy and an engine."""

from __future__ import annotations

from asyncio import Future, get_running_loop
from math import inf
from typing import TYPE_CHECKING, Any

from eke.gateway.settings import EngineSettings
from eke.policy.protocol import Reject
from eke.types.request import Request

if TYPE_CHECKING:
    from eke.gateway.engines.engine import Engine

HIGH = 1 << 18  # bytes taken from an engine and not yet by the client, before it is held back


class Call:
    """What happens to one request, as others tell it; whoever answers the client waits for news.

    The policy starts or refuses it, its engine sends a head, pieces of a body and an end, or
    breaks; its client may leave. Each is noted here and wakes the one who waits.

    request: as the policy sees it.  engine, most, rung: where it was started, with what taken away.
    refusal: why not.  started: when it last was [s].  first: when its first byte was there [s].
    due: when something must have come from its engine, `patience` after it was expected [s].
    first_asked: the call that this one is to be faster than, which is woken too.
    suspects: engines that answered it with 500, which may be its own doing.
    status, headers: of the engine's answer.  broken: why nothing more will come.
    seconds, cost, energy: of accelerators, all its tries together [s, USD, J].
    """

    __slots__ = (
        *("broken", "cost", "done", "due", "energy", "engine", "exchange", "first", "first_asked"),
        *("headers", "left", "most", "news", "patience", "pieces", "refusal", "request", "rung"),
        *("seconds", "size", "started", "status", "suspects", "tries"),
    )

    def __init__(self, request: Request) -> None:
        self.request = request
        self.engine: Engine | None = None
        self.most: int | None = None
        self.rung = ""
        self.refusal: Reject | None = None
        self.started: float | None = None
        self.first: float | None = None
        self.left = False
        self.tries = 0
        self.suspects: tuple[Engine, ...] = ()
        self.seconds = self.cost = self.energy = 0.0
        self.first_asked: Call | None = None
        self.news: Future[None] | None = None
        self.exchange: Any = None
        self.fresh()

    def fresh(self) -> None:
        """Nothing has come from any engine."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.size = 0
        self.due, self.patience = inf, inf
        self.done = False
        self.broken = ""

    def expect(self, now: float, seconds: float) -> None:
        """Something is to come from its engine within so many seconds."""
        self.due, self.patience = now + seconds, seconds

    def overdue(self, now: float) -> None:
        """Give up an engine that has said nothing for too long. To be called now and then."""
        if now > self.due and self.exchange is not None:
            self.cut()
            self.on_broken(f"nothing came for {self.patience:g} s")

    def pay(self, share: float, engine: EngineSettings) -> None:
        """It had so much of an engine's time [s]."""
        self.seconds += share * engine.chips
        self.cost += share * engine.rate
        self.energy += share * engine.power

    def pay_for(self, other: Call) -> None:
        """What another call took that was made for the same request counts as its own."""
        self.seconds += other.seconds
        self.cost += other.cost
        self.energy += other.energy

    def wake(self) -> None:
        """There is news."""
        if self.first_asked is not None:
            self.first_asked.wake()
        news = self.news
        if news is not None and not news.done():
            news.set_result(None)

    async def hear(self) -> None:
        """Wait for news; whoever waits looks first at what is there."""
        self.news = get_running_loop().create_future()
        try:
            await self.news
        finally:
            self.news = None

    @property
    def decided(self) -> bool:
        """Whether the first of its engine's answer is there, or never will be. Heads tell nothing:
        engines send those of streams before they compute."""
        return bool(self.pieces or self.done or self.broken or self.left) or self.engine is None

    async def begun(self) -> None:
        """Wait until that is decided."""
        while not self.decided:
            await self.hear()

    def begin(self, engine: Engine, most: int | None, rung: str, now: float) -> None:
        """The policy hands it to an engine."""
        self.engine, self.most, self.rung, self.started = engine, most, rung, now
        if not self.request.work:
            engine.coming.add(self.request.id)
        self.wake()

    def refuse(self, refusal: Reject) -> None:
        """The policy says no."""
        self.refusal = refusal
        self.wake()

    def leave(self) -> None:
        """Its client is gone."""
        self.left = True
        self.wake()

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The engine's answer begins."""
        self.status, self.headers = status, headers
        self.wake()

    def on_piece(self, data: bytes) -> None:
        """A piece of the engine's answer."""
        self.pieces.append(data)
        self.size += len(data)
        if self.size > HIGH:
            self.exchange.hold()
        self.wake()

    def on_end(self) -> None:
        """The engine's answer is complete."""
        self.done = True
        self.exchange = None
        self.wake()

    def on_broken(self, reason: str) -> None:
        """Nothing more will come."""
        self.broken = reason
        self.exchange = None
        self.wake()

    def taken(self) -> bytes:
        """All pieces that are there, as one."""
        pieces = self.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.pieces = []
        self.due = inf  # it is the client's turn
        if self.size > HIGH and self.exchange is not None:
            self.exchange.go_on()
        self.size = 0
        return data

    def cut(self) -> None:
        """Tell the engine, by closing its connection, that nobody wants the rest."""
        if self.exchange is not None:
            self.exchange.abort()
            self.exchange = None
