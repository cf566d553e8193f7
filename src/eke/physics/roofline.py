"""Rooflines, and how far below them real operations stay."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula


@formula(unit="1", equation="E (1 − (1 − k/E)^T)", source=("eke-derived",))
def experts_touched(*, experts: Number, active: Number, tokens: Number) -> Number:
    """Distinct experts that a batch of tokens visits, routed evenly [1].

    experts: in the layer [1].  active: per token [1].  tokens: in the batch [1].
    """
    E, k, T = experts, active, tokens
    return np.maximum(E * (1 - (1 - k / E) ** T), np.minimum(k, E))


@formula(unit="s", equation="overlap · min(exchange, room)", source=("austin2025",))
def hidden_time(*, exchange: Number, room: Number, overlap: Number) -> Number:
    """Time of an exchange that passes behind computing [s].

    What several exchanges hide behind the same computing adds up to at most all of it, when each
    takes its room from what the others left; so a step takes at least the longer of computing and
    exchanging, and at most their sum.

    exchange: alone [s].  room: computing that hides nothing else yet [s].  overlap: share of the
    shorter of the two that is hidden [1].
    """
    return overlap * np.minimum(exchange, room)


@formula(unit="FLOP/s", equation="F m / (m + m½ (1 + n½ / n))", source=("eke-derived",))
def matmul_rate(
    *, peak: Number, rows: Number, half_rows: Number, columns: Number, half_columns: Number
) -> Number:
    """Arithmetic speed of a matrix multiplication of few rows [FLOP/s].

    What tiles and waves that are not full lose, smoothed: units without a tile idle, and of a
    narrow result it takes more rows to give every unit one.

    peak: reached with many rows [FLOP/s].  rows: of the left matrix [1].  half_rows: at which a
    wide result reaches half of that [1].  columns: of the result [1].  half_columns: of a result
    that needs twice as many rows for it [1].
    """
    return peak * rows / (rows + half_rows * (1 + half_columns / columns))


@formula(unit="1", equation="(d / (d + 64)) / (128 / (128 + 64))", source=("shah2024",))
def narrow_heads(*, size: Number) -> Number:
    """Speed of the attention core over that with heads of 128 [1].

    The exponentials of a score take as long whatever the size of the head, so that narrow heads
    compute less beside them: on H100 kernels with heads of 64 reach three quarters of what those
    with 128 do, and those with 256 a fifth more.

    size: of a head, mean of keys and values [1].
    """
    return 1.5 * size / (size + 64)


@formula(
    unit="s",
    equation="max(C / F, Q / W) + (1 − overlap) · min(C / F, Q / W)",
    source=("williams2009",),
)
def roofline_time(
    *, flop: Number, rate: Number, moved: Number, speed: Number, overlap: Number
) -> Number:
    """Time of an operation bounded by arithmetic or by memory [s].

    Near the edge, where both take as long, one no longer hides all of the other.

    flop: to do [FLOP].  rate: of the arithmetic [FLOP/s].  moved: bytes read and written [B].
    speed: of the memory [B/s].  overlap: share of the shorter that passes behind the longer [1].
    """
    computing, reading = flop / rate, moved / speed
    return np.maximum(computing, reading) + (1 - overlap) * np.minimum(computing, reading)
