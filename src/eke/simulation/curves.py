"""A run as curves short enough to draw: shares, flows and levels in windows, peaks kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.simulation.series import Windows, spread, tally
from eke.simulation.times import taken
from eke.types.record import Record
from eke.types.run import FAILED, FINISHED, OUTCOMES, REFUSED, STOPPED, Run

ENDED = (FINISHED, REFUSED, STOPPED, FAILED)


class Level(Record):
    """How many there are, by window: on average, at least and at most."""

    mean: Any
    low: Any
    high: Any


def cumulative(values: Any, points: int = 160) -> tuple[Any, Any]:
    """Which share of the values is at most so much: values rising, and shares. NaN is no value.

    The ends are kept; between them shares are even, the last tenth and hundredth as finely as all.
    """
    known = np.sort(values[np.isfinite(values)])
    if not len(known):
        return known, known
    even = np.linspace(0, 1, points // 2)
    tails = 1 - np.concatenate([0.1 * even[: points // 4] * 2, 0.01 * even[: points // 4] * 2])
    shares = np.unique(np.concatenate([even, tails]))
    places = np.unique(np.ceil(shares * len(known)).astype(np.int64).clip(1) - 1)
    return known[places], (places + 1) / len(known)


def flows(run: Run, at: Windows) -> dict[str, Any]:
    """Requests per second by window: "arrived", and those that ended by how they ended [1/s]."""
    requests, width = run.requests, at.width
    group = np.full(len(OUTCOMES), -1)
    group[list(ENDED)] = range(len(ENDED))
    ended = np.zeros((len(ENDED), at.count))
    found = tally(at, requests["finished"], group[requests["outcome"]])
    ended[: len(found)] = found
    names = dict(zip((OUTCOMES[code] for code in ENDED), ended / width, strict=True))
    return {"arrived": tally(at, requests["arrived"])[0] / width, **names}


def waiting(run: Run, at: Windows) -> Level:
    """Requests that came and were not taken in yet, those in engines' own queues too."""
    return level(at, run.requests["arrived"], taken(run))


def running(run: Run, at: Windows) -> Level:
    """Requests that were taken in and had not ended."""
    begun, ended = run.requests["scheduled"], run.requests["finished"]
    return level(at, begun, np.where(np.isnan(ended) & np.isfinite(begun), run.end, ended))


def level(at: Windows, start: Any, end: Any) -> Level:
    """How many stretches from `start` to `end` [s] cover each window; NaN is none.

    It is highest just after a start and lowest just after an end, or as the window begins.
    """
    mean = spread(at, start, end, np.maximum(end - start, 0))[0] / at.width
    there = end > start
    starts, ends = np.sort(start[there]), np.sort(end[there])
    edges = at.start + np.arange(at.count) * at.width
    begin = np.searchsorted(starts, edges, "right") - np.searchsorted(ends, edges, "right")
    after_start = np.arange(1, len(starts) + 1) - np.searchsorted(ends, starts, "right")
    after_end = np.searchsorted(starts, ends, "right") - np.arange(1, len(ends) + 1)
    high, low = begin.copy(), begin.copy()
    np.maximum.at(high, *_within(at, starts, after_start))
    np.minimum.at(low, *_within(at, ends, after_end))
    return Level(mean=mean, low=np.minimum(low, mean), high=np.maximum(high, mean))


def _within(at: Windows, times: Any, values: Any) -> tuple[Any, Any]:
    """Values whose times are in a window, after that window's number."""
    inside = (times >= at.start) & (times <= at.end)
    places = ((times[inside] - at.start) / at.width).astype(np.int64)
    return np.minimum(places, at.count - 1), values[inside]


def occupancy(run: Run, at: Windows, rows: int) -> Any:
    """Share of the cache held, by replica and window, the fullest moment of each; NaN unsampled.

    More than `rows` replicas are drawn as that many bands of neighbours.
    """
    line = run.timeline
    if not len(line.get("time", ())):
        return np.empty((0, at.count))
    _, replica = np.unique(line["replica"], return_inverse=True)
    count = int(replica.max()) + 1
    band = replica * min(rows, count) // count
    found = np.full((min(rows, count), at.count), -1.0)
    places, which = _within(at, line["time"], np.arange(len(replica)))
    np.maximum.at(found, (band[which], places), line["cache"][which])
    return np.where(found < 0, np.nan, found)


def refusals(run: Run, at: Windows) -> dict[str, Any]:
    """Requests refused, stopped or failed per window, by reason."""
    requests, names = run.requests, run.names.get("reason", ())
    bad = np.isin(requests["outcome"], (REFUSED, STOPPED, FAILED))
    codes, group = np.unique(requests["reason"][bad], return_inverse=True)
    found: dict[str, Any] = {}
    for i, code in enumerate(codes.tolist()):
        words = names[code] if 0 <= code < len(names) and names[code] else "no reason"
        counts = tally(at, requests["finished"][bad][group == i])[0]
        found[words] = found[words] + counts if words in found else counts
    return found
