"""A division in the units of the problem: who has what, what is left undone, what more is worth."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocation.master import Master
from eke.allocation.problem import Flow, Problem, Project, Queue
from eke.allocation.programme import NONE
from eke.allocation.scale import Scale
from eke.allocation.whole import Whole
from eke.types.record import Record

TINY = 1e-7  # of a unit; less is an error of arithmetic


class Held(Record):
    """Options at work, an array each over (option, period, part of the day) that has any. units: of
    the option.  work: done, less what nobody asked for."""

    option: Any
    period: Any
    part: Any
    units: Any
    work: Any


class Prices(Record):
    """What one more is worth, at the optimum of split units [USD]: of a chip in a part of a period
    (P, T, S), of a watt there (Z, T, S), of a rack in a period (Z, T), of a dollar (T,), of a
    kilogram of carbon."""

    chip: Any
    watt: Any
    rack: Any
    dollar: Any
    carbon: float


class Division(Record):
    """Who gets what. value: of all that is done, less what it costs [USD].  bound: above which no
    division comes.  gap: share by which it may be worse than the best: in value, or in the share
    that is missed by most where shares had to be fair.

    done: work of each line by period and part (L, T, S).  late: of it, by line and stage (T,).
    finished: of each project, the stage in which, None for never.  waiting, refused: of each queue
    by period (L, T).  rented: chips (P, T).  moved: chips that came to a pool, by use (U, P, T).
    lacking: of each promise that whole units could not keep, its use, its line (-1 for chips of the
    use), its period and the share.
    """

    value: float
    bound: float
    gap: float
    held: Held
    done: Any
    late: dict[tuple[int, int], Any]
    finished: dict[int, int | None]
    waiting: Any
    refused: Any
    rented: Any
    moved: Any
    lacking: tuple[tuple[int, int, int, float], ...]
    prices: Prices


def division(
    problem: Problem,
    scale: Scale,
    master: Master,
    whole: Whole,
    prices: Any,
    counted: bool = True,
) -> Division:
    """From what the programme has, in its own units, to the problem's. prices: of rows.  counted:
    whether the worth of what is done counts, or only what it costs."""
    values = np.where(np.abs(whole.values) < TINY, 0.0, whole.values)
    held = _held(problem, scale, master, values, whole.waste)
    late = _late(scale, master, values)
    finished = _finished(master, values)
    return Division(
        value=float(counted) * _worth(problem, held, late, finished)
        - _cost(problem, master, held, values),
        bound=whole.bound * scale.money,
        gap=whole.gap,
        held=held,
        done=_done(problem, held),
        late=late,
        finished=finished,
        waiting=_queued(problem, scale, master.asked.waits, values, every=True),
        refused=_queued(problem, scale, master.asked.passed, values, every=False),
        rented=_of_columns(master.supply.rented, values),
        moved=_moved(problem, master, values),
        lacking=_lacking(master, values),
        prices=_prices(problem, scale, master, prices),
    )


def _held(problem: Problem, scale: Scale, master: Master, values: Any, waste: Any) -> Held:
    units = values[master.columns]
    some = units > 0
    option, period, part = master.option[some], master.period[some], master.part[some]
    work = problem.options.rate[option] * problem.seconds[part] * units[some]
    wasted = waste[: len(units)][some] * scale.work[problem.options.line[option]]
    order = np.lexsort((part, period, option))
    return Held(
        option=option[order],
        period=period[order],
        part=part[order],
        units=units[some][order],
        work=np.maximum(work - wasted, 0.0)[order],
    )


def _done(problem: Problem, held: Held) -> Any:
    _, periods, parts = problem.shape
    found = np.zeros((len(problem.lines), periods, parts))
    np.add.at(found, (problem.options.line[held.option], held.period, held.part), held.work)
    return found


def _late(scale: Scale, master: Master, values: Any) -> dict[tuple[int, int], Any]:
    return {
        (each.line, each.stage): values[each.columns] * scale.work[each.line]
        for each in master.asked.gains
        if each.what == "done"
    }


def _finished(master: Master, values: Any) -> dict[int, int | None]:
    """The stage in which each project is done."""
    found: dict[int, int | None] = {}
    for each in master.asked.gains:
        if each.what == "finished":
            found.setdefault(each.line, None)
            if values[each.columns[0]] > 0.5:
                found[each.line] = each.stage
    return found


def _queued(
    problem: Problem, scale: Scale, columns: dict[tuple[int, int], Any], values: Any, every: bool
) -> Any:
    """Of queues by period: what waits in any stage, or what leaves the last one undone."""
    found = np.zeros((len(problem.lines), problem.shape[1]))
    for (line, stage), each in columns.items():
        queue = problem.lines[line]
        assert isinstance(queue, Queue)
        if every or stage == len(queue.stages) - 1:
            found[line] += values[each] * scale.work[line]
    return found


def _of_columns(columns: Any, values: Any) -> Any:
    return np.where(columns == NONE, 0.0, values[columns])


def _moved(problem: Problem, master: Master, values: Any) -> Any:
    found = np.zeros((*problem.moving.shape, problem.shape[1]))
    for pair, columns in master.moves.moved.items():
        found[pair][1:] = values[columns]
    return found


def _lacking(master: Master, values: Any) -> tuple[tuple[int, int, int, float], ...]:
    return tuple(
        (promise.use, promise.line, int(period), float(values[column]))
        for promise in master.promises
        for column, period in zip(promise.lacks, promise.periods, strict=True)
        if values[column] > 1e-4
    )


def _worth(
    problem: Problem,
    held: Held,
    late: dict[tuple[int, int], Any],
    finished: dict[int, int | None],
) -> float:
    """Summed up from what is done, not taken from the solver."""
    options, lines = problem.options, problem.lines
    line = options.line[held.option]
    worth = np.array([each.worth for each in lines])[line]
    flow = np.array([isinstance(each, Flow) for each in lines])[line]
    queue = np.array([isinstance(each, Queue) for each in lines])[line]
    share = options.quality[held.option] - np.where(queue, 1.0, 0.0)
    total = float((np.where(flow | queue, share, 0.0) * worth * held.work).sum())
    for (number, stage), each in late.items():
        kept = lines[number]
        assert isinstance(kept, Queue)
        total += float(each.sum()) * kept.worth * kept.stages[stage].keeps
    for number, ended in finished.items():
        project = lines[number]
        if ended is not None and isinstance(project, Project):
            total += project.worth * project.stages[ended].keeps
    return total


def _cost(problem: Problem, master: Master, held: Held, values: Any) -> float:
    """Of running, renting and moving."""
    options = problem.options
    running = options.cost[held.option] * problem.seconds[held.part] * held.units
    rent = problem.pools.price[:, None] * _of_columns(master.supply.rented, values)
    moves = _moved(problem, master, values) * problem.moving[:, :, None]
    return float(running.sum() + rent.sum() * problem.seconds.sum() + moves.sum())


def _prices(problem: Problem, scale: Scale, master: Master, prices: Any) -> Prices:
    made, found = master.supply, np.append(np.maximum(prices, 0.0), 0.0) * scale.money
    return Prices(
        chip=found[made.chips],
        watt=found[made.watts] / scale.power,
        rack=found[made.racks],
        dollar=found[made.budget[0]] / scale.money,
        carbon=float(found[made.carbon[0, 0]]) / scale.carbon,
    )
