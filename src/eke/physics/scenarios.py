"""Spans by running the physics once for every uncertain value, low and high, as one array.

Element 0 is the likeliest case. Then each value in turn takes its low and its high end. What that
does to a figure, in logarithms and added in squares, is the figure's 80 % interval: the values
are taken to be independent. The last elements are what-ifs: a published figure 10 % higher.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.types.efficiency import Efficiency, Knobs
from eke.types.need import Span
from eke.types.record import replace

CHANGE = 1.1
WHAT_IFS = {
    "peak_change": "peak arithmetic",
    "memory_change": "memory speed",
    "link_change": "link speed",
    "network_change": "network speed",
}


def likely(efficiencies: dict[str, Efficiency]) -> Knobs:
    """The likeliest value of each."""
    return _knobs({name: found.likely for name, found in efficiencies.items()})


def scenarios(efficiencies: dict[str, Efficiency]) -> Knobs:
    """All cases at once: every field an array with one element per case."""
    count = 1 + 2 * len(efficiencies) + len(WHAT_IFS)
    values: dict[str, Any] = {}
    for index, (name, found) in enumerate(efficiencies.items()):
        column = np.full(count, found.likely)
        column[1 + 2 * index], column[2 + 2 * index] = found.low, found.high
        values[name] = column
    for index, name in enumerate(WHAT_IFS):
        column = np.ones(count)
        column[1 + 2 * len(efficiencies) + index] = CHANGE
        values[name] = column
    return _knobs(values)


PREFILL = "prefill "  # before the names of values of the chips that take in prompts elsewhere


def _knobs(values: dict[str, Any]) -> Knobs:
    """The record of all values; those of the prefill half as one of their own."""
    half = {name: value for name, value in values.items() if name.startswith(PREFILL)}
    whole = {name: value for name, value in values.items() if name not in half}
    if not half:
        return Knobs(**whole)
    own = {name.removeprefix(PREFILL): value for name, value in half.items()}
    changes = {name: whole[name] for name in WHAT_IFS if name in whole}
    return Knobs(**whole, prefill=Knobs(**own, **changes))


def with_prefill(
    efficiencies: dict[str, Efficiency], prefill: dict[str, Efficiency]
) -> dict[str, Efficiency]:
    """The values of both halves of a disaggregated plan whose chips differ, which vary apart."""
    half = {PREFILL + name: replace(each, name=PREFILL + name) for name, each in prefill.items()}
    return {**efficiencies, **half}


def span(values: Any, uncertain: int) -> Span:
    """The interval of a figure from its value in every case; `uncertain` values were varied."""
    column = np.atleast_1d(np.asarray(values, dtype=float))
    first = float(column[0])
    if column.size == 1 or first <= 0:
        return Span(low=first, likely=first, high=first)
    cases = column[1 : 1 + 2 * uncertain].reshape(uncertain, 2)
    moves = np.log(np.maximum(cases, first * 1e-6) / first)
    up = np.sqrt(np.sum(np.maximum(moves.max(axis=1), 0) ** 2))
    down = np.sqrt(np.sum(np.minimum(moves.min(axis=1), 0) ** 2))
    return Span(low=float(first * np.exp(-down)), likely=first, high=float(first * np.exp(up)))


def moves(values: Any, names: list[str]) -> dict[str, tuple[float, float]]:
    """By which factor each value's low and high end change a figure."""
    column = np.atleast_1d(np.asarray(values, dtype=float))
    if column.size == 1 or column[0] <= 0:
        return {}
    cases = column[1 : 1 + 2 * len(names)].reshape(len(names), 2) / column[0]
    return {name: (float(low), float(high)) for name, (low, high) in zip(names, cases, strict=True)}


def what_ifs(values: Any) -> dict[str, float]:
    """By which factor a published figure 10 % higher changes this one."""
    column = np.atleast_1d(np.asarray(values, dtype=float))
    if column.size == 1 or column[0] <= 0:
        return {}
    tail = column[-len(WHAT_IFS) :] / column[0]
    return {words: float(factor) for words, factor in zip(WHAT_IFS.values(), tail, strict=True)}
