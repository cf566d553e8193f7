"""Two ways to serve two tiers: together on every replica, or each on replicas of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from eke.allocating.tiers.layouts import carried, carried_in_cases, column
from eke.allocating.tiers.load import Mix
from eke.allocating.tiers.stage import Stage
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool
from eke.types.plan import Plan
from eke.types.record import Record, replace
from eke.types.tiers import TierUse


class Part(Record):
    """Replicas that serve some of the users. share: of all users.  most: users of its own mix that
    one replica carries.  limit: what stops there."""

    mixed: Mix
    plan: Plan
    share: float
    most: float
    limit: str

    @property
    def users(self) -> float:
        """All users there may be, until this part is full."""
        return self.plan.replicas * self.most / self.share

    def chips(self, users: float) -> int:
        """Chips that its share of so many users takes, in whole replicas."""
        return int(np.ceil(users * self.share / self.most * (1 - 1e-9))) * self.plan.group


class Way(Record):
    """How all users are served: by one part, or by two. others: single parts that would carry fewer
    on all chips."""

    parts: tuple[Part, ...]
    others: tuple[Part, ...] = ()

    @property
    def fullest(self) -> Part:
        """The part that is full first."""
        return min(self.parts, key=lambda part: part.users)

    @property
    def users(self) -> float:
        """The most of whom everybody keeps every promise."""
        return self.fullest.users

    def chips(self, users: float) -> int:
        """The fewest chips that so many users take: whole replicas of fewer chips may do."""
        own = sum(part.chips(users) for part in self.parts)
        return min([own, *(part.chips(users) for part in self.others)])


class Alone(Record):
    """What one replica of each layout carries of one tier's users alone."""

    mixed: Mix
    plans: tuple[Plan, ...]
    most: tuple[float, ...]
    limits: tuple[str, ...]


def alone(stage: Stage, mixed: Mix) -> Alone:
    """Every layout known, those left out that carry nobody."""
    found = []
    for some in stage.alike():
        seen = carried(mixed, column(some), stage.pool, stage.knobs)
        each = seen.users / np.array([plan.replicas for plan in some])
        found += [row for row in zip(some, each.tolist(), seen.limits, strict=True) if row[1] > 0]
    plans, most, limits = zip(*found, strict=True) if found else ((), (), ())
    return Alone(mixed=mixed, plans=plans, most=most, limits=limits)


def together(found: Alone) -> Way | None:
    """All users on equal replicas, in the layout that carries most of them."""
    parts = [
        Part(mixed=found.mixed, plan=plan, share=1.0, most=most, limit=limit)
        for plan, most, limit in zip(found.plans, found.most, found.limits, strict=True)
    ]
    best = max(parts, key=lambda part: part.users, default=None)
    if best is None or best.users < 1:
        return None
    return Way(parts=(best,), others=tuple(parts))


def apart(stage: Stage, base: Alone, longer: Alone, share: float) -> Way | None:
    """Each tier on replicas of its own, the chips divided so that most users are carried."""
    best: Way | None = None
    for i, front in enumerate(base.plans):
        for k, back in enumerate(longer.plans):
            copies = np.arange(1, stage.pool.chips // back.group + 1)
            rest = (stage.pool.chips - copies * back.group) // front.group
            users = np.minimum(rest * base.most[i] / (1 - share), copies * longer.most[k] / share)
            at = int(np.argmax(users))
            if users[at] < 1 or (best is not None and users[at] <= best.users):
                continue
            halves = ((base, i, rest[at], 1 - share), (longer, k, copies[at], share))
            best = Way(parts=tuple(_part(*half) for half in halves))
    return best


def _part(of: Alone, index: int, replicas: Any, share: float) -> Part:
    plan = replace(of.plans[index], replicas=int(replicas))
    return Part(mixed=of.mixed, plan=plan, share=share, most=of.most[index], limit=of.limits[index])


Ways = tuple[Way | None, Way | None]  # together, and apart


class Weighed(Record):
    """A longer tier beside the base: what one replica of each layout carries of either alone.

    ways: by the share of users who have it, each looked for once.
    """

    stage: Stage
    use: TierUse
    base: Alone
    longer: Alone
    ways: Callable[[float], Ways]

    def best(self, share: float) -> Way | None:
        """The way that carries more."""
        return better(self.ways(share))


def better(ways: Sequence[Way | None]) -> Way | None:
    """The one that carries more, where any does."""
    found = [way for way in ways if way is not None]
    return max(found, key=lambda way: way.users, default=None)


def weigh(stage: Stage, use: TierUse, base: Alone) -> Weighed:
    """A longer tier with the layouts known by now. base: everybody in the base tier."""
    longer = alone(stage, stage.mix(use, 1.0))

    @cache
    def ways(share: float) -> Ways:
        """At the ends there is but one tier."""
        if share in (0.0, 1.0):
            return together(longer if share else base), None
        both = together(alone(stage, stage.mix(use, share)))
        return both, apart(stage, base, longer, share)

    return Weighed(stage=stage, use=use, base=base, longer=longer, ways=ways)


def carried_by(way: Way, pool: Pool, knobs: Knobs) -> Any:
    """The most users of a way, by case of the knobs."""
    found: Any = np.inf
    for part in way.parts:
        about = part.users * part.share
        users = carried_in_cases(part.mixed, part.plan, pool, knobs, about) / part.share
        found = np.minimum(found, users)
    return found


def cases(stage: Stage, way: Way) -> Any:
    """The most users in every case of the values: with these layouts or, where values turn out
    worse, on the same chips with one that is meant for that."""
    varied = stage.varied()
    found = carried_by(way, stage.pool, varied)
    for other in stage.safe:
        rest = carried_by(_instead(way, other), stage.pool, varied)
        found = np.append(found[:1], np.maximum(found, rest)[1:])
    return found * (way.users / found[0])


def _instead(way: Way, other: Plan) -> Way:
    """The same chips in another layout, where they make a whole replica of it."""
    parts = []
    for part in way.parts:
        copies = part.plan.own_chips // other.group
        plan = replace(other, replicas=copies, offload=part.plan.offload) if copies else part.plan
        parts.append(replace(part, plan=plan))
    return Way(parts=tuple(parts))


class Sight(Record):
    """What users see in every case. ttft: by tier.  tpot: of the slower part.  hourly: of all
    chips."""

    ttft: dict[str, Any]
    tpot: Any
    hourly: Any


def seen(stage: Stage, way: Way, users: float) -> Sight:
    """What so many users see."""
    first: dict[str, Any] = {}
    tpot: Any = 0.0
    hourly: Any = 0.0
    for part in way.parts:
        felt = stage.felt(part.mixed, part.plan, users * part.share)
        first |= dict(zip((use.name for use in part.mixed.uses), felt.ttft, strict=True))
        tpot = np.maximum(tpot, felt.tpot)
        hourly = None if hourly is None or felt.hourly is None else hourly + felt.hourly
    return Sight(ttft=first, tpot=tpot, hourly=hourly)
