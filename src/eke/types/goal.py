"""What a plan is to make least, and within which limits."""

from __future__ import annotations

from eke.errors import BadInput
from eke.types.fleet import Fleet
from eke.types.job import Job, Serve
from eke.types.need import Change, Infeasible, Need, Span
from eke.types.plan import Plan
from eke.types.record import Record

MEASURES = {"cost": "money", "chips": "chips", "time": "time", "energy": "energy"}
MEASURES |= {"carbon": "carbon"}  # what can be made least → the figure of an answer


class AtMost(Record):
    """A figure of the answer that may not be larger, in its base unit."""

    figure: str
    most: float

    def __post_init__(self) -> None:
        if not 0 < self.most < 1e30:
            raise BadInput(f"{self.figure} may be at most {self.most:g}; give a number above zero.")


class Goal(Record):
    """What to make least ("cost", "chips", "time", "energy", "carbon", or a figure of the answer),
    and within which limits. headroom: share of each chip's usable memory to leave free.  sure: the
    least chance with which every limit is to be kept; 0.5 takes the likeliest figures."""

    least: str = "cost"
    within: tuple[AtMost, ...] = ()
    headroom: float = 0.0
    sure: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.headroom < 1:
            raise BadInput(
                f"headroom is {self.headroom:g}; it is a share of memory, from 0 to below 1."
            )
        if not 0.5 <= self.sure < 1:
            raise BadInput(
                f"sure is {self.sure:g}; it is a chance from 50 % to below 100 %, such as 90 %."
            )
        names = [limit.figure for limit in self.within]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise BadInput(f"{twice} is limited twice; give one limit for it.")


class Rival(Record):
    """A plan that was not chosen. value: of the goal's figure.  loses: that over the chosen plan's,
    as a span: what both rest on moves both.  told_apart: whether the whole span is above 1."""

    plan: Plan
    value: Span
    loses: Span
    told_apart: bool
    figures: dict[str, float] = {}


def figure_of(name: str) -> str:
    """The figure of an answer that a goal's word stands for."""
    return MEASURES.get(name, name)


def usual_goal(job: Job, fleet: Fleet) -> Goal:
    """Least cost; least time where a job that learns has no date; least chips where a chip has no
    price."""
    if not isinstance(job, Serve) and job.within is None:
        return Goal(least="time")
    priced = all(pool.rent is not None or pool.buy is not None for pool in fleet.pools)
    return Goal(least="cost" if priced else "chips")


class Kept(Record):
    """A limit and how it is kept: `need` of `have` [unit], with that chance."""

    limit: str
    need: Span
    have: float
    unit: str
    chance: float


class Bind(Record):
    """A limit that keeps a better plan out: loosened as `change` says, that plan would do, with
    `factor` times the goal's figure."""

    change: Change
    factor: float


class Turn(Record):
    """When the choice changes: once `name` goes from `now` to `at` [unit], `plan` is better."""

    name: str
    now: float
    at: float
    unit: str
    plan: Plan


class Planned(Record, tag="planned", tag_field="answer"):
    """The plan that needs least, what it takes, and why this one.

    job: as planned, which for alignment says how the chips are shared.  value: of the goal's figure
    [unit].  considered: plans looked at, of which `priced` were priced in full and the others ruled
    out before.  bottleneck: shares of the leading figure by what limits it, such as "memory
    bandwidth", "compute" and "network", the largest first.  kept: the chance that each limit is
    kept, by the spans of what it rests on.
    """

    goal: Goal
    job: Job
    need: Need
    value: Span
    unit: str
    considered: int
    priced: int
    bottleneck: dict[str, float]
    kept: tuple[Kept, ...]
    binds: tuple[Bind, ...]
    rivals: tuple[Rival, ...]
    turns: tuple[Turn, ...]
    remarks: tuple[str, ...] = ()


class Point(Record):
    """A plan that no other beats in every measure of a frontier."""

    plan: Plan
    values: tuple[float, ...]


class Front(Record, tag="frontier", tag_field="answer"):
    """All plans no other beats, by the first measure. units: of the measures."""

    measures: tuple[str, ...]
    units: tuple[str, ...]
    points: tuple[Point, ...]
    considered: int
    priced: int


Answer = Planned | Infeasible
