"""Queueing formulas against closed forms in exact fractions, and against each other."""

from __future__ import annotations

from fractions import Fraction
from math import factorial

import pytest

from eke.physics.queueing import (
    erlang_c,
    many_servers_wait_time,
    mg1_wait_time,
    wait_percentile,
    waiting_chance,
)


def exact_erlang_c(servers: int, load: Fraction) -> Fraction:
    """Erlang's second formula, term by term."""
    below = sum(load**n / factorial(n) for n in range(servers))
    last = load**servers / factorial(servers) * servers / (servers - load)
    return last / (below + last)


@pytest.mark.parametrize("servers", [1, 2, 5, 20, 60])
@pytest.mark.parametrize("busy", [Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)])
def test_erlang_c(servers: int, busy: Fraction) -> None:
    load = busy * servers
    assert erlang_c(servers, float(load)) == pytest.approx(float(exact_erlang_c(servers, load)))


@pytest.mark.parametrize("busy", [0.1, 0.5, 0.9])
def test_one_exponential_server(busy: float) -> None:
    """M/M/1 waits ρ/(1 − ρ) service times; Pollaczek–Khinchine and Erlang C agree."""
    wait = mg1_wait_time(arrival_rate=busy, service_time=1.0, squared_variation=1.0)
    assert wait == pytest.approx(busy / (1 - busy))
    assert wait == pytest.approx(erlang_c(1, busy) / (1 - busy))


def test_constant_service_waits_half() -> None:
    one = mg1_wait_time(arrival_rate=0.8, service_time=1.0, squared_variation=0.0)
    other = mg1_wait_time(arrival_rate=0.8, service_time=1.0, squared_variation=1.0)
    assert one == pytest.approx(other / 2)


@pytest.mark.parametrize("servers", [1, 2, 8, 64, 256])
@pytest.mark.parametrize("busy", [0.5, 0.8, 0.95])
def test_many_servers_near_erlang_c(servers: int, busy: float) -> None:
    """Halfin and Whitt's limit: the chance of waiting within 0.05 of Erlang C everywhere."""
    exact = erlang_c(servers, busy * servers)
    assert waiting_chance(servers=servers, busy=busy) == pytest.approx(exact, abs=0.05)
    wait = many_servers_wait_time(chance=exact, servers=servers, busy=busy, service_time=2.0)
    assert wait == pytest.approx(exact * 2.0 / (servers * (1 - busy)))


def test_percentile_of_an_exponential_tail() -> None:
    """M/M/1: P(wait > t) = ρ exp(−(1 − ρ) t)."""
    busy = 0.8
    wait = busy / (1 - busy)
    t = wait_percentile(wait_time=wait, busy=busy, percentile=0.99)
    from math import exp

    assert busy * exp(-(1 - busy) * float(t)) == pytest.approx(0.01)
