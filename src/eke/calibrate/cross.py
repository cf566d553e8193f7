"""How far predictions are off for those nobody has learnt from: whole publishers, engines and
chips are left out, the values learnt again without them, and their rows predicted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from eke.calibrate.blocks import Block
from eke.calibrate.design import base_values, design
from eke.calibrate.fit import Fitted, bounded, scatters, solve
from eke.types.record import Record

AGAIN, MANY = 2, 0.04  # further rounds, for groups of more than this share of the rows
Left = Literal["publisher", "engine", "chip"]


class LeftOut(Record):
    """Predictions for rows that were left out. predicted: logarithms, NaN for rows that never
    were.  wide: standard deviation from the values' own uncertainty."""

    by: Left
    predicted: Any
    wide: Any


def leave_out(
    fitted: Fitted, blocks: list[Block], by: Left, tell: Callable[[str], None] = lambda _: None
) -> LeftOut:
    """Every group of rows with the same publisher, engine or chip, left out in turn."""
    now, labels = fitted.design, fitted.design.labels[by]
    predicted = np.full(len(labels), np.nan)
    wide = np.full(len(labels), np.nan)
    starts = np.cumsum([0, *(len(block.rows) for block in blocks)])
    for group, name in enumerate(now.names[by]):
        out = labels == group
        if not name or out.all():
            continue
        at, covariance = _without(fitted, blocks, out)
        for block, start in zip(blocks, starts, strict=False):
            rows = slice(start, start + len(block.rows))
            if not out[rows].any():
                continue
            here = np.where(out[rows], base_values(block, fitted.space, at), np.nan)
            predicted[rows] = np.where(out[rows], here, predicted[rows])
        moves = now.moves[out]
        wide[out] = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", moves, covariance, moves), 0.0))
        tell(f"without {name}")
    return LeftOut(by=by, predicted=predicted, wide=wide)


def _without(fitted: Fitted, blocks: list[Block], out: Any) -> tuple[Any, Any]:
    """The values without some rows, and their covariance. Without many rows they move so far that
    the problem is taken anew around where they went."""
    now, at = fitted.design, fitted.at
    for turn in range(1 + AGAIN * (out.mean() > MANY)):
        if turn:
            now = design(blocks, fitted.space, at)
        step, covariance = solve(now, fitted.space, at, scatters(now, ~out), ~out * 1.0)
        at = bounded(fitted.space, at + step / (1 + turn))  # later steps settle
    return at, covariance
