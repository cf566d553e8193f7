"""Useful tokens per second of one chip, from the plan that needs the fewest of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log
from typing import Any

import numpy as np

from eke.catalog.fleets import resized
from eke.economics.laws import DEVIATIONS
from eke.errors import BadInput
from eke.physics.answer import outcome
from eke.physics.scenarios import likely, moves, scenarios
from eke.planning import MOST, enough, plan
from eke.types.efficiency import Efficiency
from eke.types.fleet import Fleet, Pool
from eke.types.goal import Goal, Planned
from eke.types.job import Serve, Train
from eke.types.need import Infeasible
from eke.types.plan import Plan
from eke.types.record import Record, replace
from eke.types.silicon import Law, Uncertain
from eke.verbs import values_of

MANY = 96  # chips at least, so that whole replicas round little
COPY = 128  # chips of one copy of a model at most; of experts, twice as many as there are
IDLE = 1e-3  # requests per second at which nothing waits
NOTICED = 1e-3  # a value that moves the speed by less is left out
OWN = ("scatter", "full", "first")  # what the physics leaves out is of each family of chips
Progress = Callable[[int, float], None]
Moves = dict[str, tuple[float, float]]


class Load(Record):
    """A part of the workload. share: of all useful tokens.  chips: of a training cluster."""

    job: Serve | Train
    share: float = 1.0
    chips: int = 256
    choices: Mapping[str, Any] = {}


class Speed(Record):
    """Useful tokens per second of one chip at the peak, its headroom left free.

    moves: for each uncertain value, the logarithm of what its low and its high end make of it.
    chips: of the plan.  words: the plan.
    """

    tokens: float
    moves: Moves
    chips: int
    plans: tuple[Planned, ...]


def speed(
    loads: Sequence[Load], pool: Pool, whole: bool, progress: Progress | None = None
) -> Speed | Infeasible:
    """Of a chip under a mix of loads: the chip time of all parts adds up.

    whole: the rate that is asked for and whole chips, instead of as many as round well.
    """
    found = []
    for load in loads:
        one = _serving(load, pool, whole, progress)
        if isinstance(one, Infeasible):
            return one
        found.append(one)
    times = [load.share / each.tokens for load, each in zip(loads, found, strict=True)]
    weights = [time / sum(times) for time in times]
    return Speed(
        tokens=1 / sum(times),
        moves=_mixed([each.moves for each in found], weights),
        chips=max(each.chips for each in found),
        plans=tuple(each.plans[0] for each in found),
    )


def _mixed(every: list[Moves], weights: list[float]) -> Moves:
    """What ends do to the speed of a mix, by the share of chip time of each part."""
    found: Moves = {}
    for weight, moved in zip(weights, every, strict=True):
        for name, (low, high) in moved.items():
            before = found.get(name, (0.0, 0.0))
            found[name] = before[0] + weight * low, before[1] + weight * high
    return found


def tokens_of(job: Serve) -> float:
    """Of a request, of its prompt and its answer."""
    return float(job.prompt + job.answer)


def _serving(load: Load, pool: Pool, whole: bool, progress: Progress | None) -> Speed | Infeasible:
    if isinstance(load.job, Train):
        return _training(load, load.job, pool, progress)
    job = load.job
    fleet = enough(job, Fleet(pools=(pool,)), load.choices)
    late = _late(load, job, pool, progress) if fleet.chips >= MOST else None
    found = late or _planned(load, job, fleet, progress)
    if isinstance(found, Planned) and not whole and found.need.plan.chips < MANY:
        job = replace(job, rate=job.rate * MANY / found.need.plan.chips)
        fleet = enough(job, Fleet(pools=(pool,)), load.choices)
        found = _planned(load, job, fleet, progress)
    if isinstance(found, Infeasible):
        return found
    values = values_of(job, found.need.plan, fleet)
    rate = job.rate if whole else most_rate(job, found.need.plan, fleet, values)
    result = outcome(job, found.need.plan, fleet, scenarios(values))["rate_most"]
    return Speed(
        tokens=rate * tokens_of(job) / found.need.plan.chips,
        moves=moves_of(result, values, pool.chip.family),
        chips=found.need.plan.chips,
        plans=(found,),
    )


def _late(load: Load, job: Serve, pool: Pool, progress: Progress | None) -> Infeasible | None:
    """What even an idle copy on so many chips is too slow for, which no number of copies mends: a
    look at few chips, where one at as many as there may be takes long."""
    copy = resized(pool, max(COPY, 2 * job.model.experts))
    found = _planned(load, replace(job, rate=IDLE), Fleet(pools=(copy,)), progress)
    if isinstance(found, Infeasible) and found.limit in ("ttft", "tpot"):
        return replace(found, hint="even one that nobody else uses is too slow; a looser promise")
    return None


def _planned(
    load: Load, job: Serve, fleet: Fleet, progress: Progress | None
) -> Planned | Infeasible:
    return plan(
        job,
        fleet,
        Goal(least="chips"),
        choices=load.choices,
        disaggregate="never",
        progress=progress,
    )


def most_rate(job: Serve, plan: Plan, fleet: Fleet, values: dict[str, Efficiency]) -> float:
    """The highest rate at which the plan keeps every limit: whole chips round down the need."""
    knobs, low, high = likely(values), job.rate, job.rate * 1.5
    for _ in range(12):
        middle = (low + high) / 2
        kept = outcome(replace(job, rate=middle), plan, fleet, knobs).feasible
        low, high = (middle, high) if bool(np.all(kept)) else (low, middle)
    return low


def _training(load: Load, job: Train, pool: Pool, progress: Progress | None) -> Speed | Infeasible:
    fleet = Fleet(pools=(resized(pool, load.chips),))
    found = plan(job, fleet, Goal(least="time"), choices=load.choices, progress=progress)
    if isinstance(found, Infeasible):
        return found
    values = values_of(job, found.need.plan, fleet)
    time = outcome(job, found.need.plan, fleet, scenarios(values))["time"]
    chips = found.need.plan.chips
    return Speed(
        tokens=job.tokens / (found.need.time.likely * chips),
        moves=moves_of(1 / np.asarray(time, dtype=float), values, pool.chip.family),
        chips=chips,
        plans=(found,),
    )


def moves_of(values: Any, efficiencies: dict[str, Efficiency], family: str) -> Moves:
    """Per value what its ends do. Those out of one table move all chips that rest on it alike."""
    found = {}
    for name, (low, high) in moves(values, list(efficiencies)).items():
        ends = log(max(low, 1e-6)), log(max(high, 1e-6))
        if max(map(abs, ends)) > NOTICED:
            table = family if name in OWN else efficiencies[name].family
            found[f"{name} of {table}"] = ends
    return found


def efficiency_inputs(speeds: Sequence[Speed]) -> dict[str, Uncertain]:
    """One uncertain number for each value that speeds rest on: standard deviations from the
    likeliest."""
    names = dict.fromkeys(name for each in speeds for name in each.moves)
    law = Law(name="normal", numbers=(0.0, 1.0))
    return {
        name: Uncertain(
            name=name, law=law, unit="sd", kind="fitted", source="truth", least=-6.0, most=6.0
        )
        for name in names
    }


def speed_at(found: Speed, values: Mapping[str, Any]) -> Any:
    """The speed where those numbers are as given, or arrays of cases."""
    moved: Any = 0.0
    for name, (low, high) in found.moves.items():
        z = values[name] / DEVIATIONS
        moved = moved + high * np.maximum(z, 0.0) + low * np.maximum(-z, 0.0)
    return found.tokens * np.exp(moved)


def refuse_none(loads: Sequence[Load]) -> None:
    """Raises BadInput for a workload whose shares are not those of a whole."""
    if not loads:
        raise BadInput("no workload; name a model, such as --model llama-3.1-70b.")
    total = sum(load.share for load in loads)
    if abs(total - 1) > 1e-6:
        raise BadInput(f"the shares of the workload add up to {total:.0%}; they must be 100 %.")
