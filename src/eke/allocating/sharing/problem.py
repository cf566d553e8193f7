"""A provider and the ways of its lines as the arrays that are divided."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np

from eke.allocation.problem import (
    FOREVER,
    Flow,
    Options,
    Pools,
    Problem,
    Project,
    Queue,
    Stage,
)
from eke.allocation.problem import Line as Asked
from eke.catalog.efficiencies import efficiencies
from eke.physics.costs import energy_of
from eke.physics.scenarios import likely
from eke.types.provider import NOWHERE, Line, Provider, Supply, Way
from eke.types.record import Record

Ways = Sequence[Sequence[Way]]  # by line


class Posed(Record):
    """The problem, and of each option its line and its way; the names of its sites."""

    problem: Problem
    options: tuple[tuple[int, Way], ...]
    sites: tuple[str, ...]


def pose(provider: Provider, ways: Ways, speed: float = 0.0) -> Posed:
    """The problem of a provider. speed: -1 where every way is as slow as may be, 1 as fast."""
    pools = {supply.name: number for number, supply in enumerate(provider.supplies)}
    options = sorted(
        ((number, way) for number, each in enumerate(ways) for way in each if _possible(way)),
        key=lambda pair: (pair[0], pools[pair[1].pool], -pair[1].keeps, pair[1].chips),
    )
    sites = [*provider.sites, NOWHERE]
    names = tuple(site.name for site in sites)
    uses = {use.name: number for number, use in enumerate(provider.uses)}
    wanted = dict.fromkeys(map(_choice, provider.lines))
    choices = {each: number for number, each in enumerate(wanted)}
    periods = provider.periods
    problem = Problem(
        seconds=np.array([share * provider.period for share in provider.parts.values()]),
        pools=_pools(provider.supplies, names),
        options=_options(provider, options, pools, speed),
        lines=tuple(_line(provider, line, uses, choices) for line in provider.lines),
        power=np.array([FOREVER if s.power is None else s.power for s in sites]),
        racks=np.array([FOREVER if s.racks is None else s.racks for s in sites]),
        budget=np.array(provider.budget or (FOREVER,) * periods),
        carbon=FOREVER if provider.carbon is None else provider.carbon,
        moving=_moving(provider),
        least=np.repeat([[use.least] for use in provider.uses], periods, axis=1),
        most=np.repeat(
            [[FOREVER if use.most is None else use.most] for use in provider.uses], periods, axis=1
        ),
    )
    return Posed(problem=problem, options=tuple(options), sites=names)


def _possible(way: Way) -> bool:
    return way.chips > 0 and way.rate > 0


def _pools(supplies: Sequence[Supply], sites: tuple[str, ...]) -> Pools:
    return Pools(
        have=np.array([each.there for each in supplies]),
        more=np.array([each.more for each in supplies]),
        price=np.array([each.price for each in supplies]),
        site=np.array([sites.index(each.site.name) for each in supplies]),
        carbon=np.array([each.pool.carbon or 0.0 for each in supplies]),
        per_rack=np.array([each.per_rack for each in supplies]),
    )


def _options(
    provider: Provider, options: Sequence[tuple[int, Way]], pools: dict[str, int], speed: float
) -> Options:
    ways = [way for _, way in options]
    pool = np.array([pools[way.pool] for way in ways], int)
    supplies = provider.supplies
    energy = np.array([supply.pool.electricity or 0.0 for supply in supplies])
    off = {-1.0: "low", 1.0: "high"}.get(speed, "")
    factor = np.array([getattr(way, off) if off else 1.0 for way in ways])
    usual = np.array([_power(supply) for supply in supplies])
    power = np.array(
        [
            usual[at] * way.chips if way.power is None else way.power
            for way, at in zip(ways, pool, strict=True)
        ]
    )
    return Options(
        line=np.array([line for line, _ in options], int),
        pool=pool,
        chips=np.array([float(way.chips) for way in ways]),
        rate=_tidy(np.array([way.rate for way in ways]) * factor),
        quality=np.array([way.keeps for way in ways]),
        power=_tidy(power),
        cost=_tidy(power * energy[pool]) if len(ways) else power,
    )


def _choice(line: Line) -> tuple[str, str]:
    """Of what a line is one version."""
    return line.use, line.name if line.instead is None else line.instead


def _tidy(values: Any) -> Any:
    """To ten digits: what arithmetic does to the last ones differs between processors, and of
    divisions that are equally good another would then be found."""
    size = 10.0 ** np.floor(np.log10(np.maximum(np.abs(values), 1e-300)))
    return np.round(values / size, 9) * size


def _power(supply: Supply) -> float:
    """Of a chip at work, at the meter of its site [W]."""
    usual = likely(efficiencies(supply.pool.chip.family, ""))
    return float(energy_of(supply.pool, 1, 1.0, usual) or 0.0)


def _line(
    provider: Provider,
    line: Line,
    uses: dict[str, int],
    choices: dict[tuple[str, str], int],
) -> Asked:
    about: dict[str, Any] = {
        "name": line.name,
        "use": uses[line.use],
        "worth": line.worth,
        "priority": line.priority,
    }
    if line.kind == "flow":
        return Flow(**about, asked=np.array(line.asked), floor=line.floor, whole=line.whole)
    stages = tuple(
        Stage(until=_until(provider, line, late.by), keeps=late.keeps) for late in line.lateness
    )
    if line.kind == "queue":
        asked = np.array([period[0] for period in line.asked])
        return Queue(**about, asked=asked, stages=stages, floor=line.floor)
    return Project(
        **about,
        choice=choices[_choice(line)],
        begin=line.begin,
        stages=_different(stages),
        promised=line.promised,
    )


def _until(provider: Provider, line: Line, by: float) -> int:
    """For a queue, whole periods that work may wait on after its own; for a project, the period
    before which it must be done."""
    if line.kind == "queue":
        return max(ceil(by / provider.period - 1e-9) - 1, 0)
    return min(max(int(by / provider.period + 1e-9), line.begin + 1), provider.periods)


def _different(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Dates beyond the last period fall together; the one that keeps most stays."""
    found: dict[int, Stage] = {}
    for stage in stages:
        if stage.until not in found or found[stage.until].keeps < stage.keeps:
            found[stage.until] = stage
    return tuple(found[until] for until in sorted(found))


def _moving(provider: Provider) -> Any:
    """A chip that moves is idle for a while, and costs what it does."""
    hourly = np.array([each.held or each.price for each in provider.supplies])
    idle = np.array([use.moving for use in provider.uses])
    return idle[:, None] * hourly[None, :]
