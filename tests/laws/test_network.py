"""Collectives: nothing to do for one rank, a ring of bytes in a domain, longer for more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eke.physics.network import hierarchical_all_reduce_time, hierarchical_all_to_all_time

LINKS = {
    "inner_bandwidth": 360e9,
    "inner_latency": 2e-6,
    "outer_bandwidth": 40e9,
    "outer_latency": 5e-6,
    "start": 8e-6,
}
SIZES = st.floats(1, 1e12)


@pytest.mark.parametrize("time", [hierarchical_all_reduce_time, hierarchical_all_to_all_time])
def test_one_rank_has_nothing_to_exchange(time) -> None:  # type: ignore[no-untyped-def]
    assert time(size=1e9, ranks=1, inner_ranks=1, **LINKS) == 0


@given(SIZES, st.integers(2, 72))
def test_inside_a_domain_it_moves_the_bytes_of_a_ring(size: float, ranks: int) -> None:
    """2 (p − 1)/p S/B, the least any all-reduce can move (patarasuk2009)."""
    took = hierarchical_all_reduce_time(size=size, ranks=ranks, inner_ranks=ranks, **LINKS)
    waits = 2 * np.log2(ranks) * LINKS["inner_latency"] + LINKS["start"]
    assert took - waits == pytest.approx(2 * (ranks - 1) / ranks * size / 360e9)


@given(SIZES, SIZES, st.sampled_from([1, 2, 4, 8]), st.sampled_from([1, 2, 16, 128]))
def test_more_bytes_never_take_less(one: float, other: float, inner: int, outer: int) -> None:
    few, many = sorted((one, other))
    for time in (hierarchical_all_reduce_time, hierarchical_all_to_all_time):
        short, long = (
            time(size=size, ranks=inner * outer, inner_ranks=inner, **LINKS) for size in (few, many)
        )
        assert short <= long * (1 + 1e-12)


@given(SIZES, st.sampled_from([2, 4, 8]), st.sampled_from([1, 2, 16, 128]))
def test_a_wider_domain_never_takes_longer(size: float, inner: int, outer: int) -> None:
    narrow = hierarchical_all_reduce_time(
        size=size, ranks=inner * outer, inner_ranks=inner // 2, **LINKS
    )
    wide = hierarchical_all_reduce_time(size=size, ranks=inner * outer, inner_ranks=inner, **LINKS)
    assert wide <= narrow * (1 + 1e-12)
