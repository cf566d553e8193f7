"""What it costs to have chips: money over time, prices that fall, software that matures."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula

SMALL = 1e-12  # a product of rate and time below which nothing is discounted


@formula(unit="s", equation="e^(−ρ a) (1 − e^(−ρ t)) / ρ", source=("eke-derived",))
def discounted_time(*, start: Number, stop: Number, rate: Number) -> Number:
    """Today's worth of a steady flow of money, over the flow [s].

    The integral of e^(−ρ t) from start to stop; without interest it is the time between them.

    start, stop: from now [s].  rate: at which later money is worth less, or at which the flow
    falls besides [1/s].
    """
    length = stop - start
    x = rate * length
    x = np.where(abs(x) < SMALL, SMALL, x)
    return np.exp(-rate * start) * length * -np.expm1(-x) / x


@formula(unit="1/s", equation="(1 − r e^(−ρ L)) ρ / (1 − e^(−ρ L))", source=("eke-derived",))
def capital_recovery(*, life: Number, rate: Number, share: Number) -> Number:
    """Steady payment that pays for a purchase over its life with interest, over its price [1/s].

    The capital recovery factor for payments without pause; without interest it is a straight line.

    life: until it is sold or scrapped [s].  rate: of interest [1/s].  share: of the price that it
    is then worth [1].
    """
    x = rate * life
    x = np.where(abs(x) < SMALL, SMALL, x)
    return (1 - share * np.exp(-x)) * x / -np.expm1(-x) / life


@formula(unit="1", equation="e^(−g t)", source=("epoch2022",))
def price_fall(*, seconds: Number, trend: Number) -> Number:
    """Price of the same performance later over that of today [1].

    seconds: from now [s].  trend: at which it falls [1/s].
    """
    return np.exp(-trend * seconds)


@formula(
    unit="1",
    equation="s − (s − s₀) τ (e^(−a / τ) − e^(−t / τ)) / (t − a)",
    source=("eke-derived",),
)
def mean_maturity(
    *, first: Number, mature: Number, pace: Number, start: Number, stop: Number
) -> Number:
    """Share of the speed that software reaches, on average over a while [1].

    It starts low and closes in on its mature share exponentially.

    first, mature: at the first chip and in the end [1].  pace: time in which the gap falls to
    1 / e [s].  start, stop: after the first chip [s].
    """
    gap = pace * (np.exp(-start / pace) - np.exp(-stop / pace)) / (stop - start)
    return mature - (mature - first) * gap
