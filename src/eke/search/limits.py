"""What a plan has to keep, and by how much it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eke.errors import BadInput
from eke.physics.adapters import distinct_adapters, sharing
from eke.physics.outcome import Limit, Outcome
from eke.search.block import Block
from eke.search.place import Place
from eke.types.goal import Goal, figure_of
from eke.types.job import Serve
from eke.types.record import replace

RATES = ("throughput", "prefill", "host link", "prefill host link")
POOLS = ("chips", "chips of the other half")  # what the pools have, which no user loosens


def capacity(name: str) -> bool:
    """Whether a limit is of what fits, which is counted rather than predicted."""
    return "memory" in name or name.endswith(("chips", "replicas", "slots")) or name in POOLS


def limits_of(block: Block, goal: Goal, result: Outcome) -> list[Limit]:
    """Of the job, of the pools and of the goal."""
    wanted = _wanted(goal, result, block.place)
    own = [_with_headroom(limit, goal) for limit in result.limits]
    return [*_within_pools(block), *own, *_slots(block, result), *wanted]


def _with_headroom(limit: Limit, goal: Goal) -> Limit:
    """Memory less what is to stay free."""
    if not goal.headroom or limit.name not in ("memory", "rear memory", "prefill memory"):
        return limit
    left = limit.have * (1 - goal.headroom)
    return replace(limit, have=left, hint=f"{limit.hint}; or less --headroom")


def _within_pools(block: Block) -> list[Limit]:
    """No more chips than the pools have."""
    plans, pools = block.plans, block.fleet.pools
    if plans.other is None:
        return []
    halves = [(plans.own_chips, pools[0]), (plans.other_chips, pools[-1])]
    if len(pools) == 1:
        halves = [(plans.chips, pools[0])]
    return [
        Limit(name=name, need=need, have=pool.chips, unit="1", hint="more chips")
        for name, (need, pool) in zip(POOLS, halves, strict=False)
    ]


def _slots(block: Block, result: Outcome) -> list[Limit]:
    """As many fine-tunes resident as a batch has different ones: the physics does not count the
    wait for one to be released, so a plan that would live on it is not looked for."""
    job, plans = block.job, block.plans
    if not isinstance(job, Serve) or not job.adapters:
        return []
    at_once = result["concurrency"] / sharing(job, plans)
    wanted = distinct_adapters(adapters=job.adapters, sequences=at_once)
    slots = np.asarray(plans.adapter_slots)
    have = np.where(slots > 0, slots, np.inf)
    hint = "more adapter slots"
    return [Limit(name="adapter slots", need=wanted, have=have, unit="1", hint=hint)]


GOALS = {  # limits of the goal that the job has others of the same name beside
    "ttft": "mean ttft",
    "tpot": "mean tpot",
    "time": "time at most",
    "chips": "number of chips",
    "memory": "memory in use",
}


def _wanted(goal: Goal, result: Outcome, place: Place) -> list[Limit]:
    """The goal's own limits."""
    figures = {amount.name: amount.value for amount in result.amounts if amount.value is not None}
    units = {amount.name: amount.unit for amount in result.amounts}
    return [
        Limit(
            name=GOALS.get(limit.figure, limit.figure),
            need=figure(figures, limit.figure, place),
            have=limit.most,
            unit=units[figure_of(limit.figure)],
            hint="a looser limit",
        )
        for limit in goal.within
    ]


def figure(figures: dict[str, Any], name: str, place: Place) -> Any:
    """A figure of the answer by the goal's word. Raises BadInput where there is none."""
    wanted = figure_of(name)
    if wanted in figures:
        return figures[wanted]
    if wanted == "money":
        raise BadInput(
            f"nobody has published what {place.pool.chip.id} costs; give --price, or another goal."
        )
    if wanted in ("energy", "carbon"):
        raise BadInput(
            f"nobody has published the power of {place.pool.chip.id}; choose another goal."
        )
    raise BadInput(f"no figure {name!r}; there are {', '.join(figures)}.")


def limit_ratio(limit: Limit) -> Any:
    """Need over have; endless where there is nothing to have."""
    have = np.asarray(limit.have, dtype=float)
    return np.where(have > 0, limit.need / np.where(have > 0, have, 1.0), np.inf)


def misses(ratios: Mapping[str, Any]) -> tuple[Any, ...]:
    """How far limits are missed, the ones that others follow from first: what does not fit cannot
    run, and what cannot keep up makes everybody wait."""
    groups: tuple[list[Any], ...] = ([1.0], [1.0], [1.0])
    for name, ratio in ratios.items():
        groups[0 if capacity(name) else 1 if name in RATES else 2].append(ratio)
    worst = (np.maximum.reduce(np.broadcast_arrays(*group)) for group in groups)
    return tuple(np.broadcast_arrays(*worst))


def first_missed(ratios: Mapping[str, float]) -> str:
    """The limit to speak of where several are missed."""
    order = sorted(ratios, key=lambda name: (not capacity(name), name not in RATES, -ratios[name]))
    return next(name for name in order if ratios[name] > 1)
