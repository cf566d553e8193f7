"""Queueing formulas against closed forms in exact fractions, and against each other."""

from __future__ import annotations

from fractions import Fraction
from heapq import heapreplace
from math import factorial

import numpy as np
import pytest

from eke.physics.queueing import (
    erlang_c,
    many_servers_wait_time,
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


def mean_wait(chance: float, servers: int, busy: float, variation: float) -> float:
    return many_servers_wait_time(
        chance=chance, servers=servers, busy=busy, service_time=1.0, squared_variation=variation
    )


@pytest.mark.parametrize("busy", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("variation", [0.0, 1.0, 4.0])
def test_one_server_waits_as_pollaczek_says(busy: float, variation: float) -> None:
    """λ E[x²] / (2 (1 − ρ)), whatever the service time."""
    wait = mean_wait(busy, 1, busy, variation)
    assert wait == pytest.approx(busy * (1 + variation) / (2 * (1 - busy)))


@pytest.mark.parametrize("servers,busy,variation", [(1, 0.7, 1.0), (4, 0.8, 2.0), (16, 0.9, 0.5)])
def test_several_servers_wait_as_simulated(servers: int, busy: float, variation: float) -> None:
    """Lognormal service at Poisson arrivals, first come first served."""
    chance, jobs = np.random.default_rng(1), 400_000
    sigma2 = np.log1p(variation)
    work = chance.lognormal(-sigma2 / 2, np.sqrt(sigma2), jobs)
    arrivals = np.cumsum(chance.exponential(1 / (busy * servers), jobs))
    free, waited = [0.0] * servers, 0.0
    for arrived, takes in zip(arrivals.tolist(), work.tolist(), strict=True):
        start = max(arrived, free[0])
        waited += start - arrived
        heapreplace(free, start + takes)
    wait = mean_wait(erlang_c(servers, busy * servers), servers, busy, variation)
    assert wait == pytest.approx(waited / jobs, rel=0.1)


@pytest.mark.parametrize("servers", [1, 2, 8, 64, 256])
@pytest.mark.parametrize("busy", [0.5, 0.8, 0.95])
def test_many_servers_near_erlang_c(servers: int, busy: float) -> None:
    """Halfin and Whitt's limit: the chance of waiting within 0.05 of Erlang C everywhere."""
    exact = erlang_c(servers, busy * servers)
    assert waiting_chance(servers=servers, busy=busy) == pytest.approx(exact, abs=0.05)
    assert mean_wait(exact, servers, busy, 1.0) == pytest.approx(exact / (servers * (1 - busy)))


def test_percentile_of_an_exponential_tail() -> None:
    """M/M/1: P(wait > t) = ρ exp(−(1 − ρ) t)."""
    busy = 0.8
    wait = busy / (1 - busy)
    t = wait_percentile(wait_time=wait, busy=busy, percentile=0.99)
    from math import exp

    assert busy * exp(-(1 - busy) * float(t)) == pytest.approx(0.01)
