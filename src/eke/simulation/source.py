"""Traffic as the driver takes it: requests that come by themselves, and followers."""

from __future__ import annotations

from collections import defaultdict
from itertools import repeat
from typing import Any

import numpy as np

from eke.simulation.ledger import Ledger
from eke.simulation.traffic import Traffic
from eke.types.arrivals import Arrivals
from eke.types.request import Request


class Source:
    """Hands out requests in the order of time, a stretch of the traffic at a time.

    line: requests of the present stretch that follow nobody, the next one last.
    followers: request → those that follow it. What follows another, and in a closed loop everybody,
    has its pause where others have the time of their arrival, until it comes.
    """

    def __init__(self, traffic: Traffic, ledger: Ledger, forecast: str) -> None:
        self._chunks = traffic.chunks()
        self._ledger = ledger
        self._exact = forecast == "exact"
        self._closed = traffic.users is not None
        self.line: list[Request] = []
        self.stretch: list[Request] = []  # all of the present one, in order
        self.followers: dict[int, list[Request]] = defaultdict(list)
        self.over = False
        self.works = False  # whether any takes a whole replica
        self._means: dict[str, tuple[float, int]] = {}

    def refill(self) -> bool:
        """Read the next stretch; False when there is none."""
        while not self.line and not self.over:
            chunk = next(self._chunks, None)
            if chunk is None:
                self.over = True
            elif len(chunk):
                self._take(chunk)
        return bool(self.line)

    def _take(self, chunk: Arrivals) -> None:
        first = self._ledger.add(chunk, (chunk.after < 0) & (not self._closed))
        likely = self._likely(chunk)
        size = self._ledger.world.size[first : first + len(chunk)]
        size[:] = chunk.prompt + np.minimum(likely, chunk.most)
        requests = self._requests(chunk, first, likely.tolist())
        self.works = self.works or bool(chunk.work.any())
        self.stretch = requests
        if (chunk.after < 0).all():
            self.line = requests.copy()
        else:
            for request, leader in zip(requests, chunk.after.tolist(), strict=True):
                if leader < 0:
                    self.line.append(request)
                else:
                    self.followers[leader].append(request)
        self.line.reverse()

    def _requests(self, chunk: Arrivals, first: int, likely: list[float]) -> list[Request]:
        """The requests as a policy sees them, built by place for speed."""
        return list(
            map(
                Request,
                range(first, first + len(chunk)),
                chunk.arrived.tolist(),
                chunk.prompt.tolist(),
                likely,
                chunk.most.tolist(),
                _named(chunk.tenant, chunk.tenants),
                _named(chunk.kind, chunk.kinds),
                chunk.priority.tolist(),
                _or_none(chunk.ttft, np.isfinite),
                _or_none(chunk.deadline, np.isfinite),
                _or_none(chunk.session, _is_somebody),
                _or_none(_stem_of(chunk), _is_somebody),
                chunk.work.tolist(),
            )
        )

    def _likely(self, chunk: Arrivals) -> Any:
        """The forecast of each answer: its own length, or the mean of its kind up to the end of
        the stretch."""
        if self._exact:
            return chunk.answer.astype(np.float64)
        likely = np.empty(len(chunk))
        for code, kind in enumerate(chunk.kinds):
            rows = chunk.kind == code
            if rows.any():
                total, count = self._means.get(kind, (0.0, 0))
                total, count = total + float(chunk.answer[rows].sum()), count + int(rows.sum())
                self._means[kind] = total, count
                likely[rows] = total / count
        return likely


def _named(codes: Any, names: tuple[str, ...]) -> Any:
    if len(names) == 1:
        return repeat(names[0])
    return map(names.__getitem__, codes.tolist())


def _is_somebody(values: Any) -> Any:
    return values >= 0


def _or_none(values: Any, given: Any) -> Any:
    """A column as Python values, None where there is nothing."""
    there = given(values)
    if not there.any():
        return repeat(None)
    if there.all():
        return values.tolist()
    found: Any = np.where(there, values, None)
    return found.tolist()


def _stem_of(chunk: Arrivals) -> Any:
    """Key of the head of each prompt: its stem, or where a trace has hashes the first of them."""
    if chunk.hashes is None or not len(chunk.hashes):
        return chunk.stem
    starts = chunk.hash_start[:-1]
    some: Any = chunk.hash_start[1:] > starts
    first = chunk.hashes[np.minimum(starts, len(chunk.hashes) - 1)]
    return np.where(some, first, chunk.stem)
