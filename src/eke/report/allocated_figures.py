"""Charts over dates of who gets which chips: pools, prices, asks and work, power and money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from eke.report.allocated import name
from eke.report.areas import Layer, areas, ink_key, key_of
from eke.report.charts import Line, lines, short, up
from eke.report.html import LONGEST, figure, table
from eke.report.periods import over_dates, stepped
from eke.types.record import Record
from eke.types.share import Allocation, PoolShare, Series, Served, SiteShare
from eke.units import show

MOST = 8  # pools, lines and sites that are drawn; the tables have all
STEPS = 120  # stretches of time that are drawn
SLIGHT = 5e-4  # share that is drawn as none
SEEN = 0.1  # share of a budget that is drawn beneath it
CENT = 0.005 / 3600.0  # prices below are told as nothing [USD/s]
DAY = 86400.0
INKS = tuple(f"ink-{i}" for i in (0, 1, 2, 3, 4, 7, 5, 6))  # the likest are last, as few have many
OF_POOLS = tuple(f"ink-{i}" for i in (7, 6, 4, 2, 3, 1, 5, 0))  # in charts of pools beside another
OTHERS = "ink-all"  # of uses without a colour of their own


class Times(Record):
    """Stretches of time as they are drawn, each a period or several. edges: their beginnings, and
    the last one's end.  firsts: the first period of each.  counts: how many they have."""

    edges: tuple[str, ...]
    firsts: Any
    counts: Any


