"""Time of collectives: a term of latency per hop and a term of bytes over bandwidth."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula


@formula(unit="s", equation="α + S / B", source=("hockney1994",))
def point_to_point_time(*, size: Number, bandwidth: Number, latency: Number) -> Number:
    """Time to send a message to one other chip [s].

    size: of the message [B].  bandwidth: of the way [B/s].  latency: of the way [s].
    """
    return latency + size / bandwidth


@formula(unit="s", equation="S / B", source=("hockney1994",))
def host_copy_time(*, size: Number, bandwidth: Number) -> Number:
    """Time to copy from the memory of the host; the start of so large a copy does not count [s].

    size: to copy [B].  bandwidth: one direction, what arrives [B/s].
    """
    return size / bandwidth


@formula(
    unit="s",
    equation="2 (i−1)/i S/B_in + 2 log₂(i) α_in + 2 (o−1)/o S/(i B_out) + 2 log₂(o) α_out"
    " + α₀ [p > 1], o = p/i",
    source=("patarasuk2009", "thakur2005"),
)
def hierarchical_all_reduce_time(
    *,
    size: Number,
    ranks: Number,
    inner_ranks: Number,
    inner_bandwidth: Number,
    inner_latency: Number,
    outer_bandwidth: Number,
    outer_latency: Number,
    start: Number,
) -> Number:
    """Time of an all-reduce over scale-up domains joined by a network [s].

    Reduce-scatter inside, all-reduce of what is left between domains, all-gather inside. Between
    domains the latency is that of a tree, as libraries switch to it for many ranks.

    size: bytes on each rank [B].  ranks: chips in all [1].  inner_ranks: of them in one domain
    [1].  inner_bandwidth, outer_bandwidth: one direction, per chip [B/s].  inner_latency,
    outer_latency: per hop [s].  start: until all ranks are there and the kernel runs [s].
    """
    S, p, i = size, ranks, inner_ranks
    o = np.ceil(p / i)
    inside = 2 * (i - 1) * S / (i * inner_bandwidth) + 2 * np.log2(i) * inner_latency
    between = 2 * (o - 1) * S / (i * o * outer_bandwidth) + 2 * np.log2(o) * outer_latency
    return inside + between + start * (np.asarray(p) > 1)


@formula(
    unit="s",
    equation="max(α log₂ i + S (i − 1)/p / B_in, α log₂ o + r S (p − i)/p / B_out) + α₀ [p > 1]",
    source=("thakur2005",),
)
def hierarchical_all_to_all_time(
    *,
    size: Number,
    ranks: Number,
    inner_ranks: Number,
    inner_bandwidth: Number,
    inner_latency: Number,
    outer_bandwidth: Number,
    outer_latency: Number,
    start: Number,
    repeated: Number = 1.0,
) -> Number:
    """Time of an all-to-all over scale-up domains joined by a network [s].

    What goes to ranks of the own domain takes the fast links, the rest the network; the two run
    side by side.

    size: bytes each rank sends in all [B].  ranks: chips in all [1].  inner_ranks: of them in one
    domain [1].  inner_bandwidth, outer_bandwidth: one direction, per chip [B/s].  inner_latency,
    outer_latency: per hop [s].  start: until all ranks are there and the kernel runs [s].
    repeated: share of what crosses the network that is sent again for each rank of a domain rather
    than once for all of them [1].
    """
    S, p, i = size, ranks, inner_ranks
    inside = (i - 1) / p * S / inner_bandwidth + np.log2(i) * inner_latency
    between = (p - i) / p * S * repeated / outer_bandwidth
    between = between + np.log2(np.maximum(p / i, 1)) * outer_latency
    return np.maximum(inside, between) + start * (np.asarray(p) > 1)
