"""Where building begins to pay off, as one input changes and the others stay as likely."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.economics.choice import gain
from eke.economics.laws import point
from eke.economics.risk import Inputs, Staged
from eke.types.silicon import Turning

STEPS = 65  # looked at between the ends, each time anew
ROUNDS = 5  # times the place is narrowed down
SCALES = 1e3  # a number above zero is looked at from a thousandth to a thousand times of it


def turning(
    inputs: Inputs, staged: Staged, name: str, against: int, span: tuple[float, float]
) -> Turning | None:
    """The value of an input at which building just pays off, the one nearest to what it is now;
    None where there is none between the ends. Where ends are above zero, steps are factors."""
    values = point(inputs)
    now = float(values[name])
    crossed = _nearest(lambda x: _gain(values, staged, name, x, against), span, now)
    if crossed is None:
        return None
    at, above = crossed
    return Turning(name=name, now=now, at=at, unit=inputs[name].unit, above=above)


def _gain(values: dict[str, float], staged: Staged, name: str, x: Any, against: int) -> Any:
    """Of many values of one input at once."""
    cases: dict[str, Any] = {key: np.full(len(x), value) for key, value in values.items()}
    cases[name] = x
    return np.broadcast_to(gain(staged(cases), against), (len(x),))


def _nearest(worth: Any, span: tuple[float, float], now: float) -> tuple[float, bool] | None:
    """The crossing nearest to now, and whether it pays off above it."""
    low, high = span
    grid = _grid(low, high)
    pays = worth(grid) > 0
    turns = np.flatnonzero(pays[1:] != pays[:-1])
    if not len(turns):
        return None
    distance = [abs(np.log((grid[i] + grid[i + 1] + 1e-300) / 2 / max(now, 1e-300))) for i in turns]
    first = int(turns[int(np.argmin(distance))])
    above = bool(pays[first + 1])
    low, high = float(grid[first]), float(grid[first + 1])
    for _ in range(ROUNDS):
        grid = _grid(low, high)
        pays = worth(grid) > 0
        place = int(np.flatnonzero(pays[1:] != pays[:-1])[0])
        low, high = float(grid[place]), float(grid[place + 1])
    return (low + high) / 2, above


def _grid(low: float, high: float) -> Any:
    if low > 0 and high / low > 3:
        return np.geomspace(low, high, STEPS)
    return np.linspace(low, high, STEPS)
