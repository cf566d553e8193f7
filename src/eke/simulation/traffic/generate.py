"""Traffic of a profile: sessions without end, given times by a clock or by users who wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from eke.simulation.traffic.chance import stream
from eke.simulation.traffic.clock import Clock, ticks
from eke.simulation.traffic.columns import KEYS, first_of_group, group_of, kept, taken, unnumbered
from eke.simulation.traffic.profiles import Figure, drawn
from eke.types.arrivals import NOBODY, Arrivals
from eke.types.record import replace

APART = 1_000_000_007  # between keys of one time and the next; traces count theirs from 0


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


def repeated(chunks: Callable[[], Iterator[Arrivals]]) -> Iterator[Arrivals]:
    """A traffic over and over, without end unless it is empty; its sessions are others each time,
    and its blocks share nothing with those of an earlier time.
    """
    again = 0
    some = True
    while some:
        some = False
        for chunk in unnumbered(chunks()):
            some = some or len(chunk) > 0
            session = np.where(chunk.session >= 0, chunk.session + again * APART, NOBODY)
            hashes = None if chunk.hashes is None else (chunk.hashes + again * APART) % KEYS
            yield replace(chunk, session=session, hashes=hashes)
        again += 1
