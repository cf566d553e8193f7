"""Rows of what there is: chips, watts, racks, money, carbon; columns of what is rented."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocation.problem import FOREVER, Problem
from eke.allocation.programme import NONE, Programme
from eke.allocation.terms import Term
from eke.types.record import Record


class Supply(Record):
    """Numbers of rows, -1 where there is no such bound, and of columns.

    chips (P, T, S), watts (Z, T, S), racks (Z, T), budget (1, T), carbon (1, 1); columns of rented
    and of installed chips (P, T).
    """

    chips: Any
    watts: Any
    racks: Any
    budget: Any
    carbon: Any
    rented: Any
    installed: Any


def supply(programme: Programme, problem: Problem) -> Supply:
    """The rows and columns, made."""
    _, periods, parts = problem.shape
    pools, number = problem.pools, len(problem.pools.site)
    racked = np.isfinite(problem.racks)
    have = np.where(racked[pools.site, None], 0.0, pools.have)
    many = np.repeat(have[:, :, None], parts, axis=2)
    watts = np.repeat(problem.power, periods * parts).reshape(-1, periods, parts)
    made = Supply(
        chips=programme.add_rows(-FOREVER, many),
        watts=_where_bounded(programme, watts),
        racks=_where_bounded(programme, np.repeat(problem.racks[:, None], periods, axis=1)),
        budget=_where_bounded(programme, problem.budget[None]),
        carbon=_where_bounded(programme, np.array([[problem.carbon]])),
        rented=np.full((number, periods), NONE),
        installed=np.full((number, periods), NONE),
    )
    for pool in range(number):
        if pools.more[pool].any():
            made.rented[pool] = _rented(programme, problem, made, pool)
        if racked[pools.site[pool]]:
            made.installed[pool] = _installed(programme, problem, made, pool)
    return made


def _where_bounded(programme: Programme, most: Any) -> Any:
    """A row for each bound that there is."""
    rows, bounded = np.full(most.shape, NONE), np.isfinite(most)
    rows[bounded] = programme.add_rows(-FOREVER, most[bounded])
    return rows


def _rented(programme: Programme, problem: Problem, made: Supply, pool: int) -> Any:
    """Chips rented by the period, in whatever part of the day they work."""
    price = problem.pools.price[pool] * problem.seconds.sum()
    entries = [(rows, -1.0) for rows in made.chips[pool].T]
    most = problem.pools.more[pool]
    worth = np.full(len(most), -price)
    return programme.add_columns(worth, [*entries, (made.budget[0], price)], 0.0, most)


def _installed(programme: Programme, problem: Problem, made: Supply, pool: int) -> Any:
    """Chips that stand in racks, of those one has."""
    pools = problem.pools
    entries = [(rows, -1.0) for rows in made.chips[pool].T]
    entries.append((made.racks[pools.site[pool]], 1.0 / pools.per_rack[pool]))
    have = pools.have[pool]
    return programme.add_columns(np.zeros(len(have)), entries, 0.0, have)


def supply_terms(problem: Problem, made: Supply) -> list[Term]:
    """What a unit of an option takes of the supply."""
    pools, options = problem.pools, problem.options
    _, periods, parts = problem.shape
    site, none = pools.site[options.pool], np.zeros(len(options.line), int)
    emitted = options.power * pools.carbon[options.pool]
    always = np.ones(parts)
    carbon = np.broadcast_to(made.carbon[:, :, None], (1, periods, 1))
    return [
        Term(key=options.pool, rows=made.chips, each=options.chips, weight=always),
        Term(key=site, rows=made.watts, each=options.power, weight=always),
        Term(key=none, rows=made.budget[:, :, None], each=options.cost, weight=problem.seconds),
        Term(key=none, rows=carbon, each=emitted, weight=problem.seconds),
    ]
