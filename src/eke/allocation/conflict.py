"""Promises that cannot all be kept: the smallest set of them in conflict."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocation.master import Aim, Master
from eke.allocation.programme import Programme
from eke.allocation.relaxed import Progress, relax
from eke.types.record import Record

NOTHING = 1e-7  # a share of a promise below which nothing is lacking
ROUNDS = 400  # sets looked at


class Conflict(Record):
    """Promises of which not all can be kept, though all but any one could.

    promises: of each its use and its line, -1 where chips were promised to the use.  lacks: of
    each, what the supply is short of by period, as shares of the promise, where the others are kept
    as far as they go.  supply: names of what is short, with the period and part of the day, the
    scarcest first.
    """

    promises: tuple[tuple[int, int], ...]
    lacks: tuple[Any, ...]
    supply: tuple[tuple[str, int, int], ...]


def kept_or_conflict(master: Master, told: Progress | None = None) -> Conflict | None:
    """None where all promises can be kept, which the master then holds; else who is in conflict."""
    if not master.promises:
        return None
    _only_promises(master)
    everyone = list(range(len(master.promises)))
    if _lacking(master, everyone, told) is None:
        for promise in master.promises:
            master.programme.bounds(promise.lacks, 0.0, 0.0)
            master.programme.worths(promise.lacks, 0.0)
        return None
    return _smallest(master, everyone, told)


def _only_promises(master: Master) -> None:
    none = np.zeros(len(master.problem.lines))
    master.aim(Aim(worth=none, cost=none, bought=0.0))


def _lacking(master: Master, wanted: list[int], told: Progress | None) -> list[int] | None:
    """Which of these promises lack something where as little as possible is lacking; None where
    none does. Others may lack whatever they like."""
    programme = master.programme
    for number, promise in enumerate(master.promises):
        programme.bounds(promise.lacks, 0.0, 1.0)
        programme.worths(promise.lacks, -1.0 if number in wanted else 0.0)
    found = relax(master, enough=-NOTHING, told=told)
    assert found is not None, "with every promise open the programme has a solution"
    if found.value >= -NOTHING * max(len(wanted), 1):
        return None
    return [number for number in wanted if _lacks(master, number) > NOTHING]


def _lacks(master: Master, number: int) -> float:
    return float(master.programme.values[master.promises[number].lacks].sum())


def _smallest(master: Master, everyone: list[int], told: Progress | None) -> Conflict:
    """The smallest set that touches every set whose absence would make the rest possible.

    Source: ignatiev2015, smallest unsatisfiable subsets by implicit hitting sets.
    """
    corrections: list[list[int]] = []
    for _ in range(ROUNDS):
        chosen = _touching(corrections, len(everyone))
        if _lacking(master, chosen, told) is not None:
            return _told(master, chosen)
        possible = _grown(master, chosen, everyone, told)
        corrections.append([number for number in everyone if number not in possible])
    return _told(master, everyone)


def _grown(
    master: Master, chosen: list[int], everyone: list[int], told: Progress | None
) -> list[int]:
    """These promises and as many others as can be kept beside them, each tried in its turn."""
    possible = list(chosen)
    for number in everyone:
        if number not in possible and _lacking(master, [*possible, number], told) is None:
            possible.append(number)
    return possible


def _touching(sets: list[list[int]], number: int) -> list[int]:
    """The fewest numbers of which every set has one."""
    if not sets:
        return []
    programme = Programme()
    rows = programme.add_rows(np.ones(len(sets)), np.inf)
    columns = programme.add_columns(np.full(number, -1.0), [], 0.0, 1.0)
    for row, each in zip(rows, sets, strict=True):
        programme.entries(np.repeat(row, len(each)), columns[each], 1.0)
    programme.whole(columns)
    programme.solve_whole(gap=0.0, nodes=100_000, seconds=20.0)
    return np.flatnonzero(programme.values > 0.5).tolist()


def _told(master: Master, chosen: list[int]) -> Conflict:
    _lacking(master, chosen, None)
    promises = [master.promises[number] for number in chosen]
    return Conflict(
        promises=tuple((each.use, each.line) for each in promises),
        lacks=tuple(master.programme.values[each.lacks] for each in promises),
        supply=_short_of(master),
    )


def _short_of(master: Master) -> tuple[tuple[str, int, int], ...]:
    """The supply whose lack it is, by how much of a promise one more unit would keep."""
    prices, found = master.programme.prices, []
    made = master.supply
    named = {"chips": made.chips, "watts": made.watts, "racks": made.racks[:, :, None]}
    named |= {"budget": made.budget[:, :, None], "carbon": made.carbon[:, :, None]}
    for what, rows in named.items():
        for place, period, part in zip(*np.nonzero(rows >= 0), strict=True):
            price = prices[rows[place, period, part]] * _usual(master, what, place, period)
            if price > NOTHING:
                found.append((float(price), f"{what} {place}", int(period), int(part)))
    found.sort(key=lambda each: (-each[0], each[1:]))
    return tuple(each[1:] for each in found)


def _usual(master: Master, what: str, place: int, period: int) -> float:
    """How much there is of it, so that prices can be compared."""
    problem, pools = master.problem, master.problem.pools
    amounts = {
        "chips": float(pools.have[place, period] + pools.more[place, period])
        if what == "chips"
        else 0.0,
        "watts": float(problem.power[place]) if what == "watts" else 0.0,
        "racks": float(problem.racks[place]) if what == "racks" else 0.0,
        "budget": float(problem.budget[period]),
        "carbon": problem.carbon,
    }
    return max(amounts[what], 1.0)
