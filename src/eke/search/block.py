"""Everything a search looks at, as blocks of plans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal

from eke.search.apart import halves
from eke.search.learning import learning
from eke.search.mixed import Pair, mixed
from eke.search.place import Place
from eke.search.serving import serving
from eke.search.tally import Tally
from eke.types.efficiency import Knobs
from eke.types.fleet import Fleet
from eke.types.job import Job, Serve, Train, Tune
from eke.types.plan import Plans
from eke.types.record import Record, replace

Apart = Literal["may", "must", "never"]  # whether plans are disaggregated


class Block(Record):
    """Plans that share formats, and where they run: pools, their knobs."""

    job: Job
    plans: Plans
    fleet: Fleet
    knobs: Knobs
    place: Place


def blocks(job: Job, places: Sequence[Place], tally: Tally, apart: Apart) -> Iterator[Block]:
    """Everything to look at: on one pool first, then in two halves."""
    for place in places if apart != "must" else ():
        one = Fleet(pools=(place.pool,))
        if isinstance(job, Serve):
            found = serving(job, place, tally)
        else:
            found = learning(job, place, tally)
        for plans in found:
            yield Block(job=job, plans=plans, fleet=one, knobs=place.knobs, place=place)
    for place, other in product(places, repeat=2) if apart != "never" else ():
        here, there = place.pool.chip, other.pool.chip
        if here.vendor != there.vendor or _engine(place) != _engine(other):
            continue  # no engine hands anything to another, or to another maker's chips
        if isinstance(job, Serve):
            yield from _in_halves(job, place, other, tally)
        elif isinstance(job, Train | Tune) and here.id != there.id:
            yield from _mixed(Pair(job=job, place=place, other=other), tally)


def _engine(place: Place) -> str:
    """The generation decided on, whatever the build for the chips' maker."""
    return str(place.choices.get("engine", ""))


def _in_halves(job: Serve, place: Place, other: Place, tally: Tally) -> Iterator[Block]:
    same = place.pool is other.pool
    pools = (place.pool,) if same else (place.pool, other.pool)
    knobs = place.knobs if same else replace(place.knobs, other=other.knobs)
    for plans in halves(job, place, other, tally):
        yield Block(job=job, plans=plans, fleet=Fleet(pools=pools), knobs=knobs, place=place)


def _mixed(pair: Pair, tally: Tally) -> Iterator[Block]:
    for plans in mixed(pair, tally):
        yield Block(job=pair.job, plans=plans, fleet=pair.fleet, knobs=pair.knobs, place=pair.place)
