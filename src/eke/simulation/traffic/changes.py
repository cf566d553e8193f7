"""Traffic made from traffic: faster, a slice, a share, longer, fewer; groups stay whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from eke.errors import BadInput, closest
from eke.simulation.traffic.chance import noise
from eke.simulation.traffic.columns import (
    first_of_group,
    group_of,
    kept,
    numbered,
    taken,
    unnumbered,
)
from eke.simulation.traffic.noun import Traffic
from eke.types.arrivals import Arrivals
from eke.types.record import replace

Change = Callable[[Iterator[Arrivals]], Iterator[Arrivals]]


def changed(traffic: Traffic, change: Change, **fields: Any) -> Traffic:
    """The traffic with a change to its stream, whose `after` counts from each stretch's begin."""

    def chunks() -> Iterator[Arrivals]:
        return numbered(change(unnumbered(traffic.chunks())))

    return replace(traffic, chunks=chunks, **fields)


def each(change: Callable[[Arrivals], Arrivals]) -> Change:
    """A change to one stretch as a change to a stream."""
    return lambda pieces: map(change, pieces)


def sped(traffic: Traffic, factor: float) -> Traffic:
    """Times so many times as dense; what follows another keeps its pause."""
    _needs_times(traffic, "speed")

    def faster(chunk: Arrivals) -> Arrivals:
        first = first_of_group(chunk)
        return replace(chunk, arrived=np.where(first, chunk.arrived / factor, chunk.arrived))

    seconds = traffic.seconds / factor if traffic.seconds else None
    return changed(traffic, each(faster), seconds=seconds)


def sliced(traffic: Traffic, start: float = 0.0, end: float = np.inf) -> Traffic:
    """The groups that begin from `start` up to before `end`, on a clock from `start` [s]."""
    _needs_times(traffic, "from and to")
    if end <= start:
        raise BadInput(f"traffic: from {start:g} s to {end:g} s: ends before it begins.")

    def within(pieces: Iterator[Arrivals]) -> Iterator[Arrivals]:
        for chunk in pieces:
            first = first_of_group(chunk)
            begin = chunk.arrived[first][group_of(chunk)]
            chunk = replace(chunk, arrived=np.where(first, chunk.arrived - start, chunk.arrived))
            yield kept(chunk, (begin >= start) & (begin < end))
            if begin[-1] >= end:
                return

    ends = [second for second in (traffic.seconds, end) if second is not None]
    seconds = min(ends) - start if min(ends, default=np.inf) < np.inf else None
    return changed(traffic, within, seconds=max(seconds, 0.0) if seconds is not None else None)


def thinned(traffic: Traffic, share: float, seed: int, part: int) -> Traffic:
    """Each group with this chance."""

    def some(pieces: Iterator[Arrivals]) -> Iterator[Arrivals]:
        base = 0
        for chunk in pieces:
            group = base + group_of(chunk)
            yield kept(chunk, noise(seed, part, "keep", group) < share)
            base = int(group[-1]) + 1

    return changed(traffic, some)


def promised(traffic: Traffic, ttft: float | None) -> Traffic:
    """A first token promised to those to whom nothing is [s]."""
    if ttft is None:
        return traffic

    def told(chunk: Arrivals) -> Arrivals:
        nothing = np.isinf(chunk.ttft) & np.isinf(chunk.deadline)
        return replace(chunk, ttft=np.where(nothing, ttft, chunk.ttft))

    return changed(traffic, each(told))


def dealt(traffic: Traffic, part: int, parts: int) -> Traffic:
    """One of so many equal parts: every `parts`-th group, `part` of them passed over first."""

    def some(pieces: Iterator[Arrivals]) -> Iterator[Arrivals]:
        base = 0
        for chunk in pieces:
            group = base + group_of(chunk)
            yield kept(chunk, group % parts == part)
            base = int(group[-1]) + 1

    users = traffic.users
    if users is not None:
        users = users // parts + (part < users % parts)
    return changed(traffic, some, users=users)


def scaled(traffic: Traffic, prompts: float = 1.0, answers: float = 1.0) -> Traffic:
    """Lengths so many times, whole and at least 1; keys of blocks past the prompt's end go."""

    def longer(chunk: Arrivals) -> Arrivals:
        prompt = np.maximum(np.rint(chunk.prompt * prompts), 1).astype(np.int64)
        stem = np.minimum(np.rint(chunk.stem_tokens * prompts), prompt).astype(np.int64)
        answer = np.maximum(np.rint(chunk.answer * answers), 1).astype(np.int64)
        most = np.maximum(np.rint(chunk.most * answers), answer).astype(np.int64)
        chunk = replace(chunk, prompt=prompt, stem_tokens=stem, answer=answer, most=most)
        return _trimmed(chunk)

    return changed(traffic, each(longer))


def _trimmed(chunk: Arrivals) -> Arrivals:
    """No more blocks than the prompt has."""
    if chunk.hashes is None:
        return chunk
    had = np.diff(chunk.hash_start)
    lengths = np.minimum(had, -(-chunk.prompt // max(chunk.hash_tokens, 1)))
    place = np.arange(len(chunk.hashes)) - np.repeat(chunk.hash_start[:-1], had)
    start = np.concatenate(([0], np.cumsum(lengths)))
    return replace(chunk, hashes=chunk.hashes[place < np.repeat(lengths, had)], hash_start=start)


def first(traffic: Traffic, most: int) -> Traffic:
    """The first so many requests."""

    def few(pieces: Iterator[Arrivals]) -> Iterator[Arrivals]:
        left = most
        for chunk in pieces:
            yield chunk if len(chunk) <= left else taken(chunk, np.arange(left))
            left -= len(chunk)
            if left <= 0:
                return

    return changed(traffic, few)


def only(traffic: Traffic, name: str) -> Traffic:
    """The groups whose first is of this kind or tenant. Reading raises BadInput if none is."""

    def chosen(pieces: Iterator[Arrivals]) -> Iterator[Arrivals]:
        names: set[str] = set()
        for chunk in pieces:
            names.update(chunk.kinds, chunk.tenants)
            kinds = np.array([each == name for each in chunk.kinds])
            tenants = np.array([each == name for each in chunk.tenants])
            mask = kinds[chunk.kind] | tenants[chunk.tenant]
            yield kept(chunk, mask[first_of_group(chunk)][group_of(chunk)])
        if name not in names:
            near = closest(name, names) or ", ".join(sorted(names)[:9])
            raise BadInput(f"traffic: {traffic.name} has no kind or tenant {name!r}: {near}.")

    return changed(traffic, chosen)


def _needs_times(traffic: Traffic, what: str) -> None:
    if traffic.users is not None:
        raise BadInput(f"traffic: {what} need times, and a closed loop ({traffic.name}) has none.")
