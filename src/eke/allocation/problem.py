"""What there is to share and who asks for it, as numbers and arrays.

T periods, each of S parts of the day; P pools of equal chips at Z sites; U uses, whose lines ask
for work; options say how a line's work is done in a pool. Work is in units of the line's own.
"""

from __future__ import annotations

from typing import Any

from eke.types.record import Record

FOREVER = float("inf")


class Line(Record):
    """One thing that is asked for. use: whose it is.  worth: of a unit of work [USD].  priority:
    lower numbers come first, whatever others are worth."""

    name: str
    use: int
    worth: float
    priority: int = 1


class Flow(Line):
    """Work that is done when it comes or not at all. asked: in every part of every period (T, S).
    floor: share of it that is promised.  whole: units of its options are whole replicas."""

    asked: Any
    floor: float = 0.0
    whole: bool = False


class Stage(Record):
    """How late work of a queue, or a project, may be done, and what it is still worth. until: for
    a queue, periods after the one in which it came; for a project, the period before which it must
    be done.  keeps: share of the worth."""

    until: int
    keeps: float = 1.0


class Queue(Line):
    """Work that waits its turn, the oldest first. asked: comes in every period (T,).  stages: the
    first is on time.  floor: share that is promised to be done."""

    asked: Any
    stages: tuple[Stage, ...]
    floor: float = 0.0


class Project(Line):
    """One piece of work of size 1, wholly done or not at all, in one place at a time. begin: the
    first period in which it may run.  promised: it must be done.  choice: of those with the same
    number at most one is done."""

    choice: int
    begin: int
    stages: tuple[Stage, ...]
    promised: bool = False


class Options(Record):
    """Ways of doing a line's work, as arrays over options, sorted by line and then by pool.

    chips: of one unit.  rate: work of a unit [1/s].  quality: share of the line's worth.  power: of
    a unit at work [W].  cost: of running a unit [USD/s].
    """

    line: Any
    pool: Any
    chips: Any
    rate: Any
    quality: Any
    power: Any
    cost: Any


class Pools(Record):
    """Arrays over pools. have: usable chips (P, T).  more: chips that may be rented beside (P, T),
    at `price` each [USD/s] (P,).  site: where it is (P,).  carbon: of its grid [kg/J] (P,).
    per_rack: chips of a rack (P,)."""

    have: Any
    more: Any
    price: Any
    site: Any
    carbon: Any
    per_rack: Any


class Problem(Record):
    """What is to be shared.

    seconds: of each part of the day in a period (S,).  power: that a site may draw [W] (Z,).
    racks: that fit there (Z,).  budget: for rent and running, in each period [USD] (T,).  carbon:
    over all periods [kg].  moving: what it costs to bring a use to one chip more of a pool [USD]
    (U, P).  least, most: chips of a use at any time, on average over the day (U, T).
    """

    seconds: Any
    pools: Pools
    options: Options
    lines: tuple[Line, ...]
    power: Any
    racks: Any
    budget: Any
    carbon: float
    moving: Any
    least: Any
    most: Any

    @property
    def shape(self) -> tuple[int, int, int]:
        """Options, periods, parts of the day."""
        return len(self.options.line), self.pools.have.shape[1], len(self.seconds)
