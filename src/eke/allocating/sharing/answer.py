"""A division as an answer: in names, dates and the units people use."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np

from eke.allocating.sharing.pools import PER_RACK
from eke.allocating.sharing.problem import Posed
from eke.allocating.sharing.reasons import reasons
from eke.allocation.outcome import Division
from eke.allocation.problem import Flow, Project
from eke.types.need import Span
from eke.types.provider import Line, Provider
from eke.types.share import Allocation, PoolShare, Served, Share, SiteShare
from eke.units import show

Arrays = Any


def dates(provider: Provider) -> tuple[str, ...]:
    """The first day of each period."""
    start = date.fromisoformat(provider.start)
    return tuple(
        (start + timedelta(seconds=provider.period * i)).isoformat()
        for i in range(provider.periods)
    )


def allocation(provider: Provider, posed: Posed, found: Division, span: Span) -> Allocation:
    """The whole answer, but for what changes with later deliveries."""
    problem, held = posed.problem, found.held
    seconds, power = problem.seconds, problem.options.power[held.option] * held.units
    rent = problem.pools.price[:, None] * found.rented * seconds.sum()
    running = problem.options.cost[held.option] * held.units * seconds[held.part]
    energy = power * seconds[held.part]
    carbon = energy * problem.pools.carbon[problem.options.pool[held.option]]
    spent = rent.sum(axis=0) + _by_period(provider, held.period, running)
    return Allocation(
        name=provider.name,
        goal=provider.goal,
        start=provider.start,
        period=provider.period,
        dates=dates(provider),
        parts=provider.parts,
        value=found.value,
        span=span,
        bound=found.bound,
        gap=found.gap,
        asked=_asked_worth(provider),
        rent=float(rent.sum()),
        electricity=float(running.sum()),
        held=_held(provider),
        energy=float(energy.sum()),
        carbon=float(carbon.sum()),
        lines=_lines(provider, posed, found),
        shares=_shares(provider, posed, found),
        pools=_pools(provider, posed, found),
        sites=_sites(provider, posed, found),
        budget=provider.budget,
        spent=_series(spent),
        dollar_price=_series(found.prices.dollar),
        carbon_price=found.prices.carbon,
        lacking=_lacking(provider, posed, found),
        notes=_notes(provider),
        grounds=_grounds(posed),
        slip=None,
        words=provider.words,
    )


def _series(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _by_period(provider: Provider, period: Any, values: Any) -> Any:
    return np.bincount(period, weights=values, minlength=provider.periods)


def _asked_worth(provider: Provider) -> float:
    """Of everything, done as asked; of a project and its lesser versions once."""
    return sum(
        line.worth * (1.0 if line.kind == "project" else sum(map(sum, line.asked)))
        for line in provider.lines
        if line.instead is None
    )


def _held(provider: Provider) -> float:
    """What the chips that are there cost, used or not [USD]."""
    return sum(supply.held * sum(supply.there) * provider.period for supply in provider.supplies)


def _lines(provider: Provider, posed: Posed, found: Division) -> tuple[Served, ...]:
    why = reasons(provider, posed, found)
    return tuple(
        _served(provider, posed, found, number, line, why.get(number, ""))
        for number, line in enumerate(provider.lines)
    )


def _served(
    provider: Provider, posed: Posed, found: Division, number: int, line: Line, why: str
) -> Served:
    done, none = found.done[number].sum(axis=1), np.zeros(provider.periods)
    asked = np.array([sum(period) for period in line.asked]) if line.asked else none.copy()
    late, refused, waiting = none, np.maximum(asked - done, 0.0), none
    finished = ""
    if line.kind == "queue":
        late = sum((v for (n, k), v in found.late.items() if n == number and k), none)
        refused, waiting = found.refused[number], found.waiting[number]
    elif line.kind == "project":
        stage = found.finished.get(number)
        if stage is not None:
            last = np.flatnonzero(done)
            finished = _end(provider, int(last[-1]) if len(last) else 0)
        if line.instead is None or stage is not None:
            asked[_last(provider, line)] = 1.0
        done, refused = np.where(done > 0, done, 0.0), asked * (0.0 if stage is not None else 1.0)
        if stage is None:
            done = none
    here = posed.problem.options.line[found.held.option] == number
    lesser = posed.problem.options.quality[found.held.option] < 1
    work = found.held.work[here].sum()
    return Served(
        use=line.use,
        line=line.name,
        kind=line.kind,
        unit=line.unit,
        worth=line.worth,
        value=_value(posed, found, number),
        asked=_series(asked),
        done=_series(done),
        late=_series(late),
        refused=_series(refused),
        waiting=_series(waiting),
        finished=finished,
        degraded=float(found.held.work[here & lesser].sum() / work) if work else 0.0,
        why=why,
    )


def _last(provider: Provider, line: Line) -> int:
    """The period in which a project is to be done at best."""
    return min(max(int(line.lateness[0].by / provider.period) - 1, 0), provider.periods - 1)


def _end(provider: Provider, period: int) -> str:
    start = date.fromisoformat(provider.start)
    return (start + timedelta(seconds=provider.period * (period + 1))).isoformat()


def _value(posed: Posed, found: Division, number: int) -> float:
    """Of the work that is done, as good and as late as it is [USD]."""
    problem, held = posed.problem, found.held
    line = problem.lines[number]
    here = problem.options.line[held.option] == number
    quality = problem.options.quality[held.option][here]
    if number in found.finished:
        stage = found.finished[number]
        return 0.0 if stage is None else line.worth * line.stages[stage].keeps  # type: ignore[attr-defined]
    late = [(k, done) for (n, k), done in found.late.items() if n == number]
    if not late:
        return float((quality * held.work[here]).sum() * line.worth)
    lost = ((1 - quality) * held.work[here]).sum()
    kept = sum(float(done.sum()) * line.stages[k].keeps for k, done in late)  # type: ignore[attr-defined]
    return float((kept - lost) * line.worth)


def _shares(provider: Provider, posed: Posed, found: Division) -> tuple[Share, ...]:
    """One for each option that has chips at any time."""
    problem, held = posed.problem, found.held
    day = problem.seconds / problem.seconds.sum()
    shares = []
    for option in np.unique(held.option).tolist():
        here = held.option == option
        chips = problem.options.chips[option] * held.units[here] * day[held.part[here]]
        number, way = posed.options[option]
        line = provider.lines[number]
        shares.append(
            Share(
                use=line.use,
                line=line.name,
                pool=way.pool,
                way=way.name,
                keeps=way.keeps,
                plan=way.plan,
                chips=_series(_by_period(provider, held.period[here], chips)),
                work=_series(_by_period(provider, held.period[here], held.work[here])),
            )
        )
    return tuple(shares)


def _pools(provider: Provider, posed: Posed, found: Division) -> tuple[PoolShare, ...]:
    problem, held = posed.problem, found.held
    _, periods, parts = problem.shape
    used = np.zeros((len(provider.supplies), periods, parts))
    chips = problem.options.chips[held.option] * held.units
    np.add.at(used, (problem.options.pool[held.option], held.period, held.part), chips)
    day = problem.seconds / problem.seconds.sum()
    price = found.prices.chip.sum(axis=2) / problem.seconds.sum()
    return tuple(
        PoolShare(
            pool=supply.name,
            chip=supply.pool.chip.id,
            there=supply.there,
            used=_series(used[i] @ day),
            peak=_series(used[i].max(axis=1)),
            rented=_series(found.rented[i]),
            price=_series(price[i]),
            held=supply.held,
        )
        for i, supply in enumerate(provider.supplies)
    )


def _sites(provider: Provider, posed: Posed, found: Division) -> tuple[SiteShare, ...]:
    problem, held = posed.problem, found.held
    _, periods, parts = problem.shape
    drawn = np.zeros((len(posed.sites), periods, parts))
    site = problem.pools.site[problem.options.pool[held.option]]
    np.add.at(
        drawn,
        (site, held.period, held.part),
        problem.options.power[held.option] * held.units,
    )
    whole = problem.seconds.sum()
    return tuple(
        SiteShare(
            site=each.name,
            power=each.power,
            drawn=_series(drawn[i].max(axis=1)),
            power_price=_series(found.prices.watt[i].sum(axis=1) / whole),
            racks=each.racks,
            rack_price=_series(found.prices.rack[i] / whole),
        )
        for i, each in enumerate(provider.sites)
    )


def _notes(provider: Provider) -> tuple[str, ...]:
    found = ["chips that nobody uses are switched off; chips one has cost the same, used or not"]
    if len(provider.parts) > 1:
        found.append("within a day replicas come and go without cost; between periods moves cost")
    if any(line.kind == "flow" and line.whole for line in provider.lines):
        found.append("shadow prices are those of divisible replicas, where whole ones jump")
    return (*found, *_assumed(provider))


def _assumed(provider: Provider) -> list[str]:
    """Values that the file does not say and nobody has published."""
    uses = provider.words["uses"]
    usual = {each.moving for each in provider.uses if uses[each.name].get("moving") is None}
    found = []
    if usual and provider.periods > 1:
        times = " or ".join(show(each, "s") for each in sorted(usual))
        found.append(f"a chip brought to another use is idle for {times} (assumed; `moving`)")
    pools = provider.words["pools"]
    if any(
        s.site.racks is not None and not pools[s.name].get("per_rack") for s in provider.supplies
    ):
        found.append(f"{PER_RACK:g} chips fill a rack (assumed; `per_rack`)")
    if any(line.variants for line in provider.lines):
        found.append(
            "ways are the best of a menu of layouts, within a few percent of all there are"
        )
    return found


def _grounds(posed: Posed) -> dict[str, int]:
    """How many ways were planned by eke, and how many their user gave."""
    planned = sum(way.plan is not None for _, way in posed.options)
    return {"planned": planned, "given": len(posed.options) - planned}


def promised(provider: Provider, posed: Posed, use: int, line: int) -> str:
    """A promise in words. line: its number, -1 where chips were promised to the use."""
    of = provider.uses[use]
    if line < 0:
        return f"uses.{of.name}: {of.least:g} chips at any time"
    asked, text = posed.problem.lines[line], provider.lines[line]
    label = f"uses.{of.name} {text.name}".strip()
    if isinstance(asked, Project):
        ends = dates(provider)[min(asked.stages[-1].until, provider.periods) - 1]
        return f"{label}: done by the period from {ends}"
    when = "at any time" if isinstance(asked, Flow) else "in time"
    return f"{label}: {text.floor:.0%} of what it asks for, {when}"


def _lacking(provider: Provider, posed: Posed, found: Division) -> tuple[str, ...]:
    """Promises that whole replicas cannot keep to the last, worst first."""
    worst: dict[tuple[int, int], tuple[float, int]] = {}
    for use, line, period, share in found.lacking:
        worst[use, line] = max(worst.get((use, line), (0.0, 0)), (share, period))
    when = dates(provider)
    ordered = sorted(worst.items(), key=lambda each: -each[1][0])
    return tuple(
        f"{promised(provider, posed, *each)}: {share:.1%} short in the period from {when[period]}"
        for each, (share, period) in ordered
    )
