"""Values learnt from measurements, robustly, with stacks of software as random effects.

log(measured) = log(predicted by the physics at θ) + level of the stack + scatter. θ starts from
priors; the level of a stack (who measured, with which engine and release, on which chips) is drawn
to zero; scatter has heavy tails. Solved by iterated weighted least squares around the physics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eke.calibrate.blocks import Block
from eke.calibrate.design import QUEUED, Design, design
from eke.calibrate.parameters import Space
from eke.types.record import Record

ROUNDS = 10
TAILS = 4.0  # degrees of freedom of Student's t
LEVEL = 0.08  # standard deviation of the level of a stack, in logarithms
CROWD = 100.0  # rows of a stack beyond which further ones say little new
LEAST_SCATTER = 0.05
LONGEST_STEP = 1.0  # of a prior's standard deviations, in one round


class Fitted(Record):
    """at: the learnt point.  covariance: of the parameters around it.  design: the problem around
    that point."""

    space: Space
    at: Any
    covariance: Any
    design: Design


def fit(blocks: list[Block], space: Space, tell: Callable[[str], None] = lambda _: None) -> Fitted:
    """The likeliest values, given priors and measurements."""
    at = space.centres
    for turn in range(ROUNDS):
        now = design(blocks, space, at)
        moved, _ = solve(now, space, at, scatters(now))
        spread = np.array([each.spread for each in space.parameters])
        longest = LONGEST_STEP * spread * min(1.0, 2 / (turn + 1))  # later rounds settle
        step = np.clip(moved, -longest, longest)
        error = np.median(np.abs(now.measured - now.predicted))
        tell(f"round {turn + 1} of {ROUNDS}: median error {error:.1%}")
        at = bounded(space, at + step)
    now = design(blocks, space, at)
    _, covariance = solve(now, space, at, scatters(now))
    return Fitted(space=space, at=at, covariance=covariance, design=now)


def bounded(space: Space, at: Any) -> Any:
    """The point with every share at most 1 and nothing below zero."""
    found = at.copy()
    for index, each in enumerate(space.parameters):
        if each.plain:
            found[index] = np.clip(found[index], 0.0, each.highest)
        else:
            found[index] = np.clip(found[index], np.log(each.lowest), np.log(each.highest))
    return found


def residuals(now: Design, step: Any) -> Any:
    """Measured over predicted, in logarithms, after a step of the parameters."""
    return now.measured - now.predicted - now.moves @ step


def scatters(now: Design, keep: Any = None) -> Any:
    """Robust standard deviation of the residuals inside stacks, by regime; that of all regimes for
    one without rows. keep: which rows there are."""
    kept = np.ones(len(now.measured), dtype=bool) if keep is None else keep
    stacks, regimes = now.labels["stack"], now.labels["regime"]
    rest = np.where(kept, now.measured - now.predicted, np.nan)
    inside = np.abs(rest - _medians(rest, stacks)[stacks])
    found = _medians(inside, regimes)
    found = np.where(np.isfinite(found), found, np.nanmedian(inside))
    return np.maximum(1.4826 * found, LEAST_SCATTER)


def _medians(values: Any, labels: Any) -> Any:
    """The median of each label, NaN where there is none."""
    groups = [values[labels == each] for each in range(labels.max() + 1)]
    known = [group[np.isfinite(group)] for group in groups]
    return np.array([np.median(group) if len(group) else np.nan for group in known])


def weights(now: Design, rest: Any, scatter: Any) -> Any:
    """How much each row counts: less in crowds, when it repeats its run, and far out."""
    stacks, runs = now.labels["stack"], now.labels["run"]
    wide = scatter[now.labels["regime"]]
    crowd = 1 / (1 + np.bincount(stacks)[stacks] / CROWD)
    again = 1 / np.bincount(runs)[runs]
    far = (TAILS + 1) / (TAILS + (rest / np.hypot(wide, LEVEL)) ** 2)
    return crowd * again * far / wide**2


def level_pull(now: Design, rest: Any, weight: Any) -> Any:
    """How strongly each stack's level is drawn to zero: those far out less (heavy tails), so that
    one stack that is slow for reasons of its own does not bend what all others say."""
    stacks = now.labels["stack"]
    level = np.bincount(stacks, weight * rest) / (np.bincount(stacks, weight) + 1 / LEVEL**2)
    return (TAILS + 1) / (TAILS * LEVEL**2 + level**2)


def equations(now: Design, rest: Any, weight: Any, pull: Any) -> tuple[Any, Any]:
    """Squares and right-hand side of all rows, levels of stacks eliminated. pull: of each."""
    stacks = now.labels["stack"]
    w = weight
    J = now.moves
    squares = (J * w[:, None]).T @ J
    right = J.T @ (w * rest)
    total = np.bincount(stacks, w)
    sums = np.zeros((len(total), J.shape[1]))
    np.add.at(sums, stacks, J * w[:, None])
    held = 1 / (total + pull)
    squares -= (sums * held[:, None]).T @ sums
    right -= sums.T @ (held * np.bincount(stacks, w * rest))
    return squares, right


def prior_equations(space: Space, at: Any) -> tuple[Any, Any]:
    """What the priors, and the links to the value of any, add."""
    count = len(space.parameters)
    squares, right = np.zeros((count, count)), np.zeros(count)
    for index, each in enumerate(space.parameters):
        pull = 1 / each.spread**2
        if not each.linked:
            squares[index, index] += pull
            right[index] += pull * (each.centre - at[index])
            continue
        other = space.places[each.linked, each.name]
        gap = at[other] - at[index]
        squares[index, index] += pull
        squares[other, other] += pull
        squares[index, other] -= pull
        squares[other, index] -= pull
        right[index] += pull * gap
        right[other] -= pull * gap
    return squares, right


def told(now: Design, space: Space) -> Any:
    """Moves from which values are learnt: what users wait for in a queue says how long queues are
    (`first`), not how fast the chips."""
    regimes = np.char.endswith(np.array(now.names["regime"]), QUEUED)[now.labels["regime"]]
    others = np.array([each.name != "first" for each in space.parameters])
    return np.where(regimes[:, None] & others, 0.0, now.moves)


def solve(now: Design, space: Space, at: Any, scatter: Any, keep: Any = None) -> tuple[Any, Any]:
    """The step from here to the likeliest point of the linear problem, and the covariance there.

    keep: 1 for rows to learn from, 0 for those left out.
    """
    kept = np.ones(len(now.measured)) if keep is None else keep
    own, pull = prior_equations(space, at)
    felt = np.flatnonzero(np.any(now.moves != 0, axis=0))  # the others stay with their priors
    few = Design(
        measured=now.measured,
        predicted=now.predicted,
        moves=told(now, space)[:, felt],
        labels=now.labels,
        names=now.names,
    )
    step = np.zeros(len(space.parameters))
    squares = own
    for _ in range(2):  # the far rows are found again as the point moves
        rest = residuals(few, step[felt])
        weight = weights(few, rest, scatter) * kept
        levels = level_pull(few, rest, weight)
        some, right = equations(few, few.measured - few.predicted, weight, levels)
        squares = own.copy()
        squares[np.ix_(felt, felt)] += some
        whole = pull.copy()
        whole[felt] += right
        step = np.linalg.solve(squares, whole)
    return step, np.linalg.inv(squares)
