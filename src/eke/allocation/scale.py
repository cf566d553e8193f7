"""Units in which the numbers of a problem are near one, as solvers like them."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocation.problem import Flow, Line, Problem, Project, Queue
from eke.types.record import Record, replace


class Scale(Record):
    """One of the units inside is so much outside. work: of each line (L,).  money [USD].  power
    [W].  carbon [kg]."""

    work: Any
    money: float
    power: float
    carbon: float


def scaled(problem: Problem) -> tuple[Problem, Scale]:
    """The same problem with a unit of work being what a usual unit of a line's options does in a
    period, one of money what that is worth for each chip."""
    options, pools = problem.options, problem.pools
    whole = float(problem.seconds.sum())
    lines = range(len(problem.lines))
    usual = [_middle(options.rate[options.line == i]) * whole for i in lines]
    projects = [isinstance(line, Project) for line in problem.lines]
    work = np.where(projects, 1.0, usual)
    worth = np.array([line.worth for line in problem.lines])[options.line]
    money = _middle(np.abs(worth) * options.rate / options.chips) * whole
    power = _middle(options.power / options.chips)
    carbon = _middle(pools.carbon) * power * whole
    found = Scale(work=work, money=money, power=power, carbon=carbon)
    return _applied(problem, found), found


def _middle(values: Any) -> float:
    """The median of what is not zero; 1 where there is nothing."""
    some = values[values > 0]
    return float(np.median(some)) if len(some) else 1.0


def _applied(problem: Problem, scale: Scale) -> Problem:
    options, pools = problem.options, problem.pools
    return replace(
        problem,
        options=replace(
            options,
            rate=options.rate / scale.work[options.line],
            power=options.power / scale.power,
            cost=options.cost / scale.money,
        ),
        pools=replace(
            pools,
            price=pools.price / scale.money,
            carbon=pools.carbon * scale.power / scale.carbon,
        ),
        lines=tuple(
            _line(line, float(work), scale.money)
            for line, work in zip(problem.lines, scale.work, strict=True)
        ),
        power=problem.power / scale.power,
        budget=problem.budget / scale.money,
        moving=problem.moving / scale.money,
        carbon=problem.carbon / scale.carbon,
    )


def _line(line: Line, work: float, money: float) -> Line:
    """A project is one piece of work, whose unit stays."""
    if isinstance(line, Flow | Queue):
        return replace(line, worth=line.worth * work / money, asked=line.asked / work)
    return replace(line, worth=line.worth / money)
