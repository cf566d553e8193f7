"""Waiting in line."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula


@formula(unit="1", equation="λ × pause", source=("little1961",))
def conversations_kept(*, rate: Number, pause: Number) -> Number:
    """Conversations between two of their turns at any time, by Little's law [1].

    rate: turns that begin [1/s].  pause: mean time between two of them [s].
    """
    return rate * pause


@formula(
    unit="1",
    equation="1 / (1 + β Φ(β) / φ(β)), β = (1 − ρ) √c",
    source=("halfin1981",),
)
def waiting_chance(*, servers: Number, busy: Number) -> Number:
    """Chance of waiting before many equal servers, the limit of Erlang C [1].

    servers: how many, not necessarily whole [1].  busy: share of their time they work [1].
    """
    β = np.maximum(1 - busy, 1e-9) * np.sqrt(servers)
    density = np.exp(-β * β / 2) / np.sqrt(2 * np.pi)
    t = 1 / (1 + 0.2316419 * β)  # abramowitz1964, 26.2.17: error below 7.5e-8
    tail = t * (
        0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))
    )
    below = 1 - density * tail
    return 1 / (1 + β * below / np.maximum(density, 1e-300))


@formula(
    unit="s",
    equation="P(wait) s (1 + v) / (2 c (1 − ρ))",
    source=("erlang1917", "pollaczek1930", "lee1959"),
)
def many_servers_wait_time(
    *,
    chance: Number,
    servers: Number,
    busy: Number,
    service_time: Number,
    squared_variation: Number,
) -> Number:
    """Mean wait before equal servers; exact for one server and for exponential service [s].

    chance: of waiting at all [1].  servers: how many [1].  busy: share of their time they work
    [1].  service_time: mean [s].  squared_variation: variance of the service time over its mean
    squared [1].
    """
    spread = (1 + squared_variation) / 2
    return chance * service_time * spread / (servers * np.maximum(1 - busy, 1e-9))


@formula(unit="s", equation="W/ρ · ln(ρ / (1 − q))", source=("kleinrock1975",))
def wait_percentile(*, wait_time: Number, busy: Number, percentile: Number) -> Number:
    """A percentile of the wait, whose tail beyond zero is exponential [s].

    wait_time: mean over all jobs [s].  busy: chance of waiting at all [1].  percentile: wanted,
    below 1 [1].
    """
    W, ρ, q = wait_time, np.clip(busy, 1e-12, 1.0), percentile
    return W / ρ * np.log(np.maximum(ρ / (1 - q), 1.0))


def erlang_c(servers: Number, load: Number) -> Number:
    """Chance of waiting before `servers` equal servers at offered `load` erlang [1].

    Source: erlang1917; the recurrence of Erlang B, which never overflows.
    """
    blocked: Number = 1.0
    for n in range(1, int(np.max(servers)) + 1):
        more = load * blocked / (n + load * blocked)
        blocked = np.where(n <= np.asarray(servers), more, blocked)
    busy = load / servers
    return blocked / (1 - busy * (1 - blocked))
