"""Law: what a policy gives newcomers leave for happens as if it had been asked each time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fleets import REPLICA, play, same, traffic

from eke.simulation.watch import Watch
from eke.types.record import replace

POLICIES = ("fcfs", "fair(weights=t0:4+t1:1)", "deficit", "priority", "shortest", "deadline")


def curious(machine) -> None:
    """Let it be asked every time."""
    machine.quiet = False


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=25)
@given(
    st.integers(0, 10_000),
    st.sampled_from([0.5, 3.0, 9.0]),
    st.sampled_from([2, 8, 64]),
    st.sampled_from([60, 400]),
)
def test_leave_is_as_good_as_an_answer(policy, seed, rate, most, blocks):
    rng = np.random.default_rng(seed)
    many = 300
    asks = traffic(
        np.cumsum(rng.exponential(1 / rate, many)),
        rng.integers(1, 500, many),
        rng.integers(1, 80, many),
        most=rng.integers(40, 200, many),
        tenant=rng.integers(0, 3, many),
        tenants=("t0", "t1", "t2"),
        priority=rng.integers(0, 2, many),
    )
    kind = replace(REPLICA, most=most, blocks=blocks)
    watch = Watch(report=0.7, samples=20)
    assert same(play(kind, asks, policy, watch), play(kind, asks, policy, watch, curious))
