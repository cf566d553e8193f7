"""Who gets what: from a problem to a division that can be, and how far it is from the best."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocation.conflict import Conflict, kept_or_conflict
from eke.allocation.exact import exact, is_small
from eke.allocation.goals import FAIR, pursue
from eke.allocation.master import Master
from eke.allocation.outcome import Division, division
from eke.allocation.problem import Problem, Project
from eke.allocation.relaxed import Progress, Relaxed, begin
from eke.allocation.scale import scaled
from eke.allocation.whole import Whole, rounded, whole_of
from eke.types.provider import Wanted
from eke.types.record import replace

MANY = 200_000  # columns there might be, from which on moves are looked at in a second step


def divide(
    problem: Problem,
    goal: Wanted = "value",
    gap: float = 0.01,
    told: Progress | None = None,
    near: Division | None = None,
) -> Division | Conflict:
    """The best division of the supply by the goal, or the promises in conflict.

    gap: share of the objective by which it may be worse than the best. Where units are many it may
    turn out larger; the division says how large.  near: of the same options, to begin from.
    """
    ready, scale = scaled(problem)
    slow = ready.moving.any() and np.prod(ready.shape) > MANY
    first = replace(ready, moving=np.zeros_like(ready.moving)) if slow else ready
    begun = _begun(first, goal, told, near)
    if isinstance(begun, Conflict):
        return begun
    master, steps = begun
    bound, prices = steps[-1].bound, _first(steps)
    if slow:
        master = _with_moves(ready, master, goal)
    if told is not None:
        told("whole replicas", 0.0)
    best = _whole(master)
    if _off(best, bound) > gap and not slow and is_small(ready, goal in FAIR):
        again = _begun(first, goal, None)
        assert not isinstance(again, Conflict)
        searched = exact(again[0], gap)
        if searched is not None and searched.value > best.value:
            master, best = again[0], searched
            bound = min(bound, best.bound)
    best = replace(best, bound=bound, gap=max(_off(best, bound), 0.0))
    return division(problem, scale, master, best, prices, counted=goal != "cost")


def _off(found: Whole, bound: float) -> float:
    """Share by which it may be worse than the best: of the objective, or where earlier steps had
    to be kept, of the one that is missed by most."""
    if found.missed > 0:
        return found.missed
    return (bound - found.value) / max(abs(bound), 1e-9)


def _begun(
    ready: Problem, goal: Wanted, told: Progress | None, near: Division | None = None
) -> tuple[Master, list[Relaxed]] | Conflict:
    """The optimum where units may be split."""
    master = Master(ready, shares=goal in FAIR)
    begin(master, None if near is None else (near.held.option, near.held.period, near.held.part))
    conflict = kept_or_conflict(master, told)
    if conflict is not None:
        return conflict
    steps = pursue(master, goal, told)
    assert steps is not None, "promises can be kept, so there is a division"
    return master, steps


def _with_moves(ready: Problem, free: Master, goal: Wanted) -> Master:
    """The same with moves, of the options alone that are at work where moving is free."""
    at_work = free.programme.values[free.columns] > 1e-9
    master = Master(ready, shares=bool((free.tallies.share >= 0).any()), closed=True)
    master.add(free.option[at_work], free.period[at_work], free.part[at_work])
    found = pursue(master, goal)
    assert found is not None, "what was a division without moves is one with them"
    return master


def _first(steps: list[Relaxed]) -> Any:
    """What more of the supply is worth to the first class that is short of it."""
    found = np.zeros(max(len(step.prices) for step in steps))
    for step in steps:
        prices = np.zeros(len(found))
        prices[: len(step.prices)] = step.prices
        found = np.where(np.abs(found) > 1e-9, found, prices)
    return found


def _whole(master: Master) -> Whole:
    """In whole units, where any come so."""
    lines = master.problem.lines
    if any(isinstance(each, Project) or getattr(each, "whole", False) for each in lines):
        found = rounded(master)
        assert found is not None, "softened promises leave a division"
        return found
    return whole_of(master, np.full(len(master.columns), -1))
