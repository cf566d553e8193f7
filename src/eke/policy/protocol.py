"""What goes into a policy and what comes out: events, actions, one alarm.

A driver, the simulator or the gateway, tells a policy of every event in the order of time and does
what it answers. A policy knows no clock, no chance and no file; the state of engines reaches it
only through reports, which may be late.
"""

from __future__ import annotations

from typing import Protocol

from eke.types.record import Message, Record
from eke.types.request import Request


class Arrived(Message, tag=True):
    """A request came."""

    request: Request


class FirstToken(Message, tag=True):
    """The first token of a request's answer is there. Only told to policies that `hear_first`."""

    request: int


class Finished(Message, tag=True):
    """A request is answered. tokens: of its answer.  cached: of its prompt, not computed anew."""

    request: int
    tokens: int
    cached: int = 0


class Failed(Message, tag=True):
    """What was started came to nothing: its engine died, or answered with an error.

    The request waits again: the policy starts it anew, or rejects it. tokens: given before.
    """

    request: int
    reason: str
    tokens: int = 0


class Left(Message, tag=True):
    """The client of a request went away, before it was started or after; nobody waits for it.

    The driver takes it off its engine by itself: no Stop is asked for."""

    request: int


class EngineReport(Message, tag=True):
    """State of one engine at `as_of` [s]; the first report of an engine introduces it.

    slots: sequences it takes in flight at most.  room: tokens its cache holds.  running, waiting:
    sequences in flight, and in its own queue.  held: tokens in the cache of those in flight.
    longest: context it is set up for [tokens].  alive: whether it takes requests.
    model: what it serves.  seconds_per_token: of work done lately, mean over prompt tokens not
    cached and answer tokens; None before anything was done.
    """

    engine: int
    as_of: float
    slots: int
    room: int
    running: int = 0
    waiting: int = 0
    held: int = 0
    longest: int = 1 << 40
    alive: bool = True
    model: str = ""
    seconds_per_token: float | None = None


class Tick(Message, tag=True):
    """The policy's own alarm went off."""


Event = Arrived | FirstToken | Finished | Failed | Left | EngineReport | Tick


class Start(Message, tag=True):
    """Hand a request to an engine. most: cut the answer there [tokens].  rung: what was degraded,
    in words, as the client is told; "" for nothing."""

    request: int
    engine: int
    most: int | None = None
    rung: str = ""


class Reject(Message, tag=True):
    """Refuse a request that is not started. reason: a few words, the same for the same cause.
    retry_after: when to ask again, from now [s].  place: how many wait before it."""

    request: int
    reason: str
    retry_after: float | None = None
    place: int | None = None


class Stop(Message, tag=True):
    """Take a started request back from its engine: it waits again, to be started anew, and what
    was computed is lost; work of a whole replica goes on where it was."""

    request: int
    reason: str


Action = Start | Reject | Stop


class Place(Record):
    """Where a waiting request stands. before: requests that go first.  eta: until it is started, as
    far as can be told now [s]."""

    before: int
    eta: float | None = None


class Lane(Message):
    """Leave for whoever comes next, while nobody waits, to start on one engine at once, as long as
    fewer than `places` run there and the prompt with min(likely, most) fits into `room` beside what
    is `held` [tokens]. ceiling: prompt and answer together; a longer answer is cut, a longer prompt
    has no leave. running: of these, already under way.  story: every start and end is to be told
    afterwards, not only what is under way then."""

    engine: int
    running: int
    places: int
    held: float
    room: float
    ceiling: int
    story: bool = False


class Policy(Protocol):
    """alarm: when it next wants a Tick [s], None for never.  hear_first: whether it wants to be
    told of first tokens.

    For the speed of simulations a policy may say more; it changes nothing of what happens.
    `quiet = True`: it wants nothing done about a Finished while no request waits with it.
    `lane() -> Lane | None`: what it would answer to those who come next, as long as nothing else
    happens than arrivals, ends and reports. `passing(running, held)`: how full the engine then is.
    `passed(started, ended, story)`: what came of it, before anything else happens. Those started
    are under way, with what each holds; those ended were under way before; the story, told after
    each lane that asks for it, has each request that started and, by number, each that ended, with
    its tokens and those cached.
    """

    alarm: float | None
    hear_first: bool

    def on(self, event: Event, now: float) -> list[Action]:
        """What to do about an event. now: never runs back [s]."""
        ...

    def place(self, request: int, now: float) -> Place | None:
        """Where a request stands in the queue; None when it does not wait."""
        ...
