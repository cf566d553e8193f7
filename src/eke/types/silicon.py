"""Chips of one's own: uncertain numbers, processes, and what buying, renting or building costs."""

from __future__ import annotations

from typing import Literal

from eke.types.chip import Chip
from eke.types.need import Ground, GroundKind, Span
from eke.types.plan import Plan
from eke.types.record import Record

LawName = Literal["fixed", "triangular", "normal", "lognormal", "uniform", "chance"]


class Law(Record):
    """How an uncertain number is distributed.

    numbers: fixed, the value.  triangular: least, likeliest, most.  normal: mean, standard
    deviation.  lognormal: median, standard deviation as a factor.  uniform: least, most.  chance:
    with which it is the second number; else it is 0.
    """

    name: LawName
    numbers: tuple[float, ...]


class Uncertain(Record):
    """A number with its law, and where it comes from. least, most: beyond which it makes no
    sense."""

    name: str
    law: Law
    unit: str
    kind: GroundKind
    source: str
    written: str = ""
    note: str = ""
    least: float = 0.0
    most: float = 1e30


class Node(Record):
    """A process of a foundry. size: its name as a length [m].  values: by name."""

    id: str
    size: float
    values: dict[str, Uncertain]


class Offer(Record):
    """A way to get chips and what a useful token then costs.

    how: "build", "buy", "rent" or "own" (what its maker pays).  cost: per million useful tokens
    [USD].  parts: of its likeliest value.  speed: useful tokens per second of a chip at its peak
    [1/s].  chips: in place at most.  unit: parts of one chip, of chips that are made [USD].  plans:
    that the speed rests on.  cheapest: share of cases in which none costs less.  why_not: why it
    cannot be had.
    """

    name: str
    how: str
    chip: str
    cost: Span | None = None
    parts: dict[str, float] = {}
    speed: Span | None = None
    chips: float = 0.0
    unit: dict[str, float] = {}
    plans: tuple[Plan, ...] = ()
    cheapest: float = 0.0
    why_not: str = ""


class Swing(Record):
    """What one input does to the gain [USD] at its low and its high end [unit]."""

    name: str
    low: float
    high: float
    unit: str
    gain_low: float
    gain_high: float


class Turning(Record):
    """Where building begins to pay off, everything else as likely: `name` above or below `at`
    [unit]."""

    name: str
    now: float
    at: float
    unit: str
    above: bool


class Gain(Record):
    """What building saves against one of the others, as today's worth [USD].

    low, middle, high: 10 %, 50 % and 90 % of cases.  chance: that it is above zero.  quantiles: of
    the cases, at the middles of as many equal shares.  break_even: chips per year from which it is
    above zero [1/s], None where no volume does.  swings: the widest first.  turnings: what would
    have to be true.  Of the cheapest in each case the last three are not told.
    """

    against: str
    likely: float
    mean: float
    low: float
    middle: float
    high: float
    chance: float
    quantiles: tuple[float, ...] = ()
    break_even: float | None = None
    swings: tuple[Swing, ...] = ()
    turnings: tuple[Turning, ...] = ()


class ChipChoice(Record, tag="chip choice", tag_field="answer"):
    """Buy, rent or build.

    offers: the cheapest first.  gains: of building against each of the others, then against
    whichever of several is cheapest in each case.  tokens: useful ones in full swing [1/s].
    """

    job: str
    offers: tuple[Offer, ...]
    gains: tuple[Gain, ...]
    volume: float | None
    years: float
    tokens: float
    samples: int
    seed: int
    grounds: tuple[Ground, ...]
    remarks: tuple[str, ...] = ()


class Design(Record):
    """One way to spend the area of a chip, or a chip of the catalogue priced by the same rules.

    areas: of all dies together, by part [m2].  unit: parts of what one costs to make [USD].
    per_dollar: useful tokens per dollar of everything [1/USD].  per_joule: per energy at the meter
    of the site [1/J].  speed: useful tokens per second of a chip at the peak [1/s].  binds: by how
    much a resource that is 1 % larger makes it faster [%].  bound: what keeps the design from more.
    clock: over the highest.
    """

    name: str
    shape: str
    chip: Chip
    areas: dict[str, float]
    dies: int
    stacks: int
    unit: dict[str, float]
    per_dollar: float
    per_joule: float
    speed: Span
    binds: dict[str, float]
    bound: tuple[str, ...]
    plans: tuple[Plan, ...]
    clock: float = 1.0


class Designs(Record, tag="designs", tag_field="answer"):
    """The designs that none beats in tokens per dollar and per joule, the cheapest token first.

    others: those that only designs of other shapes beat.  references: chips of the catalogue by the
    same rules.  budget: area of all dies of a package at most [m2].  considered: designs looked at,
    of which `priced` were priced and the others ruled out before.
    """

    job: str
    node: str
    budget: float
    points: tuple[Design, ...]
    others: tuple[Design, ...]
    references: tuple[Design, ...]
    considered: int
    priced: int
    grounds: tuple[Ground, ...]
    remarks: tuple[str, ...] = ()
