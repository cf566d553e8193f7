"""Who gets which chips, what is refused and why, and what one more chip is worth."""

from __future__ import annotations

from typing import Any

from eke.types.need import Span
from eke.types.plan import Plan
from eke.types.record import Record

Series = tuple[float, ...]  # a value per period


class Share(Record):
    """What a line of a use has in a pool. way: what is given up, "" for nothing.  chips: on average
    over the day, by period.  work: done, by period, in the unit of the line."""

    use: str
    line: str
    pool: str
    way: str
    keeps: float
    plan: Plan | None
    chips: Series
    work: Series


class Served(Record):
    """What became of a line. unit: of its work.  worth: of a unit [USD].  asked, done, late,
    refused, waiting: work by period; late is part of what is done.  finished: when a project is,
    as a date; "" for never.  degraded: share of the work done that gives something up.  why: the
    reason for what is refused, in words.  offers, costs: what a further unit of the line would
    bring and what the cheapest way to do it takes from others, for each chip and hour [USD/s]."""

    use: str
    line: str
    kind: str
    unit: str
    worth: float
    value: float
    asked: Series
    done: Series
    late: Series
    refused: Series
    waiting: Series
    finished: str = ""
    degraded: float = 0.0
    why: str = ""

    @property
    def share(self) -> float:
        """Of what it asks for, done."""
        asked = sum(self.asked)
        return sum(self.done) / asked if asked else 1.0


class PoolShare(Record):
    """A pool over the periods. there: chips that work.  used: on average over the day; peak: in the
    fullest part of it.  rented: beside those that are there.  price: what one more chip is worth
    [USD/s], on average over the day."""

    pool: str
    chip: str
    there: Series
    used: Series
    peak: Series
    rented: Series
    price: Series
    held: float


class SiteShare(Record):
    """A site over the periods. drawn: power at the fullest part of the day [W].  power_price: what
    one more watt is worth [USD/J].  racks_price: one more rack [USD/s]."""

    site: str
    power: float | None
    drawn: Series
    power_price: Series
    racks: float | None
    rack_price: Series


class Moved(Record):
    """What is different for a line, or a pool, in another answer. first: the period in which it is
    first different."""

    name: str
    what: str
    before: float
    after: float
    unit: str
    first: str
    why: str = ""


class Difference(Record):
    """Two answers. changes: fields of the file that differ, and both values.  expected: of the
    change in value, from shadow prices [USD]; None where inputs changed that have none."""

    title: str
    changes: tuple[tuple[str, str, str], ...]
    value_before: float
    value_after: float
    expected: float | None
    moved: tuple[Moved, ...]


class Allocation(Record, tag="allocation", tag_field="answer"):
    """Who gets what.

    value: of all that is done, less rent and electricity [USD]; span: with every way as slow, or as
    fast, as it may be.  bound: above which no division comes; gap: share by which this one may be
    worse than the best, in value, or where shares are to be fair in the one that is missed by most.
    asked: worth of all that is asked.  dollar_price: what a dollar more of the budget is worth, by
    period.  lacking: promises that whole replicas cannot keep to the last, in words.  slip: what
    changes where deliveries are later.
    """

    name: str
    goal: str
    start: str
    period: float
    dates: tuple[str, ...]
    parts: dict[str, float]
    value: float
    span: Span
    bound: float
    gap: float
    asked: float
    rent: float
    electricity: float
    held: float
    energy: float
    carbon: float
    lines: tuple[Served, ...]
    shares: tuple[Share, ...]
    pools: tuple[PoolShare, ...]
    sites: tuple[SiteShare, ...]
    budget: Series | None
    spent: Series
    dollar_price: Series
    carbon_price: float
    lacking: tuple[str, ...]
    notes: tuple[str, ...]
    grounds: dict[str, int]
    slip: Difference | None
    words: dict[str, Any]


class Clash(Record, tag="clash", tag_field="answer"):
    """Promises that cannot all be kept, though all but any one of these could. promises: each in
    words.  short: of which supply, with when, the scarcest first.  lacks: of each, the largest
    share it lacks and when."""

    name: str
    promises: tuple[str, ...]
    short: tuple[str, ...]
    lacks: tuple[str, ...]
