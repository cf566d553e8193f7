"""The smallest layout that fits: what `need` takes when no plan is given.

Serving, and learning by a date: the fewest chips that keep every limit. Learning without a date
uses all chips, laid out in the fastest of a few simple ways. Candidates are priced as arrays,
through the same wiring as one plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from eke.errors import BadInput
from eke.physics.answer import outcome, shortage
from eke.physics.outcome import Outcome
from eke.search.base import Choices, check_choices, check_honoured, with_build
from eke.search.simple import simple_plans
from eke.types.efficiency import Knobs
from eke.types.fleet import Fleet, Pool
from eke.types.job import Job, Serve
from eke.types.need import Infeasible
from eke.types.plan import Plan, Plans


def smallest(
    job: Job, pools: list[tuple[Pool, Knobs]], choices: Choices | None = None
) -> Plan | Infeasible:
    """The smallest plan for the job on the first pool that can do it.

    pools: with what arrives of each one's figures.  choices: fields of the plan to keep.
    """
    check_choices(choices or {})
    nearest: Infeasible | None = None
    every = tuple(pool for pool, _ in pools)
    for pool, knobs in pools if "prefill" not in (choices or {}) else pools[:1]:
        one = Fleet(pools=(pool, *(other for other in every if other is not pool)))
        here = with_build(job, pool, choices or {})
        for candidates in simple_plans(job, pool, here):
            found = _least(job, candidates, one, knobs)
            if isinstance(found, Plan):
                check_honoured(job, found, here)
                return found
            nearest = _nearer(nearest, found)
    if nearest is None:
        said = ", ".join(f"{name} {value}" for name, value in (choices or {}).items())
        most = max(pool.chips for pool, _ in pools)
        raise BadInput(
            f"no layout of {job.model.name} on {most:,} {'chip' if most == 1 else 'chips'} has "
            f"{said or 'any'}; give more chips or smaller degrees."
        )
    return nearest


def _least(
    job: Job, candidates: Iterable[Plans], fleet: Fleet, knobs: Knobs
) -> Plan | Infeasible | None:
    """The feasible plan that ranks lowest, or the failure that misses by least."""
    least, best, nearest = np.inf, None, None
    for plans in candidates:
        result = outcome(job, plans, fleet, knobs)
        feasible = np.broadcast_to(np.asarray(result.feasible), (len(plans),))
        if not feasible.any():
            nearest = _nearer(nearest, _failure(job, plans[len(plans) - 1], fleet, knobs))
            continue
        ranks = np.where(feasible, _rank(job, plans, result), np.inf)
        index = int(np.argmin(ranks))
        if ranks[index] < least:
            least, best = float(ranks[index]), plans[index]
    return best or nearest


def _rank(job: Job, plans: Plans, result: Outcome) -> Any:
    """What to make least. Serving: chips, then splitting. Learning by a date: chips, then time;
    learning without one takes all chips, so time."""
    if isinstance(job, Serve):
        return plans.chips * 1e6 + plans.group
    if job.within is None:
        return result["time"]
    return plans.chips + 0.5 * np.minimum(result["time"] / job.within, 1)


def _failure(job: Job, plan: Plan, fleet: Fleet, knobs: Knobs) -> Infeasible | None:
    return shortage(outcome(job, plan, fleet, knobs), plan)


def _nearer(one: Infeasible | None, other: Infeasible | None) -> Infeasible | None:
    """Of two failures, the one that misses by less."""
    if one is None or other is None:
        return one or other
    return other if _miss(other) <= _miss(one) else one


def _miss(found: Infeasible) -> float:
    return found.need / found.have if found.have > 0 else float("inf")
