"""Arrivals recorded in bins, spread inside them: by chance, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from eke.simulation.traffic.chance import noise
from eke.simulation.traffic.columns import joined, split
from eke.types.arrivals import Arrivals
from eke.types.record import replace

BIN = 3.0  # seconds, of the Mooncake traces
NEAR = 0.005  # seconds; recorded times are a few milliseconds beside a bin's begin


def binned(times: Any) -> bool:
    """Whether all times lie at begins of bins, and some bin has several."""
    times = np.asarray(times)
    off = np.abs(times - BIN * np.rint(times / BIN))
    return bool(len(times) > 1 and (off <= NEAR).all() and len(np.unique(times)) < len(times))


def spread(pieces: Iterable[Arrivals], seed: int, part: int) -> Iterator[Arrivals]:
    """The requests at random times inside their bins; none follows another."""
    held: list[Arrivals] = []
    row = 0
    for piece in filter(len, pieces):
        piece = joined([*held, piece])
        held = []
        bins = np.rint(piece.arrived / BIN)
        last = int(np.searchsorted(bins, bins[-1]))
        if last:
            early, piece = split(piece, last)
            yield _inside(early, bins[:last], row, seed, part)
            row += last
        held = [piece]
    for piece in held:
        yield _inside(piece, np.rint(piece.arrived / BIN), row, seed, part)


def _inside(piece: Arrivals, bins: Any, row: int, seed: int, part: int) -> Arrivals:
    chance = noise(seed, part, "spread", np.arange(row, row + len(piece)))
    return replace(piece, arrived=BIN * (bins + chance[np.lexsort((chance, bins))]))
