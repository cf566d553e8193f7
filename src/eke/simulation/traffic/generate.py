"""Traffic of a profile: sessions without end, given times by a clock or by users who wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from eke.simulation.traffic.chance import stream
from eke.simulation.traffic.clock import Clock, ticks
from eke.simulation.traffic.columns import first_of_group, group_of, kept, numbered, taken
from eke.simulation.traffic.profiles import Figure, drawn
from eke.types.arrivals import Arrivals
from eke.types.record import replace

Pieces = Callable[[], Iterable[Arrivals]]  # `after` counts from the beginning of each


def timed(pieces: Iterable[Arrivals], clock: Clock, seed: int, part: int) -> Iterator[Arrivals]:
    """Each group at a tick of the clock, until either ends."""
    times = np.zeros(0)
    more = ticks(clock, seed, part)
    for piece in pieces:
        starts = np.flatnonzero(first_of_group(piece))
        while len(times) < len(starts) and (block := next(more, None)) is not None:
            times = np.concatenate((times, block))
        now, times = times[: len(starts)], times[len(starts) :]
        if len(now) < len(starts):
            piece = taken(piece, np.arange(starts[len(now)]))
        if len(piece):
            yield _starting(piece, now)
        if len(now) < len(starts):
            return


def _starting(piece: Arrivals, times: Any) -> Arrivals:
    """The piece with its groups at these times."""
    at = times[group_of(piece)]
    return replace(piece, arrived=np.where(first_of_group(piece), at, piece.arrived))


def thinking(
    pieces: Iterable[Arrivals], think: Figure, count: int, seed: int, part: int
) -> Iterator[Arrivals]:
    """The first `count` groups of a closed loop: each comes a pause after an earlier one's end."""
    block = 0
    for piece in pieces:
        group = group_of(piece)
        if (piece_groups := int(group[-1]) + 1) > count:
            piece = kept(piece, group < count)
            group = group[group < count]
        pause = drawn(think, stream(seed, part, "think", block), piece_groups)
        arrived = np.where(first_of_group(piece), pause[group], piece.arrived)
        if len(piece):
            yield replace(piece, arrived=arrived)
        count, block = count - piece_groups, block + 1
        if count <= 0:
            return


def fresh(pieces: Pieces) -> Callable[[], Iterator[Arrivals]]:
    """What Traffic.chunks wants: every call begins anew, with numbers of the whole traffic."""
    return lambda: numbered(pieces())
