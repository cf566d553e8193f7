"""Several traffics as one, in order of time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eke.errors import BadInput
from eke.simulation.traffic.columns import (
    KEYS,
    first_of_group,
    group_of,
    joined,
    numbered,
    split,
    taken,
    unnumbered,
)
from eke.simulation.traffic.names import Names
from eke.simulation.traffic.noun import Skipped, Traffic
from eke.types.arrivals import NOBODY, Arrivals
from eke.types.record import replace


def mixed(traffics: tuple[Traffic, ...]) -> Traffic:
    """One traffic of several, merged by the time at which groups begin; a group stays together.

    Raises BadInput for closed loops, which have no times.
    """
    if len(traffics) == 1:
        return traffics[0]
    for traffic in traffics:
        if traffic.users is not None:
            raise BadInput(f"traffic: {traffic.name} is a closed loop and cannot be mixed.")
    skipped = Skipped()

    def chunks() -> Iterator[Arrivals]:
        for chunk in numbered(_merged(traffics)):
            skipped.add_up([traffic.skipped for traffic in traffics])
            yield chunk
        skipped.add_up([traffic.skipped for traffic in traffics])

    seconds = [traffic.seconds for traffic in traffics]
    return Traffic(
        name=" & ".join(traffic.name for traffic in traffics),
        chunks=chunks,
        seconds=None if None in seconds else max(filter(None, seconds), default=None),
        remarks=tuple(dict.fromkeys(remark for each in traffics for remark in each.remarks)),
        skipped=skipped,
    )


class Strand:
    """One of the parts: its stretches, with sessions, stems and names that no other has."""

    def __init__(
        self, traffic: Traffic, rank: int, count: int, tenants: Names, kinds: Names
    ) -> None:
        self.pieces = unnumbered(traffic.chunks())
        self.rank, self.count = rank, count
        self.tenants, self.kinds = tenants, kinds
        self.chunk: Arrivals | None = None
        self.more()

    def more(self) -> None:
        """The next stretch that is not empty; None at the end."""
        chunk = next(filter(len, self.pieces), None)
        self.chunk = None if chunk is None else self._own(chunk)

    def _own(self, chunk: Arrivals) -> Arrivals:
        keys = {
            name: np.where(column >= 0, column * self.count + self.rank, NOBODY)
            for name, column in (("session", chunk.session), ("stem", chunk.stem))
        }
        if chunk.hashes is not None:
            keys["hashes"] = (chunk.hashes * self.count + self.rank) % KEYS
        keys["tenant"] = self.tenants.code(chunk.tenant, chunk.tenants)
        keys["kind"] = self.kinds.code(chunk.kind, chunk.kinds)
        return replace(chunk, **keys)

    def last(self) -> float:
        """When the last group of the stretch begins [s]."""
        assert self.chunk is not None
        return float(self.chunk.arrived[first_of_group(self.chunk)][-1])

    def until(self, time: float) -> Arrivals | None:
        """The groups that begin up to this time; they leave the strand."""
        assert self.chunk is not None
        chunk = self.chunk
        starts = np.flatnonzero(first_of_group(chunk))
        groups = int(np.searchsorted(chunk.arrived[starts], time, side="right"))
        if groups == len(starts):
            self.more()
            return chunk
        if not groups:
            return None
        early, self.chunk = split(chunk, int(starts[groups]))
        return early


def _merged(traffics: tuple[Traffic, ...]) -> Iterator[Arrivals]:
    tenants, kinds = Names(), Names()
    strands = [Strand(t, i, len(traffics), tenants, kinds) for i, t in enumerate(traffics)]
    size = 0
    while strands := [strand for strand in strands if strand.chunk is not None]:
        time = min(strand.last() for strand in strands)
        early = [chunk for strand in strands if (chunk := strand.until(time)) is not None]
        size = _same_blocks(early, size)
        together = replace(joined(early), tenants=tuple(tenants.codes), kinds=tuple(kinds.codes))
        begin = together.arrived[first_of_group(together)][group_of(together)]
        yield taken(together, np.argsort(begin, kind="stable"))


def _same_blocks(chunks: list[Arrivals], size: int) -> int:
    """The length of the blocks that have keys; all parts must agree in it."""
    for chunk in chunks:
        if chunk.hash_tokens and size and chunk.hash_tokens != size:
            raise BadInput(
                f"traffic: one part has keys for blocks of {size} tokens, another of "
                f"{chunk.hash_tokens}; they cannot be mixed."
            )
        size = chunk.hash_tokens or size
    return size
