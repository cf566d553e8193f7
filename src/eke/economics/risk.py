"""What is not known: draws of every input, the interval and the chance they give, and how much each
input alone does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from eke.economics.choice import Bill, Scene, bills, tokens
from eke.economics.laws import ENDS, ends, point, sampled
from eke.types.need import Span
from eke.types.record import Record
from eke.types.silicon import Gain, Swing, Uncertain

QUANTILES = 41  # told of the cases drawn
Inputs = dict[str, Uncertain]
Staged = Callable[[Mapping[str, Any]], Scene]  # values of inputs, or arrays of cases → the scene


class Drawn(Record):
    """Cases drawn. costs: of a useful token in each way [USD].  totals: of each way [USD]."""

    costs: tuple[Any, ...]
    totals: tuple[Any, ...]


def drawn(inputs: Inputs, staged: Staged, count: int, seed: int) -> Drawn:
    """That many cases; the same seed draws the same."""
    scene = staged(sampled(inputs, count, seed))
    every, served = bills(scene), tokens(scene)
    totals = tuple(np.broadcast_to(bill.total, (count,)) for bill in every)
    return Drawn(costs=tuple(total / served for total in totals), totals=totals)


def likeliest(inputs: Inputs, staged: Staged) -> tuple[tuple[Bill, ...], float]:
    """The bills where every input has its likeliest value, and the tokens they are for."""
    scene = staged(point(inputs))
    return bills(scene), float(tokens(scene))


def interval(values: Any, likely: float) -> Span:
    """The 80 % interval of cases; it holds the likeliest case, which is none of them."""
    low, high = (float(np.quantile(values, share)) for share in ENDS)
    return Span(low=min(low, likely), likely=likely, high=max(high, likely))


def gain_of(saved: Any, likely: float, against: str) -> Gain:
    """What building saves over all cases. saved: in each of them [USD]."""
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    low, middle, high = (float(np.quantile(saved, share)) for share in (ENDS[0], 0.5, ENDS[1]))
    return Gain(
        against=against,
        likely=likely,
        mean=float(np.mean(saved)),
        low=low,
        middle=middle,
        high=high,
        chance=float(np.mean(np.asarray(saved) > 0)),
        quantiles=tuple(float(value) for value in np.quantile(saved, shares)),
    )


def swings(inputs: Inputs, staged: Staged, against: int) -> tuple[Swing, ...]:
    """What each input does to the gain at its ends, all others as likely; the widest first."""
    names, cases = ends(inputs)
    build, *others = bills(staged(cases))
    saved = np.broadcast_to(others[against].total - build.total, (1 + 2 * len(names),))
    found = [
        Swing(
            name=name,
            low=float(cases[name][1 + 2 * i]),
            high=float(cases[name][2 + 2 * i]),
            unit=inputs[name].unit,
            gain_low=float(saved[1 + 2 * i]),
            gain_high=float(saved[2 + 2 * i]),
        )
        for i, name in enumerate(names)
    ]
    return tuple(sorted(found, key=lambda each: (-abs(each.gain_high - each.gain_low), each.name)))
