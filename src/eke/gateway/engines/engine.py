"""One engine: what it is given, what it does with it, and what is told of it."""

from __future__ import annotations

from typing import Protocol

from eke.gateway.call import Call
from eke.gateway.engines.breaker import Breaker
from eke.gateway.engines.capacity import PROMPT, Capacity
from eke.gateway.engines.durations import Durations
from eke.gateway.engines.meter import Meter
from eke.gateway.engines.wire import Wire
from eke.gateway.settings import EngineSettings, Patience
from eke.policy.protocol import EngineReport

UNBOUNDED = 1 << 40  # tokens, where nobody says
SMOOTH = 0.1  # of a new request in running means


class Holder(Protocol):
    """A job that has a whole engine, until the last of it is gone."""

    def want(self) -> None:
        """Requests of other gateways need the engine."""

    def knock(self, call: Call) -> None:
        """A request was started on the engine; it is woken when the engine is free for it."""

    def hurry(self) -> None:
        """The gateway ends at once: nobody waits for a checkpoint."""


class Flight:
    """A request on an engine. level: requests at once when it started.  mark, weight: of its share
    of the engine's time."""

    __slots__ = ("began", "level", "mark", "weight")

    def __init__(self, began: float, level: int, mark: float, weight: float) -> None:
        self.began, self.level, self.mark, self.weight = began, level, mark, weight


class Engine:
    """What the gateway knows of one engine.

    models: name in requests → name there.  longest: context it is set up for [tokens].
    running: requests on it from this gateway.  coming: those started that are not sent yet.
    inside, held, room: requests waiting in its own queue, tokens its cache holds and could hold,
    from its metrics.  pace: seconds per token. durations: how long requests have it. used: share of
    its cache, as it says.  silent: it has no metrics.  metered: they say how many wait inside it.
    draining, resting: it gets nothing new, for good or until the administration says so.  given:
    share of its slots that this gateway may use; None for all.  elsewhere: requests on it from
    other gateways.  strangers: requests on it that its policy does not know.  holder: job that has
    it; requests wait for it. lent: whether a job of another gateway has it.
    """

    def __init__(
        self, number: int, settings: EngineSettings, patience: Patience, now: float
    ) -> None:
        self.number, self.settings, self.name = number, settings, settings.name
        self.wire = Wire(settings.url, settings.key, patience.connect)
        self.capacity = Capacity(settings.slots)
        self.breaker = Breaker()
        self.meter = Meter(now)
        self.models = dict(settings.models or {})
        self.longest = UNBOUNDED
        self.room = settings.room or UNBOUNDED
        self.ready = self.silent = self.metered = False
        self.used = 0.0
        self.draining = self.resting = False
        self.given: float | None = None
        self.elsewhere = 0
        self.holder: Holder | None = None
        self.lent = False
        self.running = self.inside = self.held = self.strangers = 0
        self.pace: float | None = None
        self.durations = Durations()
        self.mean = 500.0  # tokens of a request, running mean (assumed at first)
        self.flights: dict[int, Flight] = {}
        self.coming: set[int] = set()
        self.finished = self.failed = self.tokens = 0
        self.trouble = ""

    def change(self, settings: EngineSettings, patience: Patience) -> bool:
        """The same engine under other settings from now on; whether they are others."""
        before, self.settings = self.settings, settings
        self.wire.connect = patience.connect
        if settings.slots != before.slots:
            self.capacity = Capacity(settings.slots)
        if settings.room != before.room or settings.metrics != before.metrics:
            self.room = settings.room or UNBOUNDED  # until its metrics tell
            self.silent = self.metered = False
            self.used, self.inside, self.held = 0.0, 0, 0
        return settings != before

    @property
    def level(self) -> int:
        """Requests that it has, or is being given."""
        return self.running + len(self.coming) + self.elsewhere

    @property
    def alive(self) -> bool:
        """Whether it takes requests."""
        return self.ready and self.breaker.closed and not (self.draining or self.resting)

    @property
    def slots(self) -> int:
        """Requests that this gateway gives it at once."""
        limit = self.capacity.limit
        own = limit if self.given is None else max(1, round(limit * self.given))
        return 0 if self.lent else max(own - self.strangers, 0)

    def report(self, now: float, model: str, share: float = 1.0) -> EngineReport:
        """As a policy hears of it that has so much of it, for a model."""
        slots, room = self.slots, self.room
        if share < 1.0:
            slots, room = max(min(slots, 1), round(slots * share)), max(1, round(room * share))
        return EngineReport(
            *(self.number, now, slots, room, self.running, self.inside, self.held),
            *(min(self.longest, UNBOUNDED), self.alive, model, self.pace),
        )

    def begin(self, call: Call, size: float, now: float) -> None:
        """A request is sent to it. size: tokens it will hold."""
        self.running += 1
        self.coming.discard(call.request.id)
        weight = 0.5 + 0.5 * size / self.mean  # half for its place, half for its memory (assumed)
        mark = self.meter.begin(weight, now)
        self.flights[call.request.id] = Flight(now, self.level, mark, weight)

    def end(self, call: Call, prompt: int, tokens: int, now: float) -> None:
        """A request is off it, and pays its share of the engine's time. prompt: computed, not
        cached.  tokens: of its answer; both 0 when it failed or was left."""
        flight = self.flights.pop(call.request.id)
        level = (flight.level, self.level)
        self.running -= 1
        call.pay(self.meter.end(flight.mark, flight.weight, now), self.settings)
        if prompt or tokens:
            taken = now - flight.began
            self.finished += 1
            self.tokens += tokens
            self.mean += SMOOTH * (prompt + tokens - self.mean)
            self.durations.add(prompt, tokens, taken)
            self.capacity.ended(level, tokens + PROMPT * prompt, taken, now)
            pace = taken / max(flight.level, 1) / max(prompt + tokens, 1)
            self.pace = pace if self.pace is None else self.pace + SMOOTH * (pace - self.pace)