def times(found: Allocation) -> Times:
    """Every period, or where those are many, or shorter than a day, a few of them together."""
    number = len(found.dates)
    size = max(-(-number // STEPS), int(np.ceil(DAY / found.period - 1e-9)))
    firsts = np.arange(0, number, size)
    last = date.fromisoformat(found.start) + timedelta(seconds=found.period * number)
    edges = [found.dates[first] for first in firsts.tolist()]
    end = max(last, date.fromisoformat(edges[-1]) + timedelta(days=1))
    counts = np.diff(np.append(firsts, number))
    return Times(edges=(*edges, end.isoformat()), firsts=firsts, counts=counts)


def over(at: Times, values: Any) -> Any:
    """Means over the stretches; what is a little below nothing is nothing."""
    sums = np.add.reduceat(np.asarray(values, dtype=float), at.firsts)
    return np.maximum(sums / at.counts, 0.0)


def mean(values: Series) -> float:
    """Over all periods."""
    return sum(values) / len(values) if values else 0.0


# chips of each use


def chips_by_use(found: Allocation) -> dict[str, dict[str, Any]]:
    """Chips of every use by pool and period."""
    held: dict[str, dict[str, Any]] = {line.use: {} for line in found.lines}
    for share in found.shares:
        of_use = held.setdefault(share.use, {})
        before = of_use.get(share.pool, np.zeros(len(found.dates)))
        of_use[share.pool] = before + np.maximum(np.array(share.chips), 0.0)
    return held


def inks(held: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """A colour for each of the uses that have most chips, the same in every chart."""
    sums = {use: sum(float(each.sum()) for each in pools.values()) for use, pools in held.items()}
    ranked = sorted((use for use in sums if sums[use] > 0), key=lambda use: -sums[use])
    ranked = ranked if len(ranked) <= MOST else ranked[: MOST - 1]  # grey is then of the others
    return dict(zip((use for use in held if use in ranked), INKS, strict=False))


def capacity(pool: PoolShare) -> Any:
    """Chips there and rented, by period."""
    return np.maximum(np.array(pool.there) + np.array(pool.rented), 0.0)


def ranked_pools(found: Allocation) -> list[PoolShare]:
    """Those whose chips are worth most to others first, then those with most chips at work."""
    return sorted(
        found.pools,
        key=lambda pool: (-float(capacity(pool) @ np.array(pool.price)), -sum(pool.used)),
    )


def pool_figures(found: Allocation, at: Times) -> list[str]:
    """Who has the chips of each pool that has some at work."""
    held = chips_by_use(found)
    own = inks(held)
    working = [pool for pool in ranked_pools(found) if mean(pool.used) > 1e-6]
    return [_pool(found, at, held, own, pool) for pool in working[:MOST]]


def _pool(
    found: Allocation,
    at: Times,
    held: Mapping[str, Mapping[str, Any]],
    own: Mapping[str, str],
    pool: PoolShare,
) -> str:
    here = {use: over(at, pools[pool.pool]) for use, pools in held.items() if pool.pool in pools}
    made = [Layer(name=use, values=here[use], style=own[use]) for use in own if use in here]
    rest = [values for use, values in here.items() if use not in own and values.any()]
    if rest:
        words = f"{len(rest)} other uses" if len(rest) > 1 else "1 other use"
        made.append(Layer(name=words, values=np.sum(rest, axis=0), style=OTHERS))
    top = (_there(pool), over(at, capacity(pool)))
    about = f"{pool.chip}: {used_words(found, pool)}"
    title = short(pool.pool, LONGEST)
    svg = areas(title, about, made, at.edges, "chips", top)
    drawn = [each for each in made if each.values.any()]
    columns = [*((each.name, each.values) for each in drawn), top]
    return figure(title, about, svg, _numbers(at, columns, "chips"), key=key_of(made))


def _there(pool: PoolShare) -> str:
    if mean(pool.rented) <= 0:
        return "there"
    return "there and rented" if mean(pool.there) > 0 else "rented"


def used_words(found: Allocation, pool: PoolShare) -> str:
    """How full a pool is, on average and in the fullest part of the day."""
    there = float(capacity(pool).mean())
    if there <= 0:
        return "none there"
    words = f"{mean(pool.used) / there:.0%} of {there:,.0f} chips at work"
    if len(found.parts) < 2:
        return words
    return f"{words} over the day, {mean(pool.peak) / there:.0%} in its fullest part"


def _numbers(at: Times, columns: Sequence[tuple[str, Any]], unit: str, digits: int = 0) -> str:
    """Values over the stretches as a table."""
    rows = [
        (edge, *(_told(float(values[i]), digits) for _, values in columns))
        for i, edge in enumerate(at.edges[:-1])
    ]
    return table((f"{unit}, from", *(words for words, _ in columns)), rows, unit)


def _told(value: float, digits: int) -> str:
    if value >= 99_950:
        return show(value)
    return f"{value:,.{digits}f}"


# prices


def price_figures(found: Allocation, at: Times) -> list[str]:
    """What one more chip, kilowatt-hour, rack and dollar are worth, where that is anything."""
    chips = [(pool.pool, pool.price) for pool in ranked_pools(found) if max(pool.price) > CENT]
    power = [(site.site, site.power_price) for site in found.sites]
    racks = [(site.site, site.rack_price) for site in found.sites]
    several = f"; the {MOST} pools where it is worth most" if len(chips) > MOST else ""
    hour, unit = 3600.0, "USD/h"
    made = [
        _prices(at, "One more chip", f"on average over the day{several}", chips, hour, unit),
        _prices(at, "One more kilowatt", "in the hour", power, 3.6e6, "USD/kWh"),
        _prices(at, "One more rack", "in the hour", racks, hour, unit),
        _prices(
            at,
            "One more dollar of the budget",
            "what it brings beyond itself",
            [("a dollar", found.dollar_price)],
            1.0,
            "USD",
        ),
    ]
    return [each for each in made if each]


def _prices(
    at: Times,
    title: str,
    about: str,
    series: Sequence[tuple[str, Series]],
    scale: float,
    unit: str,
) -> str:
    """Prices as lines of steps; nothing where all of them are nothing."""
    above = [
        (short(words, LONGEST), over(at, values) * scale)
        for words, values in series
        if max(values, default=0.0) * scale > SLIGHT
    ][:MOST]
    if not above:
        return ""
    return _steps(at, (title, about), above, unit)


def _steps(at: Times, said: tuple[str, str], series: Sequence[tuple[str, Any]], unit: str) -> str:
    """Lines of steps."""
    styles = OF_POOLS[: len(series)]
    made = [
        Line(name=words, x=x, y=y, style=style, label=False)
        for (words, values), style in zip(series, styles, strict=True)
        for x, y in [stepped(at.edges, values)]
    ]
    upward = up(max(float(values.max()) for _, values in series))
    svg = lines(*said, made, (over_dates(at.edges), upward, unit))
    names = list(zip((words for words, _ in series), styles, strict=True))
    key = ink_key(names) if len(names) > 1 else ""
    return figure(*said, svg, _numbers(at, series, unit, 3), key=key)


# what is asked and done


def line_figures(found: Allocation, at: Times) -> list[str]:
    """What is asked and done of the lines that lose most by what is not done, where either
    changes over time."""
    own = inks(chips_by_use(found))
    losing = [line for line in found.lines if lost(line) and _changes(line)]
    losing.sort(key=lambda line: -lost(line))
    return [_line(found, at, line, own.get(line.use, OTHERS)) for line in losing[:MOST]]


def lost(line: Served) -> float:
    """Worth of what is refused, or waits at the end [USD]; next to nothing is nothing."""
    missing = sum(line.refused) + (line.waiting[-1] if line.waiting else 0.0)
    return missing * line.worth if missing > SLIGHT * sum(line.asked) else 0.0


def _changes(line: Served) -> bool:
    """Whether asks or work change over time; a project is asked for once."""
    if line.kind == "project" or len(line.asked) < 2:
        return False
    return any(max(each) - min(each) > 0.001 * max(line.asked) for each in (line.asked, line.done))


def _line(found: Allocation, at: Times, line: Served, ink: str) -> str:
    scale, unit = _amounts(found, line)
    asked, done, late = (over(at, each) * scale for each in (line.asked, line.done, line.late))
    made = [Layer(name="done", values=np.maximum(done - late, 0.0), style=ink)]
    if late.any():
        made.append(Layer(name="done late", values=late, style="ink-lost"))
    refused = sum(line.refused) / sum(line.asked)
    about = f"{100 * refused:.3g} % refused; dashed: asked"
    title = short(name(line), LONGEST)
    svg = areas(title, about, made, at.edges, unit, ("asked", asked))
    columns = [("asked", asked), *((each.name, each.values) for each in made)]
    columns.append(("refused", over(at, line.refused) * scale))
    if max(line.waiting, default=0.0) > 0:
        columns.append(("waiting", over(at, line.waiting) * scale))
    key = key_of(made) if len(made) > 1 else ""
    return figure(title, about, svg, _numbers(at, columns, unit), key=key)


def _amounts(found: Allocation, line: Served) -> tuple[float, str]:
    """What amounts of a period are multiplied with, and the unit they are then in."""
    if line.unit == "chip s":
        return 1.0 / found.period, "chips"
    return 1.0, f"{line.unit}s in {show(found.period, 's')}"


# sites and money


def power_figures(found: Allocation, at: Times) -> list[str]:
    """Power at each site that has a cap, the fullest first."""
    capped = [site for site in found.sites if site.power is not None and site.power > 0]
    capped.sort(key=lambda site: -max(site.drawn, default=0.0) / (site.power or 1.0))
    return [_power(at, site) for site in capped[:MOST]]


def _power(at: Times, site: SiteShare) -> str:
    cap = site.power or 0.0
    unit, scale = ("MW", 1e-6) if cap >= 1e6 else ("kW", 1e-3)
    drawn = over(at, site.drawn) * scale
    share = max(site.drawn, default=0.0) / cap
    title = f"Power at {short(site.site, LONGEST)}"
    about = f"in the fullest part of the day; at most {share:.0%} of {show(cap, 'W')}"
    made = [Layer(name="drawn", values=drawn, style="ink-3")]
    top = ("cap", np.full(len(drawn), cap * scale))
    svg = areas(title, about, made, at.edges, unit, top)
    columns = [("drawn", drawn), top]
    return figure(title, about, svg, _numbers(at, columns, unit, 2))


def money_figures(found: Allocation, at: Times) -> list[str]:
    """What is spent on rent and electricity, where there is a budget."""
    if found.budget is None:
        return []
    budget, spent = over(at, found.budget), over(at, found.spent)
    scale, unit = (1e-6, "million USD") if spent.max() >= 1e6 else (1e-3, "thousand USD")
    per = show(found.period, "s")
    full = float((spent / np.maximum(budget, 1e-9)).max())
    title, about = "Spent", f"on rent and electricity; at most {full:.1%} of the budget"
    made = [Layer(name="spent", values=spent * scale, style="ink-1")]
    top = ("budget", budget * scale) if full > SEEN else None  # else there is but an empty chart
    svg = areas(title, about, made, at.edges, f"{unit} in {per}", top)
    columns = [("spent", spent * scale), ("budget", budget * scale)]
    return [figure(title, about, svg, _numbers(at, columns, unit, 3))]
