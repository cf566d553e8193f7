"""Why a plan was chosen: what binds it, what others lose, and what would change the choice."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from eke.physics.answer import outcome
from eke.physics.scenarios import scenarios, span
from eke.search.best import Found
from eke.search.limits import GOALS, POOLS, RATES, figure, limit_ratio, limits_of
from eke.search.priced import Candidate
from eke.types.efficiency import Efficiency
from eke.types.goal import Bind, Goal, Kept, Rival, Turn
from eke.types.job import Serve
from eke.types.need import Change, Need, Span
from eke.types.plan import Plan
from eke.types.record import replace

Values = Mapping[str, Efficiency]
RIVALS = 4  # other plans an answer shows
NOTICED = 0.98  # a plan is better once it has less than this times the figure

RESOURCES = {  # parts of the leading figure → what limits them
    "reading weights": "memory bandwidth",
    "attention and cache": "memory bandwidth",
    "norms and activations": "memory bandwidth",
    "arithmetic": "compute",
    "forward": "compute",
    "backward": "compute",
    "recomputation": "compute",
    "optimizer": "memory bandwidth",
    "pipeline bubble": "waiting for other stages",
    "failures and checkpoints": "failures",
    "kernel launches": "overhead",
    "engine": "overhead",
}


def bottleneck(need: Need) -> dict[str, float]:
    """Shares of the leading figure by what limits them, the largest first."""
    of = "tpot" if need.job == "serve" else "time"
    shares: dict[str, float] = {}
    for part in need.parts:
        if part.of == of:
            ends = part.name.rpartition(" ")[2] == "exchange"
            name = "network" if ends else RESOURCES.get(part.name, part.name)
            shares[name] = shares.get(name, 0.0) + part.span.likely
    total = sum(shares.values()) or 1.0
    return {name: value / total for name, value in sorted(shares.items(), key=lambda row: -row[1])}


def binds(found: Found) -> tuple[Bind, ...]:
    """Limits that keep a better plan out: the one that needs the least loosening of each."""
    best = found.best[0]
    rows = []
    for name, missing in found.almost.items():
        better = [kept for kept in missing if kept.value <= NOTICED * best.value]
        if better:
            near = min(better, key=lambda kept: kept.ratios[name])
            bind = Bind(change=loosened(near, name), factor=near.value / best.value)
            rows.append((near.ratios[name], bind))
    return tuple(bind for _, bind in sorted(rows, key=lambda row: row[0]))


WORDS = {
    "memory": "memory of each chip",
    "prefill memory": "memory of each chip for prefill",
    "rear memory": "memory of each later chip",
    "money": "cost",
}


def loosened(near: Candidate, name: str) -> Change:
    """What a plan that misses a limit needs of it; of one that is too slow, a lower rate."""
    have, unit = near.haves[name]
    ratio, job = near.ratios[name], near.block.job
    if name in RATES and isinstance(job, Serve):
        return Change(name="rate", now=job.rate, at=job.rate / ratio, unit="1/s", plan=near.plan)
    name = WORDS.get(name, name)
    return Change(name=name, now=have, at=have * ratio, unit=unit, plan=near.plan)


PROMISED = ("ttft", "tpot", "time")  # limits of jobs that are promises
INTERVAL = NormalDist().inv_cdf(0.9)  # standard deviations to an end of an 80 % interval


def kept_limits(chosen: Candidate, goal: Goal, values: Values) -> tuple[Kept, ...]:
    """Promises, dates and the goal's own limits, with the chance that each is kept."""
    block = chosen.block
    one = replace(block, plans=chosen.plan)
    result = outcome(block.job, chosen.plan, block.fleet, scenarios(dict(values)))
    rows = []
    for limit in limits_of(one, goal, result):
        ratio = span(np.asarray(limit_ratio(limit), dtype=float), len(values))
        have = float(np.ravel(limit.have)[0])
        ends = (ratio.low * have, ratio.likely * have, ratio.high * have)
        need = Span(low=ends[0], likely=ends[1], high=ends[2])
        wanted = (GOALS.get(each.figure, each.figure) for each in goal.within)
        if limit.name in PROMISED or limit.name in wanted:
            rows.append(
                Kept(
                    limit=limit.name,
                    need=need,
                    have=have,
                    unit=limit.unit,
                    chance=_chance(ratio),
                )
            )
    if isinstance(block.job, Serve):  # who cannot keep up keeps no promise for long
        used = span(result["utilisation"], len(values))
        kept = Kept(limit="utilisation", need=used, have=1.0, unit="%", chance=_chance(used))
        rows.append(kept)
    return tuple(rows)


def _chance(ratio: Span) -> float:
    """That a ratio with this 80 % interval is at most 1, its logarithm being normal."""
    if ratio.likely <= 0:
        return 1.0
    end = ratio.high if ratio.likely <= 1 else ratio.low
    deviation = abs(np.log(end / ratio.likely)) / INTERVAL
    return float(NormalDist().cdf(-np.log(ratio.likely) / max(deviation, 1e-9)))


def turns(found: Found, goal: Goal) -> tuple[Turn, ...]:
    """When the choice changes: promises made tighter, and prices."""
    return (*_tightened(found), *(_prices(found) if goal.least == "cost" else ()))


