"""Failures, checkpoints and what they leave of the time."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula


@formula(unit="s", equation="M / n", source=("young1974",))
def job_failure_interval(*, chip_interval: Number, chips: Number) -> Number:
    """Mean time between failures of a job that stops when any chip does [s].

    chip_interval: mean time between failures of one chip [s].  chips: in the job [1].
    """
    return chip_interval / chips


@formula(unit="s", equation="S / (n v)", source=("eke-derived",))
def checkpoint_time(*, size: Number, chips: Number, speed: Number) -> Number:
    """Time to write a checkpoint that all chips share [s].

    size: of the checkpoint [B].  chips: that write [1].  speed: per chip [B/s].
    """
    return size / (chips * speed)


@formula(unit="s", equation="√(2 δ M)", source=("young1974",))
def young_interval(*, checkpoint_time: Number, failure_interval: Number) -> Number:
    """Best time between checkpoints, first order [s].

    checkpoint_time: during which training waits [s].  failure_interval: of the job [s].
    """
    return np.sqrt(2 * checkpoint_time * failure_interval)


@formula(unit="1", equation="δ/τ + (τ/2 + R) / M", source=("young1974",))
def lost_share(
    *, checkpoint_time: Number, interval: Number, failure_interval: Number, restart_time: Number
) -> Number:
    """Share of time lost to checkpoints, repeated work and restarts [1].

    checkpoint_time: during which training waits [s].  interval: between checkpoints [s].
    failure_interval: of the job [s].  restart_time: after a failure [s].
    """
    δ, τ, M, R = checkpoint_time, interval, failure_interval, restart_time
    return δ / τ + (τ / 2 + R) / M


@formula(
    unit="s",
    equation="√(2 δ M) (1 + √(δ/2M)/3 + (δ/2M)/9) − δ where δ < 2 M, else M",
    source=("daly2006",),
)
def daly_interval(*, checkpoint_time: Number, failure_interval: Number) -> Number:
    """Best time of work between checkpoints, also where failures are frequent [s].

    checkpoint_time: during which training waits [s].  failure_interval: of the job [s].
    """
    δ, M = checkpoint_time, failure_interval
    x = np.sqrt(δ / (2 * M))
    return np.where(δ < 2 * M, 2 * M * x * (1 + x / 3 + x * x / 9) - δ, M)


@formula(unit="1", equation="τ / (M e^(R/M) (e^((τ+δ)/M) − 1))", source=("daly2006",))
def goodput(
    *, checkpoint_time: Number, interval: Number, failure_interval: Number, restart_time: Number
) -> Number:
    """Share of time that is work kept, with failures at random, also while starting again [1].

    checkpoint_time: during which training waits [s].  interval: of work between checkpoints [s].
    failure_interval: of the job [s].  restart_time: after a failure [s].
    """
    δ, τ, M, R = checkpoint_time, interval, failure_interval, restart_time
    # a job that fails before it has started makes no progress; the exponents stay finite
    lost = np.exp(np.minimum(R / M, 20.0)) * np.expm1(np.minimum((τ + δ) / M, 20.0))
    return τ / (M * lost)
