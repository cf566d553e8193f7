"""Invented answers of who gets which chips, for pages: numbers are drawn, nothing is divided."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np

from eke.types.need import Span
from eke.types.plan import Plan
from eke.types.record import replace
from eke.types.share import (
    Allocation,
    Difference,
    Moved,
    PoolShare,
    Served,
    Share,
    SiteShare,
)

EVIL = "<script>alert(1)</script>\"'&" + "y" * 400
WEEK = 7 * 86400.0
PLAN = Plan(chip="h100-sxm", tensor=8)
KINDS = ("flow", "queue", "project")
NONE = Span(low=0.0, likely=0.0, high=0.0)
UNITS = {"flow": "request", "queue": "job", "project": "run"}


def series(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def served(number: int, periods: int, dice: np.random.Generator, mark: str = "") -> Served:
    """A line of the use of that number: all it asks for is done, late, refused or waits."""
    kind = KINDS[number % 3]
    asked = dice.uniform(10, 1000) * (1 + 0.05 * np.arange(periods))
    refused = asked * dice.uniform(0, 0.4, periods)
    left, late, finished = 0.0, np.zeros(periods), ""
    if kind == "queue":
        left = float(0.3 * (asked - refused).sum() / periods)
        late = (asked - refused) * 0.1
    if kind == "project":
        asked, refused = np.eye(periods)[-1], np.zeros(periods)
        finished = "2027-03-01"
    done = (asked - refused) * (1 - left / float((asked - refused).sum()))
    worth = float(dice.uniform(1, 100)) * (500.0 if kind == "project" else 1.0)
    return Served(
        use=f"use {number}{mark}",
        line=("", "8k for all", "long " * 9)[number // 3 % 3] + mark,
        kind=kind,
        unit=UNITS[kind],
        worth=worth,
        value=0.9 * worth * float(done.sum()),
        asked=series(asked),
        done=series(done),
        late=series(late),
        refused=series(refused),
        waiting=series(np.linspace(0, left, periods) if left else np.zeros(periods)),
        finished=finished,
        degraded=0.2 if number % 4 == 1 else 0.0,
        why=f"pool 0 chips: worth 3 USD/h to others{mark}" if refused.any() else "",
    )


def allocated(periods: int, pools: int, uses: int, mark: str = "", seed: int = 5) -> Allocation:
    """Uses that have chips of some pools each, all of which are at work."""
    dice = np.random.default_rng(seed)
    start = date(2026, 12, 28)
    lines = tuple(served(i, periods, dice, mark) for i in range(uses))
    shares = tuple(
        Share(
            use=line.use,
            line=line.line,
            pool=f"pool {pool}{mark}",
            way=f"fp8{mark}" if i % 4 == 1 else "",
            keeps=0.9 if i % 4 == 1 else 1.0,
            plan=PLAN if i % 2 else None,
            chips=series(dice.uniform(0, 400, periods)),
            work=line.done,
        )
        for i, line in enumerate(lines)
        for pool in sorted({int(dice.integers(pools)), i % pools})
    )
    made = tuple(_pool(f"pool {i}{mark}", shares, periods, dice) for i in range(pools))
    value = sum(line.value for line in lines)
    zeros = (0.0,) * periods
    return Allocation(
        name="a provider" + mark,
        goal="value",
        start=start.isoformat(),
        period=WEEK,
        dates=tuple((start + timedelta(weeks=i)).isoformat() for i in range(periods)),
        parts={"night": 0.5, "day": 0.5},
        value=value,
        span=Span(low=0.8 * value, likely=value, high=1.1 * value),
        bound=1.001 * value,
        gap=0.001,
        asked=sum(line.worth * sum(line.asked) for line in lines),
        rent=1e6,
        electricity=2e5,
        held=3e6,
        energy=4e12,
        carbon=5e5,
        lines=lines,
        shares=shares,
        pools=made,
        sites=(
            SiteShare(
                site="iowa" + mark,
                power=5e6,
                drawn=series(dice.uniform(1e6, 5e6, periods)),
                power_price=series(dice.uniform(0, 1e-7, periods)),
                racks=40.0,
                rack_price=zeros,
            ),
            SiteShare(
                site="home",
                power=None,
                drawn=zeros,
                power_price=zeros,
                racks=None,
                rack_price=zeros,
            ),
        ),
        budget=(2e6,) * periods,
        spent=series(dice.uniform(5e5, 2e6, periods)),
        dollar_price=series(dice.uniform(0, 1, periods)),
        carbon_price=0.02,
        lacking=(f"use 0{mark}: 1.2% short in the period from 2026-12-28",) if mark else (),
        notes=("it is invented" + mark,),
        grounds={"planned": 3, "given": 2},
        slip=None,
        words={},
    )


def _pool(
    name: str, shares: tuple[Share, ...], periods: int, dice: np.random.Generator
) -> PoolShare:
    used = sum((np.array(each.chips) for each in shares if each.pool == name), np.zeros(periods))
    there = np.full(periods, float(used.max()) * 1.1)
    return PoolShare(
        pool=name,
        chip="h100-sxm",
        there=series(there),
        used=series(used),
        peak=series(np.minimum(1.2 * used, there)),
        rented=(0.0,) * periods,
        price=series(dice.uniform(0, 3 / 3600.0, periods)),
        held=1e-4,
    )


def moves(mark: str = "") -> Difference:
    """Two answers of which everything differs."""
    kinds = (("done", "request"), ("chips", "1"), ("worth of a chip", "USD/s"))
    return Difference(
        title="deliveries 91 days later" + mark,
        changes=((f"pools.h100.chips{mark}", "1000", "2000" + mark),),
        value_before=5e6,
        value_after=4e6,
        expected=-9e5,
        moved=tuple(
            Moved(
                name=f"use {i}{mark}",
                what=what,
                before=1e-4 * (i + 1),
                after=2e-4,
                unit=unit,
                first="2027-01-04",
                why=f"pool 1 chips{mark}",
            )
            for i, (what, unit) in enumerate(kinds)
        ),
    )


def provided(name: str) -> Allocation:
    """One of ALLOCATIONS."""
    if name == "alone":
        return _alone()
    if name == "idle":
        return _idle()
    if name == "hourly":
        found = allocated(periods=30, pools=2, uses=4)
        hours = [date(2026, 12, 28) + timedelta(hours=i) for i in range(30)]  # whole days remain
        days = [date(2026, 12, 28) + timedelta(days=i // 24) for i, _ in enumerate(hours)]
        return replace(found, period=3600.0, dates=tuple(day.isoformat() for day in days))
    if name == "large":
        return replace(allocated(periods=52, pools=20, uses=200), slip=moves())
    if name == "evil":
        return replace(allocated(periods=8, pools=3, uses=10, mark=EVIL), slip=moves(EVIL))
    return replace(allocated(periods=26, pools=4, uses=11), slip=moves())


def _alone() -> Allocation:
    """One period, pool and use; all is done, nothing is scarce, nothing has a bound."""
    found = allocated(periods=1, pools=1, uses=1)
    line, site = found.lines[0], found.sites[1]
    return replace(
        found,
        parts={"day": 1.0},
        lines=(replace(line, done=line.asked, refused=(0.0,), why=""),),
        pools=tuple(replace(pool, price=(0.0,)) for pool in found.pools),
        sites=(site,),
        budget=None,
        dollar_price=(0.0,),
        carbon_price=0.0,
    )


def _idle() -> Allocation:
    """Nothing is done and no chip is at work, though there are chips."""
    found = allocated(periods=4, pools=2, uses=2)
    zeros = (0.0,) * 4
    lines = [
        replace(each, done=zeros, late=zeros, waiting=zeros, refused=each.asked, value=0.0)
        for each in found.lines
    ]
    pools = [replace(pool, used=zeros, peak=zeros, price=zeros) for pool in found.pools]
    return replace(found, lines=tuple(lines), pools=tuple(pools), shares=(), goal="cost", span=NONE)


ALLOCATIONS = ("plain", "alone", "idle", "hourly", "large", "evil")
