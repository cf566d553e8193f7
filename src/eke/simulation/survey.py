"""What a traffic is like as a whole, found by one pass over it."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.errors import BadInput
from eke.simulation.traffic import Traffic
from eke.types.record import Record

WINDOWS = 2048  # in which arrivals are counted, to find the peak
LEAST = 60.0  # length of the windows of which the busiest is the peak; shorter ones vary by chance


class Survey(Record):
    """requests: how many.  seconds: from the first to the last arrival known beforehand [s].
    rate, peak: requests per second, on average and in the busiest minute or longer [1/s].
    prompt, answer: mean lengths; longest: context of any request [tokens].
    shares: whether prompts begin like others.  images, sound: mean per request.
    """

    requests: int
    seconds: float
    rate: float
    peak: float
    prompt: float
    answer: float
    longest: int
    shares: bool
    images: float
    sound: float


class _Sums:
    """Adds up a traffic, stretch by stretch."""

    def __init__(self) -> None:
        self.requests = 0
        self.first, self.last = np.inf, 0.0
        self.totals = np.zeros(4)
        self.longest = 0
        self.shares = False
        self.width = 1.0
        self.counts = np.zeros(WINDOWS)

    def add(self, chunk: Any) -> None:
        """One more stretch."""
        self.requests += len(chunk)
        columns = (chunk.prompt, chunk.answer, chunk.images, chunk.sound)
        self.totals += [float(np.sum(column)) for column in columns]
        self.longest = max(self.longest, int(np.max(chunk.prompt + chunk.answer, initial=0)))
        hashed = chunk.hashes is not None and len(chunk.hashes) > 0
        followed = (chunk.session >= 0) & (chunk.after >= 0)
        self.shares = self.shares or hashed or bool((chunk.stem >= 0).any() or followed.any())
        times = chunk.arrived[chunk.after < 0]
        if len(times):
            self.first, self.last = min(self.first, times[0]), max(self.last, times[-1])
            self._count(times)

    def _count(self, times: Any) -> None:
        while self.last >= self.width * WINDOWS:
            self.counts = np.append(self.counts.reshape(-1, 2).sum(axis=1), np.zeros(WINDOWS // 2))
            self.width *= 2
        self.counts += np.bincount((times / self.width).astype(int), minlength=WINDOWS)


def survey(traffic: Traffic) -> Survey:
    """What the traffic is like. Raises BadInput when there is nobody in it."""
    sums = _Sums()
    for chunk in traffic.chunks():
        if len(chunk):
            sums.add(chunk)
    if not sums.requests:
        raise BadInput(f"nobody comes in the traffic {traffic.name!r}; take a longer part of it.")
    seconds = traffic.seconds or max(sums.last - min(sums.first, sums.last), 1e-3)
    roots = max(float(sums.counts.sum()), 1.0)
    rate = sums.requests / seconds
    peak = _peak(sums) * sums.requests / roots
    prompt, answer, images, sound = sums.totals / sums.requests
    return Survey(
        requests=sums.requests,
        seconds=float(seconds),
        rate=float(rate),
        peak=max(peak, float(rate)),
        prompt=float(max(prompt, 1.0)),
        answer=float(max(answer, 1.0)),
        longest=sums.longest,
        shares=sums.shares,
        images=float(images),
        sound=float(sound),
    )


def _peak(sums: _Sums) -> float:
    """Arrivals per second in the busiest window that passed as a whole; 0 where none did."""
    many = max(int(np.ceil(LEAST / sums.width)), 1)
    whole = int(sums.last / sums.width) // many
    if whole == 0:
        return 0.0
    counts = sums.counts[: whole * many].reshape(whole, many).sum(axis=1)
    return float(counts.max()) / (many * sums.width)
