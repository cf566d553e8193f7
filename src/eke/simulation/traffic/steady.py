"""Traffic that is as busy in its first minute as in its last, though its sessions are long.

Sessions that all begin after the beginning would let the rate rise for as long as a session lasts,
and go on after the end. So sessions that began earlier come in as far as they have got, and what
would come after the end is left out; pauses are known, the time of answers is not and not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from eke.simulation.traffic.clock import Clock
from eke.simulation.traffic.columns import (
    first_of_group,
    group_of,
    joined,
    numbered,
    taken,
    unnumbered,
)
from eke.simulation.traffic.generate import timed
from eke.simulation.traffic.mix import mixed
from eke.simulation.traffic.noun import Traffic
from eke.types.arrivals import Arrivals
from eke.types.record import replace

LONGEST = 6 * 3600.0  # before the beginning that anybody can have begun [s]
SHORT = 0.999  # share of sessions that last no longer than what is looked back
EARLIER = 1 << 20  # makes other draws of the sessions that began earlier

Pieces = Callable[[int], Iterator[Arrivals]]  # sessions without end, all at 0, of a part


def steady(whole: Traffic, pieces: Pieces, clock: Clock, seed: int, part: int) -> Traffic:
    """The traffic with sessions that began before it, and without what comes after its end.

    whole: its sessions beginning within it.  pieces: sessions without times.
    """
    sample = next(islice(pieces(part), 1))
    if first_of_group(sample).all():
        return whole
    lead = min(_lasting(sample), LONGEST)
    before = Clock(rate=clock.rate * (1 - clock.wave), seconds=lead, cv=clock.cv)

    def earlier() -> Iterator[Arrivals]:
        other = part + EARLIER
        groups = list(timed(pieces(other), before, seed, other))
        yield from numbered(_under_way(groups, lead, clock.seconds))

    def during() -> Iterator[Arrivals]:
        ended = (_until(chunk, clock.seconds) for chunk in unnumbered(whole.chunks()))
        yield from numbered(ended)

    both = mixed((replace(whole, chunks=during), replace(whole, chunks=earlier)))
    note = (
        f"{whole.name}: sessions of up to {lead / 60:.0f} min began before the first minute; what "
        "they would ask after the end is left out"
    )
    return replace(both, name=whole.name, remarks=(*whole.remarks, note))


def _times(chunk: Arrivals) -> Any:
    """When each request would come if answers took no time [s]."""
    total = np.cumsum(chunk.arrived)
    starts = np.flatnonzero(first_of_group(chunk))
    begun = total[starts] - chunk.arrived[starts]
    return total - begun[group_of(chunk)]


def _lasting(chunk: Arrivals) -> float:
    """How long all but the longest sessions last [s]."""
    last = np.append(first_of_group(chunk)[1:], True)
    return float(np.quantile(_times(chunk)[last], SHORT))


def _until(chunk: Arrivals, seconds: float) -> Arrivals:
    """Without what would come after the end."""
    return _some(chunk, _times(chunk) <= seconds)


def _some(chunk: Arrivals, mask: Any) -> Arrivals:
    """Some requests; those whose leader is left out follow nobody."""
    return chunk if mask.all() else taken(chunk, np.flatnonzero(mask))


def _under_way(groups: Iterable[Arrivals], lead: float, seconds: float) -> Iterator[Arrivals]:
    """What sessions that began up to `lead` before still ask, in order of time."""
    left = []
    for chunk in groups:
        at = _times(chunk) - lead
        rows = (at >= 0) & (at <= seconds)
        some = _some(chunk, rows)
        first = first_of_group(some)
        left.append(replace(some, arrived=np.where(first, at[rows], some.arrived)))
    left = [chunk for chunk in left if len(chunk)]
    if left:
        together = joined(left)
        begin = together.arrived[first_of_group(together)][group_of(together)]
        yield taken(together, np.argsort(begin, kind="stable"))
