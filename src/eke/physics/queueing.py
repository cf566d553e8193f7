"""Waiting in line."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula


@formula(unit="s", equation="λ s² (1 + c²) / (2 (1 − λ s))", source=("pollaczek1930",))
def mg1_wait_time(
    *, arrival_rate: Number, service_time: Number, squared_variation: Number
) -> Number:
    """Mean wait before one server, Poisson arrivals, any service time [s].

    arrival_rate: of jobs [1/s].  service_time: mean [s].  squared_variation: variance of the
    service time over its mean squared [1].
    """
    λ, s, c2 = arrival_rate, service_time, squared_variation
    return λ * s * s * (1 + c2) / (2 * np.maximum(1 - λ * s, 1e-9))


@formula(unit="s", equation="ρ^(√(2 (c + 1)) − 1) / (c (1 − ρ)) · s", source=("sakasegawa1977",))
def many_servers_wait_time(*, servers: Number, busy: Number, service_time: Number) -> Number:
    """Mean wait before many equal servers, Poisson arrivals, exponential service [s].

    servers: how many [1].  busy: share of their time they work [1].  service_time: mean [s].
    """
    c, ρ, s = servers, busy, service_time
    return ρ ** (np.sqrt(2 * (c + 1)) - 1) / (c * np.maximum(1 - ρ, 1e-9)) * s


@formula(unit="s", equation="W/ρ · ln(ρ / (1 − q))", source=("kleinrock1975",))
def wait_percentile(*, wait_time: Number, busy: Number, percentile: Number) -> Number:
    """A percentile of the wait, whose tail beyond zero is exponential [s].

    wait_time: mean over all jobs [s].  busy: chance of waiting at all [1].  percentile: wanted,
    below 1 [1].
    """
    W, ρ, q = wait_time, np.clip(busy, 1e-12, 1.0), percentile
    return W / ρ * np.log(np.maximum(ρ / (1 - q), 1.0))


def erlang_c(servers: int, load: float) -> float:
    """Chance of waiting before `servers` equal servers at offered `load` erlang [1].

    Source: erlang1917; the recurrence of Erlang B, which never overflows.
    """
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    busy = load / servers
    return blocked / (1 - busy * (1 - blocked))
