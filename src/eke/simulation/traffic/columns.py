"""Picking, joining and numbering stretches of requests.

Between these functions `after` counts from the beginning of a stretch; only `numbered` makes the
numbers of the whole traffic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from eke.simulation.traffic.noun import STRETCH
from eke.types.arrivals import NOBODY, Arrivals
from eke.types.record import replace

KEYS = 1 << 40  # kept of a block's key; more would overflow where a place is added to it
COLUMNS = (
    *("arrived", "prompt", "answer", "most", "after", "tenant", "kind", "priority", "ttft"),
    *("deadline", "session", "stem", "stem_tokens", "images", "sound", "work"),
)


def first_of_group(chunk: Arrivals) -> Any:
    """Whether each request follows nobody."""
    return np.asarray(chunk.after) == NOBODY


def group_of(chunk: Arrivals) -> Any:
    """Which group of the stretch each request belongs to, from 0."""
    return np.cumsum(first_of_group(chunk)) - 1


def taken(chunk: Arrivals, rows: Any) -> Arrivals:
    """The requests at these places, in that order; groups stay whole."""
    place = np.full(len(chunk), NOBODY, np.int64)
    place[rows] = np.arange(len(rows))
    columns: dict[str, Any] = {name: getattr(chunk, name)[rows] for name in COLUMNS}
    after = columns["after"]
    columns["after"] = np.where(after >= 0, place[after], NOBODY)
    if chunk.hashes is not None:
        columns["hashes"], columns["hash_start"] = _picked(chunk.hashes, chunk.hash_start, rows)
    return replace(chunk, **columns)


def _picked(hashes: Any, start: Any, rows: Any) -> tuple[Any, Any]:
    """Of blocks laid one after the other, those of some rows."""
    lengths = np.diff(start)[rows]
    begin = np.concatenate(([0], np.cumsum(lengths)))
    places = np.arange(begin[-1]) + np.repeat(start[rows] - begin[:-1], lengths)
    return hashes[places], begin


def kept(chunk: Arrivals, mask: Any) -> Arrivals:
    """The requests where the mask, the same through a group, is true."""
    return chunk if mask.all() else taken(chunk, np.flatnonzero(mask))


def joined(chunks: list[Arrivals]) -> Arrivals:
    """Stretches as one; the last one's names of tenants and kinds hold for all."""
    if len(chunks) == 1:
        return chunks[0]
    begin = np.cumsum([0, *map(len, chunks)])
    after = [
        np.where(c.after >= 0, c.after + b, NOBODY) for c, b in zip(chunks, begin, strict=False)
    ]
    columns = {n: np.concatenate([getattr(c, n) for c in chunks]) for n in COLUMNS if n != "after"}
    columns |= _joined_hashes(chunks)
    return replace(chunks[-1], after=np.concatenate(after), **columns)


def _joined_hashes(chunks: list[Arrivals]) -> dict[str, Any]:
    if all(chunk.hashes is None for chunk in chunks):
        return {}
    hashes = [chunk.hashes for chunk in chunks if chunk.hashes is not None]
    none = [np.zeros(len(chunk), np.int64) for chunk in chunks]
    lengths = [
        zeros if chunk.hashes is None else np.diff(chunk.hash_start)
        for chunk, zeros in zip(chunks, none, strict=True)
    ]
    start = np.concatenate(([0], np.cumsum(np.concatenate(lengths))))
    size = max(chunk.hash_tokens for chunk in chunks)
    return {"hashes": np.concatenate(hashes), "hash_start": start, "hash_tokens": size}


def split(chunk: Arrivals, at: int) -> tuple[Arrivals, Arrivals]:
    """The first requests and the rest, cut where a group begins."""
    return _stretch(chunk, 0, at), _stretch(chunk, at, len(chunk))


def _stretch(chunk: Arrivals, begin: int, end: int) -> Arrivals:
    """Neighbouring requests, copied only where numbers change."""
    columns = {name: getattr(chunk, name)[begin:end] for name in COLUMNS}
    columns["after"] = np.where(columns["after"] >= 0, columns["after"] - begin, NOBODY)
    if chunk.hashes is not None:
        start = chunk.hash_start[begin : end + 1]
        columns["hashes"] = chunk.hashes[start[0] : start[-1]]
        columns["hash_start"] = start - start[0]
    return replace(chunk, **columns)


def numbered(chunks: Iterable[Arrivals]) -> Iterator[Arrivals]:
    """Stretches of about STRETCH requests, with the numbers of the whole traffic in `after`."""
    base = 0
    for chunk in _even(chunks):
        yield replace(chunk, after=np.where(chunk.after >= 0, chunk.after + base, NOBODY))
        base += len(chunk)


def unnumbered(chunks: Iterable[Arrivals]) -> Iterator[Arrivals]:
    """The stretches of a traffic, with numbers that count from the beginning of each."""
    base = 0
    for chunk in chunks:
        yield replace(chunk, after=np.where(chunk.after >= 0, chunk.after - base, NOBODY))
        base += len(chunk)


def _even(chunks: Iterable[Arrivals]) -> Iterator[Arrivals]:
    """Small stretches joined and large ones cut, so that each has at most STRETCH requests, or
    one group.
    """
    waiting: list[Arrivals] = []
    count = 0
    for whole in chunks:
        for chunk in _cut(whole):
            if waiting and count + len(chunk) > STRETCH:
                yield joined(waiting)
                waiting, count = [], 0
            waiting.append(chunk)
            count += len(chunk)
    if count:
        yield joined(waiting)


def _cut(chunk: Arrivals) -> Iterator[Arrivals]:
    while len(chunk) > STRETCH:
        starts = np.flatnonzero(first_of_group(chunk))
        at = int(starts[max(int(np.searchsorted(starts, STRETCH, side="right")) - 1, 0)])
        at = at or int(starts[1] if len(starts) > 1 else len(chunk))
        first, chunk = split(chunk, at)
        yield first
    if len(chunk):
        yield chunk
