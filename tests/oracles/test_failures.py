"""Goodput against a simulated job, and against the first-order formulas where they hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eke.physics.failures import daly_interval, goodput, lost_share, young_interval


def simulated(δ: float, τ: float, M: float, R: float, segments: int = 20_000) -> float:
    """Work kept over time passed, failures at random moments; a restart can fail too."""
    chance = np.random.default_rng(0)
    time = 0.0
    for _ in range(segments):
        while (until := chance.exponential(M)) < τ + δ:
            time += until
            while (again := chance.exponential(M)) < R:
                time += again
            time += R
        time += τ + δ
    return segments * τ / time


@pytest.mark.parametrize(
    "δ,M,R", [(5.0, 11_000.0, 600.0), (60.0, 1800.0, 600.0), (30.0, 300.0, 200.0)]
)
def test_goodput_is_that_of_a_simulated_job(δ: float, M: float, R: float) -> None:
    τ = float(daly_interval(checkpoint_time=δ, failure_interval=M))
    formula = goodput(checkpoint_time=δ, interval=τ, failure_interval=M, restart_time=R)
    assert formula == pytest.approx(simulated(δ, τ, M, R), rel=0.02)


@given(st.floats(0.1, 600), st.floats(60, 1e7), st.floats(0, 3600))
def test_the_interval_is_best_and_goodput_a_share(δ: float, M: float, R: float) -> None:
    τ = float(daly_interval(checkpoint_time=δ, failure_interval=M))
    kept = [
        float(goodput(checkpoint_time=δ, interval=each, failure_interval=M, restart_time=R))
        for each in (τ, 0.5 * τ, 2 * τ)
    ]
    assert 0 < kept[0] <= 1
    assert kept[0] >= max(kept) * 0.999


def test_rare_failures_cost_what_the_first_order_says() -> None:
    δ, M, R = 5.0, 1e6, 600.0
    first = young_interval(checkpoint_time=δ, failure_interval=M)
    assert daly_interval(checkpoint_time=δ, failure_interval=M) == pytest.approx(first, rel=0.01)
    lost = lost_share(checkpoint_time=δ, interval=first, failure_interval=M, restart_time=R)
    kept = goodput(checkpoint_time=δ, interval=first, failure_interval=M, restart_time=R)
    assert 1 - kept == pytest.approx(lost, rel=0.01)