def _tightened(found: Found) -> tuple[Turn, ...]:
    """The chosen plan keeps a promise down to what it needs itself; then the next best that needs
    less takes over."""
    best, rows = found.best[0], []
    for name, ratio in best.ratios.items():
        if name not in PROMISED:
            continue
        after = (kept for kept in found.best if kept.ratios.get(name, 2.0) <= NOTICED * ratio)
        then = next(after, None)
        if then is not None:
            now, unit = best.haves[name]
            rows.append(Turn(name=name, now=now, at=now * ratio, unit=unit, plan=then.plan))
    return tuple(rows)


def _prices(found: Found) -> tuple[Turn, ...]:
    """Rents at which the best plan on each other chip would cost no more than the chosen one."""
    best, rows = found.best[0], []
    seen = {*_chips(best.plan)}
    for kept in found.best:
        pool = kept.block.place.pool
        if kept.plan.chip in seen or kept.block.plans.other is not None or not pool.rent:
            continue
        seen.add(kept.plan.chip)
        at = pool.rent * best.value / kept.value
        name = f"rent of {pool.chip.id}"
        rows.append(Turn(name=name, now=pool.rent, at=at, unit="USD/s", plan=kept.plan))
    return tuple(rows)


def rivals(found: Found, goal: Goal, values: Mapping[int, Values]) -> tuple[Rival, ...]:
    """The best plan of every other chip, then those of other layouts, with what they lose.

    values: efficiencies of each remembered plan, by its `id`.
    """
    best = found.best[0]
    first = priced(best, goal, values[id(best)])
    rows = []
    for kept in others(found):
        second = priced(kept, goal, values[id(kept)])
        same = values[id(kept)] == values[id(best)]
        loses = compared(first, second, len(values[id(best)]), len(values[id(kept)]), same)
        rows.append(
            Rival(
                plan=kept.plan,
                value=span(second, len(values[id(kept)])),
                loses=loses,
                told_apart=loses.low > 1,
                figures=kept.figures,
            )
        )
    return tuple(rows)


def others(found: Found) -> list[Candidate]:
    """Plans worth showing beside the best: of every other kind of chip the best, then of other
    layouts."""
    picked, chips, layouts = [], {_chips(found.best[0].plan)}, {_layout(found.best[0].plan)}
    for kept in found.best[1:]:
        if _chips(kept.plan) not in chips:
            chips.add(_chips(kept.plan))
            picked.append(kept)
    for kept in found.best[1:]:
        if _layout(kept.plan) not in layouts and all(kept is not each for each in picked):
            layouts.add(_layout(kept.plan))
            picked.append(kept)
    return sorted(picked[:RIVALS], key=lambda kept: kept.value)


def _chips(plan: Plan) -> tuple[str, str]:
    return plan.chip, plan.other.chip if plan.other is not None else ""


def _layout(plan: Plan) -> tuple[object, ...]:
    """What makes two plans different to people; settings and copies do not."""
    half = plan.other
    own = (plan.chip, plan.tensor, plan.pipeline, plan.context, plan.expert, plan.weights)
    learns = (plan.shard, plan.recompute, plan.offload, bool(plan.adapter_slots))
    return own + learns + ((half.tensor, half.pipeline) if half is not None else ())


def priced(kept: Candidate, goal: Goal, values: Values) -> Any:
    """The goal's figure of one plan in every case."""
    block = kept.block
    result = outcome(block.job, kept.plan, block.fleet, scenarios(dict(values)))
    figures = {amount.name: amount.value for amount in result.amounts}
    return np.atleast_1d(np.asarray(figure(figures, goal.least, block.place), dtype=float))


def compared(first: Any, second: Any, many: int, others: int, same: bool) -> Span:
    """Second over first, as a span. On the same efficiencies what moves one moves the other;
    else the two are taken to vary apart."""
    likely = float(second[0] / first[0])
    if same:
        count = max(first.size, second.size)
        one, two = (np.broadcast_to(x, (count,)) if x.size == 1 else x for x in (first, second))
        return span(two / one, many) if count > 1 else Span(low=likely, likely=likely, high=likely)
    a, b = span(first, many), span(second, others)
    down = np.hypot(np.log(b.likely / b.low), np.log(a.high / a.likely))
    up = np.hypot(np.log(b.high / b.likely), np.log(a.likely / a.low))
    return Span(low=float(likely * np.exp(-down)), likely=likely, high=float(likely * np.exp(up)))


def together(nearest: Candidate) -> tuple[Change, ...]:
    """All limits that the closest plan misses, and what it needs of each."""
    missed = (name for name, ratio in nearest.ratios.items() if ratio > 1 and name not in POOLS)
    return tuple(loosened(nearest, name) for name in missed)


def changes(found: Found) -> tuple[Change, ...]:
    """What alone would make it feasible: each limit loosened as little as it takes, smallest
    change first."""
    nearest = (
        (name, min(missing, key=lambda kept: kept.ratios[name]))
        for name, missing in found.almost.items()
    )
    rows = [(near.ratios[name], loosened(near, name)) for name, near in nearest]
    return tuple(change for _, change in sorted(rows, key=lambda row: row[0]))
