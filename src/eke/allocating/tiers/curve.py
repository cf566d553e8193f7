"""How many users may have a longer context beside the base tier for all, as a curve."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from eke.allocating.tiers.layouts import nearest
from eke.allocating.tiers.stage import Stage
from eke.allocating.tiers.ways import Way, Weighed, better, carried_by, cases, seen
from eke.physics.scenarios import CHANGE
from eke.types.need import Span
from eke.types.plan import Plan
from eke.types.record import replace
from eke.types.tiers import MONTH, Resource, SharePoint, TierCurve

SHARES = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)  # beside none, where curves begin alike
TURNS = 24  # of the search for the largest share, at most
BROKEN = 1e9  # chips per user, over what there are, where a promise is broken anyway
AIM, CLOSE = 0.002, 0.004  # aimed below the largest share, and users beyond the demand that do
NEAR = 1e-4  # shares this much apart are alike
NOBODY = Span(low=0.0, likely=0.0, high=0.0)


def largest_share(tier: Weighed) -> float:
    """The largest share of users that may have the longer tier while all are carried."""
    wanted = tier.stage.demand.users

    def over(share: float) -> float:
        """Chips per user over what there are for each: nearly straight in the share."""
        best = tier.best(share)
        return wanted / best.users - 1 if best is not None else BROKEN

    if not tier.longer.plans:
        return 0.0
    low, high = (0.0, over(0.0)), (1.0, over(1.0))
    if high[1] <= 0:
        return 1.0
    if low[1] > 0:
        return 0.0
    for turn in range(TURNS):
        part = 0.5 if turn % 4 == 3 or high[1] >= BROKEN else low[1] / (low[1] - high[1])
        middle = low[0] + (high[0] - low[0]) * float(np.clip(part - AIM, 0.02, 0.98))
        at = over(middle)
        low, high = ((middle, at), high) if at <= 0 else (low, (middle, at))
        if high[0] - low[0] < NEAR or low[1] > -CLOSE:
            break
    return float(np.floor(low[0] / NEAR + 1e-9) * NEAR)


def curve(
    tier: Weighed, plans: list[Plan], first: SharePoint, shorter: TierCurve | None
) -> TierCurve:
    """The whole curve of one longer tier. plans: of the answer, to which those in use are added.
    first: where nobody has it.  shorter: the curve of the next shorter tier, which carries no
    fewer."""
    users, share = tier.stage.demand.users, largest_share(tier)
    shares, broken = sorted({*SHARES, share} - {0.0}), _broken(tier)
    found = _falling([first, *(point(tier, each, plans, broken) for each in shares)], shorter)
    found = _with_trade(found)
    at = next(each for each in found if each.share == share)
    whole = _share_span(found, users, share)
    best = tier.best(share)
    return TierCurve(
        tier=tier.use,
        share=whole,
        users=Span(low=whole.low * users, likely=whole.likely * users, high=whole.high * users),
        displaces=at.displaces,
        points=tuple(found),
        resources=_resources(tier.stage, best) if best is not None else (),
        alone="" if broken is None else f"{broken[0]} ×{broken[1]:.3g}",
    )


def point(
    tier: Weighed, share: float, plans: list[Plan], broken: tuple[str, float] | None = None
) -> SharePoint:
    """What the chips carry at one share. broken: the promise that is, whatever the share."""
    stage, ways = tier.stage, tier.ways(share)
    both, own = (0.0 if way is None else way.users for way in ways)
    best = better(ways)
    if best is None:
        limit = _nearest(tier, share)[0] if broken is None else broken[0]
        return SharePoint(share=share, users=NOBODY, together=0.0, apart=0.0, limit=limit)
    used = [part.plan for part in best.parts]
    plans.extend(plan for plan in used if plan not in plans)
    many, users = cases(stage, best), min(stage.demand.users, best.users)
    sight = seen(stage, best, users)
    prices = _prices(tier, share, sight.hourly, many)
    revenue = users * ((1 - share) * stage.demand.base.pays + share * tier.use.pays)
    paid = None if sight.hourly is None else float(np.ravel(sight.hourly)[0]) / 3600.0
    return SharePoint(
        share=share,
        users=stage.spanned(many),
        together=both,
        apart=own,
        limit=best.fullest.limit,
        chips=best.chips(stage.demand.users),
        ttft=_span_of(stage, sight.ttft.get(stage.demand.base.name)),
        ttft_longer=_span_of(stage, sight.ttft.get(tier.use.name)),
        tpot=_span_of(stage, sight.tpot),
        cost=prices[0],
        per_million=prices[1],
        revenue=revenue,
        margin=None if paid is None else revenue - paid,
        plans=tuple(plans.index(plan) for plan in used),
    )


def _span_of(stage: Stage, each: Any) -> Span | None:
    return None if each is None else stage.spanned(each)


def _prices(tier: Weighed, share: float, hourly: Any, many: Any) -> tuple[Span | None, Span | None]:
    """What a user costs a month, and a million tokens, with the chips kept full. All chips are paid
    all day, asks follow the day."""
    base, longer = tier.stage.demand.base, tier.use
    tokens = (1 - share) * base.asks * base.tokens + share * longer.asks * longer.tokens
    millions = tokens * MONTH / 1e6  # of a user, a month
    stage = tier.stage
    return price_of_user(stage, hourly, many), price_of_user(stage, hourly, many * millions)


def price_of_user(stage: Stage, hourly: Any, many: Any) -> Span | None:
    """What each of so many costs a month [USD]."""
    if hourly is None:
        return None
    held = np.maximum(many, many[0] * 1e-3)
    return stage.spanned(np.ravel(hourly) / 3600.0 * MONTH / held)


def _falling(found: list[SharePoint], shorter: TierCurve | None) -> list[SharePoint]:
    """No share is said to carry more than a smaller one, and no context more than a shorter one.
    Whole replicas and chunks can make it a little more; the lesser number is true all the same."""
    known = {each.share: each.users for each in shorter.points} if shorter else {}
    kept: list[SharePoint] = []
    for each in found:
        bounds = [kept[-1].users] if kept else []
        bounds += [known[each.share]] if each.share in known else []
        least = min([each.users, *bounds], key=lambda span: span.likely)
        kept.append(replace(each, users=least))
    return kept


def _with_trade(found: Sequence[SharePoint]) -> list[SharePoint]:
    """With how many users of the base tier each of the longer displaces, beside none of them."""
    first = found[0].users.likely
    trades: list[float | None] = [None]
    for each in found[1:]:
        longer = each.share * each.users.likely
        trades.append((first - (1 - each.share) * each.users.likely) / longer if longer else None)
    return [replace(each, displaces=trade) for each, trade in zip(found, trades, strict=True)]


def _share_span(found: Sequence[SharePoint], wanted: float, share: float) -> Span:
    """The share at which the chips just carry the demand, with the interval of what they carry."""
    ends = [
        _crossing([(each.share, getattr(each.users, end)) for each in found], wanted)
        for end in ("low", "high")
    ]
    return Span(low=min(ends[0], share), likely=share, high=max(ends[1], share))


def _crossing(rows: Sequence[tuple[float, float]], wanted: float) -> float:
    """Where users fall below what is wanted; chips per user are straight between the rows."""
    if rows[0][1] < wanted:
        return 0.0
    for (a, many), (b, fewer) in pairwise(rows):
        if fewer < wanted:
            if fewer <= 0:
                return a
            part = (1 / wanted - 1 / many) / (1 / fewer - 1 / many)
            whole = a + (b - a) * float(np.clip(part, 0, 1))
            return float(np.floor(whole / NEAR) * NEAR)
    return 1.0


def _resources(stage: Stage, way: Way) -> tuple[Resource, ...]:
    """What 10 % more of each resource does to the users of a way, the most felt first."""
    names = ("arithmetic", "memory speed", "chip-to-chip links", "memory size")
    changes = np.ones((3, 3)) + (CHANGE - 1) * np.eye(3)
    arithmetic, speed, links = (np.r_[1.0, row] for row in changes)
    knobs = replace(
        stage.knobs,
        peak_change=arithmetic,
        memory_change=speed,
        link_change=links,
        network_change=links,
    )
    users = carried_by(way, stage.pool, knobs)
    size = stage.pool.chip.memory_size or 0.0
    roomy = replace(stage.pool, chip=replace(stage.pool.chip, memory_size=CHANGE * size))
    larger = carried_by(way, roomy, stage.knobs)
    factors = [*(users[1:] / users[0]).tolist(), float(larger[0] / users[0])]
    found = [  # more of anything need not be used
        Resource(name=n, factor=max(f, 1.0)) for n, f in zip(names, factors, strict=True)
    ]
    return tuple(sorted(found, key=lambda each: -each.factor))


def _broken(tier: Weighed) -> tuple[str, float] | None:
    """The promise that one request of the longer tier breaks even by itself, and the factor."""
    limit, ratio = ("", 0.0) if tier.longer.plans else _nearest(tier, 1.0)
    return (limit, ratio) if ratio > 1 else None


def _nearest(tier: Weighed, share: float) -> tuple[str, float]:
    """What a single user misses by least in any layout."""
    stage = tier.stage
    limit, ratio, _ = nearest(stage.mix(tier.use, share), stage.pool, stage.knobs, stage.choices)
    return limit, ratio
