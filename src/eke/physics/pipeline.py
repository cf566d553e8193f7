"""Pipeline schedules: how long stages wait and how many micro-batches they hold."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula


@formula(unit="s", equation="(p − 1) / v · t", source=("narayanan2021", "huang2019"))
def bubble_time(*, micro_batch_time: Number, stages: Number, virtual: Number) -> Number:
    """Time of a step in which each stage waits under 1F1B, interleaved or not, and GPipe [s].

    micro_batch_time: forward and backward of one micro-batch on one stage [s].  stages: of the
    pipeline [1].  virtual: stages per rank when interleaved [1].
    """
    return (stages - 1) / virtual * micro_batch_time


@formula(
    unit="s",
    equation="max((p − 1) max(F, B) + (p − 1 − k) min(F, B), (p − 1)(F + B) − k W),"
    " k = min(m, p) − 1",
    source=("qi2023", "eke-derived"),
)
def zero_bubble_time(
    *,
    forward: Number,
    backward: Number,
    weight: Number,
    stages: Number,
    micro_batches: Number,
) -> Number:
    """Time of a step in which each stage waits under ZB-H1 [s]: with as many micro-batches as
    stages or more (p − 1)(F + B − W), as published, but no less than the way there or back.

    forward, backward, weight: of one micro-batch on one stage, the backward pass without and the
    gradients of the weights alone [s].  stages: of the pipeline [1].  micro_batches: per step [1].
    """
    F, B, W, p = forward, backward, weight, stages
    k = np.minimum(micro_batches, p) - 1
    longer, shorter = np.maximum(F, B), np.minimum(F, B)
    return np.maximum((p - 1) * longer + (p - 1 - k) * shorter, (p - 1) * (F + B) - k * W)


@formula(unit="1", equation="(p − 1) / (v m + p − 1)", source=("narayanan2021",))
def bubble_share(*, stages: Number, virtual: Number, micro_batches: Number) -> Number:
    """Share of the whole step spent waiting [1].

    stages: of the pipeline [1].  virtual: stages per rank [1].  micro_batches: per step [1].
    """
    p, v, m = stages, virtual, micro_batches
    return (p - 1) / (v * m + p - 1)


@formula(
    unit="1",
    equation="min(m, p) (1 + (p − 1)/(p v) [v > 1])",
    source=("korthikanti2022", "narayanan2021"),
)
def one_f_one_b_in_flight(*, micro_batches: Number, stages: Number, virtual: Number) -> Number:
    """Micro-batches whose activations the first stage holds under 1F1B [1].

    micro_batches: per step [1].  stages: of the pipeline [1].  virtual: stages per rank [1].
    """
    m, p, v = micro_batches, stages, virtual
    more = 1 + (p - 1) / (p * v) * (np.asarray(v) > 1)
    return np.minimum(np.minimum(m, p) * more, m)


def micro_batches_in_flight(
    *, schedule: str, micro_batches: Number, stages: Number, virtual: Number
) -> Number:
    """Micro-batches whose activations the first stage holds; all of them under GPipe."""
    if schedule == "gpipe":
        return micro_batches
    return one_f_one_b_in_flight(micro_batches=micro_batches, stages=stages, virtual=virtual)
