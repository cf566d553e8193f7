"""What building saves against each of the others, what moves that most, and what would turn it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eke.allocating.chips.inputs import Inputs
from eke.allocating.chips.ways import Known
from eke.catalog.nodes import YEAR
from eke.economics.choice import Bill
from eke.economics.laws import likely
from eke.economics.risk import Drawn, Staged, gain_of, swings
from eke.economics.turning import SCALES, turning
from eke.types.record import replace
from eke.types.silicon import Gain, Turning

SHOWN_SWINGS = 12
LESS = ("delay", "nre")  # more of which pays only because others stand in for what never comes


def gains_of(
    inputs: Inputs, staged: Staged, every: Sequence[Bill], cases: Drawn, known: Sequence[Known]
) -> tuple[Gain, ...]:
    """Against each of the others, and against whichever of them is cheapest in each case."""
    build, *others = cases.totals
    rows = []
    for index, other in enumerate(others):
        saved = float(every[1 + index].total - every[0].total)
        row = gain_of(other - build, saved, every[1 + index].name)
        rows.append(
            replace(
                row,
                break_even=_break_even(inputs, staged, index),
                swings=swings(inputs, staged, index)[:SHOWN_SWINGS],
                turnings=_turnings(inputs, staged, index, known[1 + index]),
            )
        )
    if len(others) > 1:
        least = np.min(np.array(others), axis=0)
        saved = float(min(bill.total for bill in every[1:]) - every[0].total)
        rows.append(gain_of(least - build, saved, "the cheapest of them"))
    return tuple(rows)


def _break_even(inputs: Inputs, staged: Staged, against: int) -> float | None:
    """Chips a year from which building pays off."""
    now = likely(inputs["volume"].law)
    found = turning(inputs, staged, "volume", against, (now / SCALES, now * SCALES))
    return found.at if found is not None and found.above else None


def _turnings(inputs: Inputs, staged: Staged, against: int, other: Known) -> tuple[Turning, ...]:
    """What would have to be true, one thing at a time."""
    price = f"price{other.suffix}"
    spans = {
        "volume": (1 / SCALES, SCALES),
        "software": (0.02, 1.0),
        "own_speed": (0.05, 20.0),
        "delay": (0.0, 10 * YEAR),
        "nre": (1 / SCALES, SCALES),
        price: (0.02, 50.0),
        "price_trend": (0.0, 1 / YEAR),
        "load": (0.05, 1.0),
        "memory_price": (0.02, 50.0),
        "discount": (0.0, 0.5 / YEAR),
    }
    scaled = ("volume", "nre", "memory_price", price)  # their spans are factors
    found = []
    for name, (low, high) in spans.items():
        if name not in inputs:
            continue
        now = likely(inputs[name].law) if name in scaled else 1.0
        one = turning(inputs, staged, name, against, (low * now, high * now)) if now else None
        if one is not None and not (one.above and name in LESS):
            found.append(one)
    return tuple(found)
