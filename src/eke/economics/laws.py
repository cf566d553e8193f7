"""Uncertain numbers at work: their likeliest value, their ends, and draws of them."""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt
from statistics import NormalDist
from typing import Any
from zlib import crc32

import numpy as np

from eke.types.need import Ground
from eke.types.silicon import Law, Uncertain

ENDS = (0.1, 0.9)  # of an 80 % interval
DEVIATIONS = NormalDist().inv_cdf(ENDS[1])  # standard deviations to its end

_Numbers = tuple[float, ...]
_Random = np.random.Generator


def likely(law: Law) -> float:
    """The value taken where only one is: the mode of a triangle, the median of the others; of a
    chance what is more likely."""
    numbers = law.numbers
    if law.name == "triangular":
        return numbers[1]
    if law.name == "uniform":
        return (numbers[0] + numbers[1]) / 2
    if law.name == "chance":
        return numbers[1] if numbers[0] >= 0.5 else 0.0
    return numbers[0]


def mean(law: Law) -> float:
    """The expected value."""
    numbers = law.numbers
    if law.name == "triangular":
        return sum(numbers) / 3
    if law.name == "lognormal":
        return float(numbers[0] * np.exp(log(numbers[1]) ** 2 / 2))
    if law.name == "chance":
        return numbers[0] * numbers[1]
    return likely(law)


def quantile(law: Law, share: float) -> float:
    """The value that this share of cases stays below."""
    return _QUANTILES[law.name](law.numbers, share)


def draws(law: Law, count: int, random: _Random) -> Any:
    """That many values of it."""
    return _DRAWS[law.name](law.numbers, count, random)


def sampled(every: dict[str, Uncertain], count: int, seed: int) -> dict[str, Any]:
    """Draws of all of them, kept within what makes sense. Each has a stream of its own, so that
    one more of them changes none of the others."""
    return {
        name: np.clip(draws(each.law, count, _stream(seed, name)), each.least, each.most)
        for name, each in every.items()
    }


def point(every: dict[str, Uncertain]) -> dict[str, float]:
    """The likeliest value of each."""
    return {name: likely(each.law) for name, each in every.items()}


def end(each: Uncertain, share: float) -> float:
    """Where this share of cases of one of them ends, within what makes sense."""
    return min(max(quantile(each.law, share), each.least), each.most)


def ground_of(each: Uncertain) -> Ground:
    """The number as something an answer rests on."""
    return Ground(
        name=each.name,
        value=likely(each.law),
        unit=each.unit,
        kind=each.kind,
        source=each.source,
        low=end(each, ENDS[0]),
        high=end(each, ENDS[1]),
        note=each.note or each.written,
    )


def ends(every: dict[str, Uncertain]) -> tuple[list[str], dict[str, Any]]:
    """The names of those that vary, and all values as one array of cases: the likeliest, then each
    of these at its low and at its high end."""
    names = [name for name, each in every.items() if end(each, ENDS[0]) < end(each, ENDS[1])]
    cases = {name: np.full(1 + 2 * len(names), value) for name, value in point(every).items()}
    for index, name in enumerate(names):
        low, high = (end(every[name], share) for share in ENDS)
        cases[name][1 + 2 * index], cases[name][2 + 2 * index] = low, high
    return names, cases


def _stream(seed: int, name: str) -> _Random:
    return np.random.default_rng([seed, crc32(name.encode())])


def _triangle(numbers: _Numbers, share: float) -> float:
    low, mode, high = numbers
    if high <= low:
        return mode
    cut = (mode - low) / (high - low)
    if share < cut:
        return low + sqrt(share * (high - low) * (mode - low))
    return high - sqrt((1 - share) * (high - low) * (high - mode))


_QUANTILES: dict[str, Callable[[_Numbers, float], float]] = {
    "fixed": lambda n, share: n[0],
    "triangular": _triangle,
    "normal": lambda n, share: n[0] + n[1] * NormalDist().inv_cdf(share),
    "lognormal": lambda n, share: float(n[0] * n[1] ** NormalDist().inv_cdf(share)),
    "uniform": lambda n, share: n[0] + share * (n[1] - n[0]),
    "chance": lambda n, share: n[1] if share > 1 - n[0] else 0.0,
}


def _triangles(n: _Numbers, count: int, random: _Random) -> Any:
    return random.triangular(n[0], n[1], n[2], count) if n[0] < n[2] else np.full(count, n[1])


_DRAWS: dict[str, Callable[[_Numbers, int, _Random], Any]] = {
    "fixed": lambda n, count, random: np.full(count, n[0]),
    "triangular": _triangles,
    "normal": lambda n, count, random: n[0] + n[1] * random.standard_normal(count),
    "lognormal": lambda n, count, random: n[0] * n[1] ** random.standard_normal(count),
    "uniform": lambda n, count, random: random.uniform(n[0], n[1], count),
    "chance": lambda n, count, random: n[1] * (random.random(count) < n[0]),
}
