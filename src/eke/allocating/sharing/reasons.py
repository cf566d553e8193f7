"""Why work is refused: what stands in the way of a little more of each line."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocating.sharing.problem import Posed
from eke.allocation.outcome import Division
from eke.types.provider import Line, Provider
from eke.units import show

SLIGHT = 1e-3  # share of what is asked for that is not worth a reason


def reasons(provider: Provider, posed: Posed, found: Division) -> dict[int, str]:
    """A reason for each line of which something is not done, by its number."""
    told = {}
    for number, line in enumerate(provider.lines):
        missing = _missing(provider, posed, found, number, line)
        if missing is not None:
            told[number] = _reason(provider, posed, found, number, missing)
    return told


def _missing(
    provider: Provider, posed: Posed, found: Division, number: int, line: Line
) -> Any | None:
    """How much is not done, by period and part of the day; None where that is next to nothing."""
    if line.kind == "project":
        done = [n for n, stage in found.finished.items() if stage is not None]
        versions = [i for i, each in enumerate(provider.lines) if _same(each, line)]
        if set(done) & set(versions):
            return None
        asked = np.zeros(found.done.shape[1:])
        asked[line.begin : posed.problem.lines[number].stages[-1].until] = 1.0  # type: ignore[attr-defined]
        return asked
    if line.kind == "queue":
        missing = np.repeat(found.refused[number][:, None], len(provider.parts), axis=1)
        total = sum(period[0] for period in line.asked)
    else:
        asked = np.array(line.asked)
        missing = np.maximum(asked - found.done[number], 0.0)
        total = float(asked.sum())
    return missing if missing.sum() > SLIGHT * max(total, 1e-12) else None


def _same(one: Line, other: Line) -> bool:
    """Whether they are versions of one project."""
    names = [line.name if line.instead is None else line.instead for line in (one, other)]
    return one.use == other.use and one.kind == "project" and names[0] == names[1]


def _reason(provider: Provider, posed: Posed, found: Division, number: int, missing: Any) -> str:
    if provider.goal == "cost":
        return "only what is promised is done, as cheaply as may be"
    problem = posed.problem
    mine = np.flatnonzero(problem.options.line == number)
    if not len(mine):
        return "no way to do it fits any pool or keeps its promises"
    period, part = np.unravel_index(int(missing.argmax()), missing.shape)
    seconds = problem.seconds[part]
    takes = _takes(problem, found, mine, int(period), int(part))
    work = problem.options.rate[mine] * seconds
    brings = problem.options.quality[mine] * provider.lines[number].worth * work
    spare = brings - sum(takes.values())
    best = int(spare.argmax())
    largest = max(takes, key=lambda name: takes[name][best])
    hours = problem.options.chips[mine[best]] * seconds / 3600.0
    pool = provider.supplies[int(problem.options.pool[mine[best]])].name
    if spare[best] > 0.02 * brings[best]:
        return "whole replicas leave no room for it"
    price = takes[largest][best] / hours
    offer = brings[best] / hours
    named = {"chips": f"{pool} chips", "watts": "power", "budget": "the budget"}
    what = named.get(largest, largest)
    if largest == "running":
        return f"running it costs {_hourly(price)} a chip, it brings {_hourly(offer)}"
    return f"{what}: worth {_hourly(price)} a chip to others, it brings {_hourly(offer)} at best"


def _hourly(value: float) -> str:
    return show(value / 3600.0, "USD/s")


def _takes(problem: Any, found: Division, mine: Any, period: int, part: int) -> dict[str, Any]:
    """What a unit of each option takes from others at the shadow prices, by what it takes [USD]."""
    options, prices, pools = problem.options, found.prices, problem.pools
    pool, seconds = options.pool[mine], problem.seconds[part]
    site = pools.site[pool]
    cost = options.cost[mine] * seconds
    carbon = options.power[mine] * pools.carbon[pool] * seconds
    return {
        "chips": options.chips[mine] * prices.chip[pool, period, part],
        "watts": options.power[mine] * prices.watt[site, period, part],
        "budget": cost * prices.dollar[period],
        "carbon": carbon * prices.carbon,
        "running": cost,
    }
