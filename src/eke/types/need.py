"""What a job takes, and why that is believed."""

from __future__ import annotations

from typing import Literal

from eke.types.plan import Plan
from eke.types.record import Record

GroundKind = Literal["published", "measured", "fitted", "derived", "assumed", "given"]


class Span(Record):
    """An 80 % interval and the likeliest value."""

    low: float
    likely: float
    high: float


class Figure(Record):
    """One number of an answer. unit: its base unit, "" for a plain number."""

    span: Span
    unit: str
    means: str  # in plain words
    how: str = ""  # from which other figures it is computed


class Part(Record):
    """A share of a figure: parts of one kind add up to the figure they belong to."""

    of: str  # "memory", "time", "money", …
    name: str
    span: Span
    unit: str


class Ground(Record):
    """A value the answer rests on, and how well it is known."""

    name: str
    value: float | str
    unit: str
    kind: GroundKind
    source: str
    low: float | None = None
    high: float | None = None
    note: str = ""


class Matter(Record):
    """What would change the answer: `change` of `name` multiplies `figure` by `factor`."""

    name: str
    change: str
    figure: str
    factor: float


class Need(Record, tag="need", tag_field="answer"):
    """What a job takes on a plan: figures with spans, their parts and their grounds."""

    job: str  # "serve", "train", "tune", "align"
    model: str
    plan: Plan
    chosen: bool  # eke chose the plan; False when it was given
    chips: Span
    time: Span  # of the job [s]; for serving, of one request
    memory: Span  # on the fullest chip [B]
    energy: Span | None  # of the job [J]; for serving, of one request; None if power is unknown
    money: Span | None  # of the job [USD]; for serving, of one request; None without a price
    figures: dict[str, Figure]
    parts: tuple[Part, ...]
    grounds: tuple[Ground, ...]
    matters: tuple[Matter, ...]
    how: dict[str, str] = {}  # from which other figures chips, time, memory … are computed
    remarks: tuple[str, ...] = ()  # what the answer assumed or rounded, in words


class Change(Record):
    """A change that alone makes it feasible: `name` from `now` to `at` [unit], and with which
    plan."""

    name: str
    now: float
    at: float
    unit: str
    plan: Plan


class Infeasible(Record, tag="infeasible", tag_field="answer"):
    """It cannot be done: `limit` is short by `by`, having `have` where `need` is needed [unit]."""

    limit: str  # "memory", "throughput", "ttft", "tpot", "chips", "time"
    need: float
    have: float
    by: float
    unit: str
    hint: str
    plan: Plan | None = None
    changes: tuple[Change, ...] = ()  # of which each alone would do, the smallest first
    together: tuple[Change, ...] = ()  # of which all together would do, with the closest plan
