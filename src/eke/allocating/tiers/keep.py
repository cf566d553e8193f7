"""What it saves to keep conversations between their turns, against sending them again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eke.allocating.tiers.curve import NOBODY, largest_share, price_of_user
from eke.allocating.tiers.load import held, remembered
from eke.allocating.tiers.stage import Stage
from eke.allocating.tiers.ways import alone, cases, seen, together, weigh
from eke.types.record import replace
from eke.types.tiers import Conversations, KeepCurve, KeepPoint, Where

TIMES = (0.25, 0.5, 1, 2, 4, 8, 16, 32)  # kept, over the mean time to think
TRIED = {"chip": 1.0, "host": 8.0}  # of them, for which layouts are looked for
ALIKE = 0.99  # of the most users: the shortest time that carries so many is the best


def keeping(stage: Stage, talks: Conversations, where: Where, first: KeepPoint) -> KeepCurve:
    """Users that the chips carry, everybody in the base tier, by how long conversations are kept.

    where: in the chips' own memory or in their hosts'.  first: where nothing is kept.
    """
    offload = where == "host"
    known = tuple(dict.fromkeys(replace(plan, offload=offload) for plan in stage.plans))
    set_up = replace(stage, plans=known, choices={**stage.choices, "offload": offload})
    tried = _kept(set_up, talks, where, TRIED[where] * talks.think)
    learned = tried.learned(tried.base()).plans
    set_up = replace(set_up, plans=learned)
    times = [each * talks.think for each in TIMES]
    found = [first, *(point(_kept(set_up, talks, where, t), t) for t in times)]
    most = max(each.users.likely for each in found)
    best = next(i for i, each in enumerate(found) if each.users.likely >= ALIKE * most)
    shares: tuple[float, ...] = ()
    if best:
        then = _kept(set_up, talks, where, found[best].kept)
        base = alone(then, then.base())
        shares = tuple(largest_share(weigh(then, each, base)) for each in stage.demand.longer)
    return KeepCurve(
        where=where, points=tuple(found), best=best, even=_even(found, best), shares=shares
    )


def not_kept(stage: Stage, talks: Conversations) -> KeepPoint:
    """Where every turn sends the whole conversation again."""
    return point(_kept(stage, talks, "nowhere", 0.0), 0.0)


def _kept(stage: Stage, talks: Conversations, where: Where, kept: float) -> Stage:
    """The same demand with conversations kept there for so long."""
    said = replace(talks, keep=where if kept else "nowhere", kept=kept)
    return replace(stage, demand=replace(stage.demand, conversations=said))


def point(stage: Stage, kept: float) -> KeepPoint:
    """What the chips carry with conversations kept for one length of time."""
    mixed, said = stage.base(), stage.demand.conversations
    rate = stage.demand.users * mixed.each
    hold = held(said) if said is not None and kept else 0.0
    best = together(alone(stage, mixed))
    found = KeepPoint(
        kept=kept,
        reuse=remembered(said)[0],
        held=hold,
        users=NOBODY,
        limit="memory",
        conversations=rate * hold,
    )
    if best is None:
        return found
    users, many = min(stage.demand.users, best.users), cases(stage, best)
    sight = seen(stage, best, users)
    return replace(
        found,
        users=stage.spanned(many),
        limit=best.fullest.limit,
        chips=best.chips(stage.demand.users),
        ttft=stage.spanned(sight.ttft[stage.demand.base.name]),
        cost=price_of_user(stage, sight.hourly, many),
    )


def _even(found: Sequence[KeepPoint], best: int) -> float | None:
    """How long conversations may be kept before fewer users are carried than without; 0 where even
    the shortest time is too long, None where no time looked at is."""
    without = found[0].users.likely
    if not best:
        worse = found[1].users.likely < without
        return 0.0 if worse else None
    for one, other in zip(found[best:], found[best + 1 :], strict=False):
        if other.users.likely < without <= one.users.likely:
            fall = one.users.likely - other.users.likely
            part = (one.users.likely - without) / fall
            return float(np.exp(np.log(one.kept) + part * np.log(other.kept / one.kept)))
    return None
