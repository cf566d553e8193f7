"""Random problems of scarce supply, from two pools and two lines to the size of a benchmark."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocation.problem import (
    FOREVER,
    Flow,
    Line,
    Options,
    Pools,
    Problem,
    Project,
    Queue,
    Stage,
)

WEEK = 7 * 86400.0
HOURLY = 2.5 / 3600.0  # what a chip is about worth [USD/s]


def problem(
    lines: list[Line],
    options: list[tuple[int, int, float, float, float]],
    have: Any,
    parts: int = 1,
    **other: Any,
) -> Problem:
    """From rows of (line, pool, chips, rate, quality), and what differs from nothing being
    bounded. have: chips (P, T)."""
    have = np.asarray(have, float)
    pools, periods = have.shape
    uses = 1 + max(line.use for line in lines)
    line, pool, chips, rate, quality = (
        np.array(each) for each in zip(*sorted(options), strict=True)
    )
    chips = chips.astype(float)
    fields: dict[str, Any] = {
        "seconds": np.full(parts, WEEK / parts),
        "power": np.full(1, FOREVER),
        "racks": np.full(1, FOREVER),
        "budget": np.full(periods, FOREVER),
        "carbon": FOREVER,
        "moving": np.zeros((uses, pools)),
        "least": np.zeros((uses, periods)),
        "most": np.full((uses, periods), FOREVER),
    }
    supply = {
        "have": have,
        "more": np.zeros_like(have),
        "price": np.full(pools, 2 * HOURLY),
        "site": np.zeros(pools, int),
        "carbon": np.full(pools, 1e-7),
        "per_rack": np.full(pools, 32.0),
    }
    supply |= {name: other.pop(name) for name in list(other) if name in supply}
    return Problem(
        pools=Pools(**supply),
        options=Options(
            line=line,
            pool=pool,
            chips=chips,
            rate=rate.astype(float),
            quality=quality.astype(float),
            power=1000.0 * chips,
            cost=0.02 * HOURLY * chips,
        ),
        lines=tuple(lines),
        **(fields | other),
    )


def large(
    periods: int = 52,
    pools: int = 20,
    uses: int = 200,
    ways: int = 10,
    parts: int = 1,
    seed: int = 0,
    floors: float = 0.1,
    queues: float = 0.2,
    projects: float = 0.1,
    moving: float = 600.0,
) -> Problem:
    """As many uses as a large provider has: twice what the chips can do."""
    rng = np.random.default_rng(seed)
    count = rng.integers(500, 20_000, size=pools).astype(float)
    speed = rng.lognormal(0, 0.4, size=pools)
    grown = 1 + 0.02 * np.arange(periods)
    lines: list[Line] = []
    options: list[tuple[int, int, float, float, float]] = []
    for use in range(uses):
        kind = rng.choice(3, p=[1 - queues - projects, queues, projects])
        of_chip = rng.lognormal(0, 1)  # work of a chip in a second
        run = of_chip * count.mean() * 0.3 * WEEK * rng.uniform(2, 20) * max(periods / 52, 0.05)
        for pool in range(pools):
            chips = rng.choice([1.0, 2, 4, 8, 16, 32], size=ways)
            if kind == 2:
                chips = np.maximum(np.round(count[pool] * rng.choice([0.5, 0.25, 0.1], ways)), 1)
            rate = chips * of_chip * speed[pool] * rng.lognormal(0, 0.3, size=ways)
            rate = rate / run if kind == 2 else rate
            quality = np.sort(rng.uniform(0.6, 1, size=ways))
            rows = zip(chips.tolist(), rate.tolist(), quality.tolist(), strict=True)
            options += [(use, pool, *row) for row in rows]
        asked = count.sum() * 2 / uses * rng.lognormal(0, 1) * of_chip
        flow = asked * np.outer(grown, rng.uniform(0.5, 1.5, size=parts)) * WEEK / parts
        about = {
            "name": f"use {use}",
            "use": use,
            "worth": rng.lognormal(0, 0.7) * HOURLY / of_chip,
        }
        if kind == 0:
            floor = 0.5 if rng.random() < floors else 0.0
            lines.append(Flow(**about, asked=flow, floor=floor, whole=True))
        elif kind == 1:
            stages = (Stage(until=1), Stage(until=4, keeps=0.7))
            lines.append(Queue(**about, asked=flow.sum(axis=1), stages=stages))
        else:
            lines.append(_run(rng, about, periods, run / of_chip))
    return problem(
        lines,
        options,
        count[:, None] * grown,
        parts,
        more=np.where(np.arange(pools)[:, None] < 3, 1000.0, 0.0) * np.ones((pools, periods)),
        site=np.arange(pools) % 3,
        power=np.array([count.sum() * 300.0, FOREVER, FOREVER]),
        racks=np.full(3, FOREVER),
        budget=np.full(periods, 1e7),
        moving=np.full((uses, pools), moving * HOURLY),
    )


def _run(rng: np.random.Generator, about: dict[str, Any], periods: int, chip_time: float) -> Line:
    begin = int(rng.integers(0, max(periods // 2, 1)))
    by = min(begin + int(rng.integers(1, max(periods // 3, 2) + 1)), periods)
    stages = [Stage(until=by)]
    if by < periods:
        stages.append(Stage(until=min(by + 8, periods), keeps=0.6))
    worth = chip_time * HOURLY * rng.lognormal(0, 0.5)
    return Project(
        **{**about, "worth": worth}, choice=about["use"], begin=begin, stages=tuple(stages)
    )
