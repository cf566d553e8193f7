"""A provider's file as it is written: tables of texts with units."""

from __future__ import annotations

from typing import Any, Literal

from eke.types.provider import Wanted
from eke.types.record import Record

Text = str | int | float  # a quantity: "2.95 USD/h", or a plain number


class SiteText(Record):
    """[sites.NAME]"""

    power: Text | None = None
    racks: Text | None = None
    electricity: Text | None = None
    pue: Text | None = None
    carbon: Text | None = None


class Change(Record):
    """Chips that come or leave. late: by which they are expected to come later."""

    date: str
    chips: Text
    late: Text = "0 d"


class Failing(Record):
    """How often a chip fails, and how long it is then away."""

    every: Text
    repair: Text


class More(Record):
    """Chips one may rent by the period. lost: share of their time lost to interruptions."""

    chips: Text
    price: Text | None = None
    lost: Text = "0%"


class PoolText(Record):
    """[pools.NAME]"""

    chip: str
    chips: Text = 0
    site: str = ""
    coming: tuple[Change, ...] = ()
    leaving: tuple[Change, ...] = ()
    failing: Failing | None = None
    spares: Text = "0%"
    rent: Text | None = None
    buy: Text | None = None
    life: Text | None = None
    residual: Text = "0%"
    interest: Text = "0%"
    staff: Text | None = None
    more: More | None = None
    per_rack: Text | None = None


class UseText(Record):
    """[uses.NAME]: these, and beside them the words of its job and decided fields of its plan.

    demand: lines of it, each with words of its own.  degrade: what may be given up, each with the
    share of the worth it keeps.  options: how it is done, where that is not to be planned.
    """

    job: Literal["serve", "train", "tune", "align", "research"]
    worth: Text | None = None
    priority: int = 1
    floor: Text | None = None
    ceiling: Text | None = None
    on: tuple[str, ...] = ()
    moving: Text | None = None
    begins: str | None = None
    by: str | None = None
    promised: bool = False
    within: Text | None = None
    rate: Text | tuple[Text, ...] | None = None
    jobs: Text | tuple[Text, ...] | None = None
    chips: Text | tuple[Text, ...] | None = None
    growth: Text | None = None
    day: dict[str, Text] = {}
    demand: tuple[dict[str, Any], ...] = ()
    degrade: tuple[dict[str, Any], ...] = ()
    options: tuple[dict[str, Any], ...] = ()


USE_FIELDS = tuple(UseText.__annotations__)


class ProviderText(Record):
    """The whole file."""

    start: str
    periods: int
    pools: dict[str, PoolText]
    uses: dict[str, dict[str, Any]]
    name: str = ""
    period: Text = "1 week"
    goal: Wanted = "value"
    gap: Text = "1%"
    budget: Text | tuple[Text, ...] | None = None
    carbon: Text | None = None
    slip: Text = "13 weeks"
    day: dict[str, Text] = {}
    sites: dict[str, SiteText] = {}
