"""Predictions with their 80 % spans, and what a number of one's own says about the others.

Each efficiency is a normal variable, on a logarithmic scale, that one stack of software and chips
draws once: what is uncertain about it is shared by all predictions for that stack. So one
measurement of the stack narrows every other (a linear Gaussian update of the efficiencies).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eke.calibrate.blocks import Block
from eke.calibrate.parameters import EIGHTY
from eke.catalog.efficiencies import efficiencies
from eke.physics.scenarios import scenarios
from eke.types.efficiency import Efficiency
from eke.types.record import Record

LEVEL_SHARE = 0.75  # of the variance of `scatter`: what is the same for a whole stack (fitted)


class Priced(Record):
    """Predictions of a block. likely: logarithms, shape (rows,).  slopes: change of each
    prediction when an efficiency goes up by one standard deviation, shape (rows, names); of
    `scatter` only what a whole stack shares.  alone: standard deviation of what each row has for
    itself, shape (rows,).  names: of the efficiencies."""

    likely: Any
    slopes: Any
    alone: Any
    names: tuple[str, ...]

    @property
    def wide(self) -> Any:
        """Standard deviation of each prediction, in logarithms."""
        return np.sqrt((self.slopes**2).sum(axis=1) + self.alone**2)


def priced(block: Block) -> Priced:
    """A block under the catalogue's efficiencies."""
    values = efficiencies(*block.tables)
    with np.errstate(all="ignore"):
        found = np.asarray(block.predict(scenarios(values)), dtype=float)
    return priced_values(values, np.broadcast_to(found, (len(block.rows), found.shape[1])))


def priced_values(values: dict[str, Efficiency], found: Any) -> Priced:
    """Predictions in every case of `scenarios(values)`, shape (rows, cases), taken apart."""
    names = tuple(values)
    cases = 1 + 2 * len(names)
    logs = np.log(np.maximum(found, 1e-300))
    base = logs[:, :1]
    ends = (logs[:, 1:cases] - base).reshape(len(logs), len(names), 2)
    slopes = (ends[..., 1] - ends[..., 0]) / (2 * EIGHTY)
    shares = np.ones(len(names))
    shares[names.index("scatter")] = np.sqrt(LEVEL_SHARE)
    alone = np.abs(slopes[:, names.index("scatter")]) * np.sqrt(1 - LEVEL_SHARE)
    return Priced(
        likely=base[:, 0], slopes=np.nan_to_num(slopes) * shares, alone=alone, names=names
    )


class Learnt(Record):
    """What own measurements say of the efficiencies of a stack: mean and covariance, in standard
    deviations of their spans, of the names in order."""

    names: tuple[str, ...]
    mean: Any
    covariance: Any


def learn(own: Sequence[tuple[Priced, int, float]]) -> Learnt:
    """From own measurements: predictions, which row of them, and the measured value."""
    names = tuple(sorted({name for each, _, _ in own for name in each.names}))
    moves = np.array([_aligned(each, names)[index] for each, index, _ in own])
    rest = np.array([np.log(value) - each.likely[index] for each, index, value in own])
    noise = np.diag([float(each.alone[index]) ** 2 for each, index, _ in own])
    gain = moves.T @ np.linalg.inv(moves @ moves.T + noise + 1e-12 * np.eye(len(own)))
    return Learnt(names=names, mean=gain @ rest, covariance=np.eye(len(names)) - gain @ moves)


def _aligned(found: Priced, names: tuple[str, ...]) -> Any:
    """Slopes in the order of `names`."""
    columns = {name: found.slopes[:, index] for index, name in enumerate(found.names)}
    empty = np.zeros(len(found.likely))
    return np.stack([columns.get(name, empty) for name in names], axis=1)


def spans(found: Priced, learnt: Learnt | None = None) -> tuple[Any, Any, Any]:
    """Low, likely and high of each row of a block, in its own unit."""
    likely, wide = found.likely, found.wide
    if learnt is not None:
        moves = _aligned(found, learnt.names)
        likely = likely + moves @ learnt.mean
        shared = np.einsum("ij,jk,ik->i", moves, learnt.covariance, moves)
        wide = np.sqrt(np.maximum(shared, 0.0) + found.alone**2)
    return (
        np.exp(likely - EIGHTY * wide),
        np.exp(likely),
        np.exp(likely + EIGHTY * wide),
    )


def narrowed(values: dict[str, Efficiency], learnt: Learnt) -> dict[str, Efficiency]:
    """The efficiencies of a stack after own measurements, each with its own interval.

    What is left of a value's uncertainty is taken as independent of that of the others.
    """
    from eke.types.record import replace

    found = dict(values)
    for index, name in enumerate(learnt.names):
        each = values.get(name)
        if each is None or each.low <= 0 or each.high <= each.low:
            continue
        wide = np.log(each.high / each.low) / (2 * EIGHTY)
        kept = float(np.sqrt(max(learnt.covariance[index, index], 0.0)))
        if name == "scatter":
            kept = float(np.sqrt(LEVEL_SHARE * kept**2 + 1 - LEVEL_SHARE))
        moved = float(learnt.mean[index]) * (np.sqrt(LEVEL_SHARE) if name == "scatter" else 1.0)
        middle = each.likely * float(np.exp(moved * wide))
        half = float(np.exp(EIGHTY * wide * kept))
        found[name] = replace(
            each, low=middle / half, likely=middle, high=middle * half, note="your measurement"
        )
    return found
