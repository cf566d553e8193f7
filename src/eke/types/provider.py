"""A provider of AI: chips over time, and the uses that compete for them."""

from __future__ import annotations

from typing import Any, Literal

from eke.types.fleet import Pool
from eke.types.job import Job
from eke.types.plan import Plan
from eke.types.record import Record

Wanted = Literal["value", "cost", "max-min", "proportional"]


class Site(Record):
    """Where chips stand. power: that they may draw [W]; racks: that fit; None is no bound."""

    name: str
    power: float | None = None
    racks: float | None = None


NOWHERE = Site(name="")  # of pools that name no site


class Supply(Record):
    """Equal chips over time.

    there: chips that work, by period, failures and idle spares taken off.  more: that may be rented
    beside them, by period, at `price` [USD/s], of whose time the share `lost` is lost to
    interruptions.  per_rack: chips of a rack.  held: what a chip costs that one has [USD/s], in use
    or not: its lease, or capital, interest and staff.
    """

    name: str
    pool: Pool
    site: Site
    there: tuple[float, ...]
    more: tuple[float, ...]
    price: float
    per_rack: float
    held: float


class Way(Record):
    """A way of doing the work of a line in a pool.

    chips: of one unit.  rate: of its work [1/s]; low, high: how far that may be off, as shares of
    it.  power: it draws at the site's meter [W]; None where nobody says: of chips at work.  keeps:
    share of the worth that its work keeps.  name: what is given up, or as its user calls it.  plan:
    None where the user says how fast it is.
    """

    pool: str
    chips: int
    rate: float
    power: float | None
    keeps: float
    name: str = ""
    low: float = 1.0
    high: float = 1.0
    plan: Plan | None = None


class Variant(Record):
    """What may be planned for a line: a job and decided fields of its plan, which keep that share
    of the worth. name: what is given up, "" for nothing."""

    name: str
    job: Job
    choices: dict[str, Any]
    keeps: float = 1.0


class Lateness(Record):
    """Work may be so late [s] and is then worth this share."""

    by: float
    keeps: float


class Line(Record):
    """One thing a use asks for, in units of work of its own.

    kind: "flow" is done when it comes, "queue" waits, a "project" is done once.  unit: of the work:
    "request", "job", "run" or "chip s".  worth: of a unit [USD].  asked: of a flow by period and
    part of the day; of a queue by period.  begin: of a project, its first period.  lateness: of a
    queue, how long after it came; of a project, when it must be done, from the start on.  whole:
    its ways come in whole units.
    promised: of a project, that it is done.  instead: of a project, the line of which it is a
    lesser version: one of them is done.  variants: from which ways are planned, where `ways`
    are not given.  on: pools it may use.
    """

    name: str
    use: str
    kind: Literal["flow", "queue", "project"]
    unit: str
    worth: float
    priority: int
    asked: tuple[tuple[float, ...], ...] = ()
    floor: float = 0.0
    promised: bool = False
    instead: str | None = None
    begin: int = 0
    lateness: tuple[Lateness, ...] = ()
    whole: bool = False
    variants: tuple[Variant, ...] = ()
    ways: tuple[Way, ...] = ()
    on: tuple[str, ...] = ()


class Use(Record):
    """Who asks. least, most: chips it has at any time on average over the day.  moving: time for
    which a chip is idle that is brought to it [s]."""

    name: str
    least: float
    most: float | None
    moving: float


class Provider(Record):
    """What there is and who asks for it.

    period: its length [s].  parts: of a day, by name, as shares.  budget: for rent and energy, in
    each period [USD].  carbon: over all periods [kg].  slip: of deliveries that the answer also
    looks at [s].  words: the file, as it was read.
    """

    name: str
    start: str
    period: float
    periods: int
    parts: dict[str, float]
    sites: tuple[Site, ...]
    supplies: tuple[Supply, ...]
    uses: tuple[Use, ...]
    lines: tuple[Line, ...]
    goal: Wanted
    gap: float
    budget: tuple[float, ...] | None
    carbon: float | None
    slip: float
    words: dict[str, Any]
