"""Ways of doing a line's work, as eke plans them: on every pool, as asked and with less."""

from __future__ import annotations

from typing import Any

import msgspec

from eke.allocating.menu import menu
from eke.allocation.relaxed import Progress
from eke.catalog.fleets import resized
from eke.errors import EkeError
from eke.physics.answer import answer
from eke.planning import Asked, enough
from eke.search.priced import Candidate
from eke.types.fleet import Fleet, Pool
from eke.types.goal import AtMost, Goal
from eke.types.job import Serve
from eke.types.need import Need
from eke.types.provider import Line, Provider, Supply, Variant, Way
from eke.types.record import replace
from eke.verbs import values_of

ALIKE = 1.03  # times as many chips as the fewest, which is told apart by nothing
MANY = 24  # replicas at which one more or less no longer matters
LOOKS = 3  # at larger and larger rates, until there are so many
SIZES = (1, 2, 4, 8, 16)  # parts of a pool's chips, as sizes of a run
ONE = 128  # chips of one replica, or of one job, at most
Planned = dict[bytes, Way | None]  # by what was asked


def ways_of(
    provider: Provider, told: Progress | None = None, known: Planned | None = None
) -> tuple[tuple[Way, ...], ...]:
    """The ways of every line. known: what was planned before, to which this is added."""
    known = {} if known is None else known
    wanted = [
        (line, variant, supply)
        for line in provider.lines
        for variant in line.variants
        for supply in provider.supplies
        if supply.name in line.on
    ]
    for number, (line, variant, supply) in enumerate(wanted):
        if told is not None:
            told("planning", number / len(wanted))
        for size in _sizes(line, variant, supply):
            key = _key(line, variant, supply, size)
            if key not in known:
                known[key] = _planned(line, variant, supply, size)
    return tuple(line.ways or _of_line(provider, line, known) for line in provider.lines)


def _of_line(provider: Provider, line: Line, known: Planned) -> tuple[Way, ...]:
    found = [
        replace(way, pool=supply.name, keeps=variant.keeps, name=variant.name)
        for supply in provider.supplies
        if supply.name in line.on
        for variant in line.variants
        for size in _sizes(line, variant, supply)
        if (way := known[_key(line, variant, supply, size)]) is not None
    ]
    return tuple({(way.pool, way.name, way.chips, way.rate): way for way in found}.values())


def _sizes(line: Line, variant: Variant, supply: Supply) -> list[int]:
    """Numbers of chips to plan for: as many as may be of use, and for a run fewer and fewer.

    Powers of two, so that pools of the same chip share their plans.
    """
    most = int(max(a + b for a, b in zip(supply.there, supply.more, strict=True)))
    if not most:
        return []
    largest = 1 << (most.bit_length() - 1)
    if isinstance(variant.job, Serve):
        return [min(largest, ONE)]
    if line.kind == "queue":
        return [min(largest, ONE)]
    return [largest // part for part in SIZES if largest // part]


def _key(line: Line, variant: Variant, supply: Supply, size: int) -> bytes:
    """All that a plan depends on: pools of the same chip share plans."""
    late = line.lateness[-1].by if line.kind == "queue" else 0.0
    pool = replace(supply.pool, rent=None, buy=None, electricity=None, carbon=None, facts={})
    asked = replace(variant, name="", keeps=1.0)
    return msgspec.json.encode((asked, line.kind, late, pool, size))


def _planned(line: Line, variant: Variant, supply: Supply, size: int) -> Way | None:
    """The way of a variant on so many chips; None where it does not fit or keep its promises."""
    if isinstance(variant.job, Serve):
        return _served(variant, supply, size)
    if line.kind == "queue":
        return _job(line, variant, supply, size)
    return _run(variant, supply, size)


def _asked(variant: Variant, job: Any, pool: Pool, goal: Goal) -> list[Candidate]:
    asked = Asked(
        job=job,
        fleet=Fleet(pools=(pool,)),
        goal=goal,
        choices={**menu(job, pool), **variant.choices},
        disaggregate="never",
    )
    try:
        return asked.search().best
    except EkeError:
        return []


def _served(variant: Variant, supply: Supply, most: int) -> Way | None:
    """One replica of the layout that serves most for each chip."""
    job = variant.job
    assert isinstance(job, Serve)
    best: Candidate | None = None
    for look in range(LOOKS):
        one = Fleet(pools=(resized(supply.pool, most),))  # what no replica can do, no number can
        pool = enough(job, one, variant.choices).pools[0] if look else one.pools[0]
        found = _asked(variant, job, pool, Goal(least="chips"))
        best = _finest([each for each in found if each.plan.group <= most])
        if best is None:
            return None
        if best.plan.replicas >= MANY:
            break
        rate = job.rate / best.plan.replicas
        job = replace(job, rate=rate * MANY * 1.3)
    assert best is not None
    rate = best.block.job.rate / best.plan.replicas  # type: ignore[union-attr]
    low, high = _spread(best, "rate_most", 1)
    return Way(
        pool=supply.name,
        chips=best.plan.group,
        rate=rate,
        power=best.figures.get("energy", 0.0) * rate,
        keeps=1.0,
        low=low,
        high=high,
        plan=replace(best.plan, replicas=1),
    )


def _finest(found: list[Candidate]) -> Candidate | None:
    """Of layouts that need about as few chips the one with the smallest replicas, of which less is
    lost when they have to be whole."""
    near = [each for each in found if each.plan.chips <= ALIKE * found[0].plan.chips]
    return min(near, key=lambda each: (each.plan.group, each.plan.chips), default=None)


def _spread(best: Candidate, figure: str, sign: int) -> tuple[float, float]:
    """How far the speed may be off, as shares of the likely. sign: -1 where less is faster."""
    block = best.block
    need = answer(
        block.job,
        best.plan,
        block.fleet,
        values_of(block.job, best.plan, block.fleet),
        chosen=True,
    )
    if not isinstance(need, Need):
        return 1.0, 1.0
    span = need.time if figure == "time" else need.figures[figure].span
    if sign > 0:
        return span.low / span.likely, span.high / span.likely
    return span.likely / span.high, span.likely / span.low


def _timed(variant: Variant, supply: Supply, best: Candidate) -> Way:
    """Work of which a unit takes the plan's whole time."""
    time = best.figures["time"]
    low, high = _spread(best, "time", -1)
    return Way(
        pool=supply.name,
        chips=best.plan.chips,
        rate=1.0 / time,
        power=best.figures.get("energy", 0.0) / time,
        keeps=1.0,
        low=low,
        high=high,
        plan=best.plan,
    )


def _job(line: Line, variant: Variant, supply: Supply, most: int) -> Way | None:
    """The cheapest layout of a job that is done within its time."""
    within = (AtMost(figure="time", most=line.lateness[-1].by),)
    found = _asked(
        variant, variant.job, resized(supply.pool, most), Goal(least="energy", within=within)
    )
    return _timed(variant, supply, found[0]) if found else None


def _run(variant: Variant, supply: Supply, size: int) -> Way | None:
    """The fastest layout of a run on so many chips."""
    found = _asked(variant, variant.job, resized(supply.pool, size), Goal(least="time"))
    return _timed(variant, supply, found[0]) if found else None
