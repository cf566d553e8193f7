"""Uncertain inputs as arrays, one element a case, so that the wiring runs once for all of them.

Element 0 has every input at its likeliest; then each input in turn at its low and its high end;
then the drawn ones. An input is drawn by a stream of its own, named by it, so that adding one
changes none of the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import numpy as np

from eke.physics.demand import bass_share, bass_years, grown, logistic_users
from eke.types.forecast import Path
from eke.types.need import Span
from eke.types.record import Record

NORMAL_90 = 1.2815515655446004  # of a standard normal, that 90 % lie below
Array = Any


class Uncertain(Record):
    """An input with its interval. growth: a share a year, which may be negative; what is drawn is
    the factor of a year, 1 + growth."""

    span: Span
    unit: str = "1"
    growth: bool = False

    @property
    def certain(self) -> bool:
        """Whether low and high are one."""
        return self.span.low == self.span.high


class Cases:
    """All inputs of a question in every case."""

    def __init__(self, inputs: Mapping[str, Uncertain], samples: int, seed: int) -> None:
        self.inputs = dict(inputs)
        self.names = [name for name, each in inputs.items() if not each.certain]
        self.samples = samples
        self.size = 1 + 2 * len(self.names) + samples
        self._values = {name: self._column(name, seed) for name in inputs}

    def __getitem__(self, name: str) -> Array:
        return self._values[name]

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def span(self, column: Array) -> Span:
        """The 80 % interval of a figure, and its value where every input is at its likeliest."""
        every = np.broadcast_to(np.asarray(column, dtype=float), (self.size,))
        drawn = every[-self.samples :] if self.samples else every[:1]
        low, high = np.quantile(drawn, (0.1, 0.9))
        likely = float(every[0])
        return Span(low=min(float(low), likely), likely=likely, high=max(float(high), likely))

    def median(self, column: Array) -> float:
        """Below which half of the drawn cases lie."""
        return float(np.median(self.drawn(column)))

    def drawn(self, column: Array) -> Array:
        """The drawn cases alone."""
        return np.broadcast_to(column, (self.size,))[self.size - self.samples :]

    def ends(self, column: Array, name: str) -> tuple[float, float]:
        """A figure with one input at its low and at its high end."""
        at = 1 + 2 * self.names.index(name)
        every = np.broadcast_to(column, (self.size,))
        return float(every[at]), float(every[at + 1])

    def _column(self, name: str, seed: int) -> Array:
        """Its value in every case. Half of a normal curve on either side of the likeliest, in
        logarithms, so that 10 % lie below the low end and 10 % above the high one."""
        each = self.inputs[name]
        one = 1.0 if each.growth else 0.0
        low, likely, high = (x + one for x in (each.span.low, each.span.likely, each.span.high))
        if each.certain:
            return np.full(self.size, each.span.likely)
        deviations = np.zeros(self.size)
        at = 1 + 2 * self.names.index(name)
        deviations[at], deviations[at + 1] = -NORMAL_90, NORMAL_90
        stream = np.random.default_rng([seed, crc32(name.encode())])
        deviations[self.size - self.samples :] = stream.standard_normal(self.samples)
        if low <= 0:  # a share that may be nothing: straight, and never below that
            up, down = ((x - likely) / NORMAL_90 for x in (high, low))
            return np.maximum(likely + np.where(deviations > 0, up, -down) * deviations, 0.0) - one
        up, down = (math.log(x / likely) / NORMAL_90 for x in (high, low))
        return likely * np.exp(np.where(deviations > 0, up, -down) * deviations) - one

    def shares(self, column: Array) -> tuple[dict[str, float], float]:
        """Share of the variance of a figure, in logarithms, that goes with each input alone, and
        what is left for several together."""
        drawn = np.log(np.maximum(self.drawn(column), 1e-300))
        if not self.names or not drawn.size or np.var(drawn) == 0:
            return {}, 0.0
        logs = {name: self._logs(name) for name in self.names}
        found = {name: _explained(each, drawn) for name, each in logs.items()}
        whole = sum(found.values())
        if whole > 1:  # by chance of the draws
            found = {name: share / whole for name, share in found.items()}
        return found, max(0.0, 1 - sum(found.values()))

    def _logs(self, name: str) -> Array:
        one = 1.0 if self.inputs[name].growth else 0.0
        return np.log(np.maximum(self.drawn(self._values[name]) + one, 1e-300))


def _explained(cause: Array, effect: Array) -> float:
    """The square of the correlation, less what chance alone would give."""
    count = len(effect)
    square = float(np.corrcoef(cause, effect)[0, 1]) ** 2
    return max(0.0, (square * (count - 1) - 1) / max(count - 2, 1))


def path_inputs(name: str, path: Path, unit: str = "1") -> dict[str, Uncertain]:
    """The inputs of a number that grows."""
    found = {name: Uncertain(span=path.now, unit=unit)}
    if path.growth is not None:
        found[f"{name} growth"] = Uncertain(span=path.growth, growth=True)
    for part in ("ceiling", "innovation", "imitation"):
        span = getattr(path, part)
        if span is not None:
            found[f"{name} {part}"] = Uncertain(span=span)
    return found


def along(cases: Cases, name: str, path: Path, years: float) -> Array:
    """The number after so many years. One that is at its ceiling, or above it, stays there."""
    now = cases[name]
    growth = cases[f"{name} growth"] if path.growth is not None else 0.0
    if path.ceiling is None:
        return grown(now=now, growth=growth, years=years)
    ceiling = np.maximum(cases[f"{name} ceiling"], now)
    if path.innovation is None:
        return logistic_users(ceiling=ceiling, now=now, growth=growth, years=years)
    p, q = cases[f"{name} innovation"], cases[f"{name} imitation"]
    share = np.minimum(now / ceiling, 1 - 1e-9)
    begun = bass_years(innovation=p, imitation=q, share=share)
    return ceiling * bass_share(innovation=p, imitation=q, years=begun + years)
