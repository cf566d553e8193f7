"""What is gained and held by keeping conversations for a while.

After each answer the conversation's keys and values are kept for a fixed time. If the person asks
again within it, the next prompt need not be computed anew as far as it repeats; else they were kept
in vain. How long people think before they ask again is exponential or log-normal.
"""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula

LEAST = 1e-300  # of a time whose logarithm is taken [s]


def _below(z: Number) -> Number:
    """The normal distribution, Φ(z). Source: abramowitz1964, 26.2.17: error below 7.5e-8."""
    t = 1 / (1 + 0.2316419 * np.abs(z))
    tail = t * (
        0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))
    )
    tail = tail * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return np.where(np.asarray(z) > 0, 1 - tail, tail)


@formula(unit="1", equation="1 − e^(−t/m)", source=("klugman2012",))
def exponential_return_share(*, kept: Number, think: Number) -> Number:
    """Share of those who ask again that do so in time, thinking exponentially long [1].

    kept: how long a conversation is [s].  think: mean time before asking again [s].
    """
    t, m = kept, think
    return -np.expm1(-t / m)


@formula(unit="s", equation="m (1 − e^(−t/m))", source=("klugman2012",))
def exponential_hold(*, kept: Number, think: Number) -> Number:
    """Mean time until somebody asks again or the time is up, thinking exponentially long [s].

    kept: how long a conversation is at most [s].  think: mean time before asking again [s].
    """
    t, m = kept, think
    return -m * np.expm1(-t / m)


@formula(
    unit="1",
    equation="Φ(ln(t/m) / σ + σ/2), σ² = ln(1 + v)",
    source=("klugman2012",),
)
def lognormal_return_share(*, kept: Number, think: Number, variation: Number) -> Number:
    """Share of those who ask again that do so in time, thinking log-normally long [1].

    kept: how long a conversation is [s].  think: mean time before asking again [s].
    variation: of that time, its variance over its mean squared [1].
    """
    t, m, v = kept, think, variation
    σ = np.sqrt(np.log1p(v))
    return _below(np.log(np.maximum(t / m, LEAST)) / σ + σ / 2)


@formula(
    unit="s",
    equation="m Φ(ln(t/m) / σ − σ/2) + t (1 − Φ(ln(t/m) / σ + σ/2)), σ² = ln(1 + v)",
    source=("klugman2012",),
)
def lognormal_hold(*, kept: Number, think: Number, variation: Number) -> Number:
    """Mean time until somebody asks again or the time is up, thinking log-normally long [s].

    kept: how long a conversation is at most [s].  think: mean time before asking again [s].
    variation: of that time, its variance over its mean squared [1].
    """
    t, m, v = kept, think, variation
    σ = np.sqrt(np.log1p(v))
    z = np.log(np.maximum(t / m, LEAST)) / σ
    return m * _below(z - σ / 2) + t * (1 - _below(z + σ / 2))


@formula(unit="1", equation="r (n − 1)/n · F", source=("eke-derived",))
def reused_share(*, repeats: Number, turns: Number, returned: Number) -> Number:
    """Share of all prompt tokens that is found kept, first turns repeating nothing [1].

    repeats: share of a later prompt that stood in the conversation before [1].  turns: of a
    conversation [1].  returned: share of later turns that come in time [1].
    """
    r, n, F = repeats, turns, returned
    return r * (n - 1) / n * F


@formula(unit="s", equation="((n − 1) h + t) / n", source=("eke-derived",))
def mean_hold(*, turns: Number, hold: Number, kept: Number) -> Number:
    """Mean time a turn's keys and values are held; after the last turn in vain [s].

    turns: of a conversation [1].  hold: mean time after a turn that another one follows [s].
    kept: how long a conversation is at most [s].
    """
    n, h, t = turns, hold, kept
    return ((n - 1) * h + t) / n
