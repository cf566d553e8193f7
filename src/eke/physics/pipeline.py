"""Pipeline schedules: how long stages wait and how many micro-batches they hold."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula

# Bubble over that of 1F1B at equal forward, backward-input and backward-weight times, and
# activations held over those of 1F1B. Source: qi2023 (table of ZB-H1), huang2019 (GPipe).
BUBBLE_SHARE = {"1f1b": 1.0, "interleaved": 1.0, "gpipe": 1.0, "zero-bubble": 1 / 3}


@formula(unit="s", equation="(p − 1) / v · t · share", source=("narayanan2021", "qi2023"))
def bubble_time(
    *, micro_batch_time: Number, stages: Number, virtual: Number, share: Number
) -> Number:
    """Time of a step in which each stage waits [s].

    micro_batch_time: forward and backward of one micro-batch on one stage [s].  stages: of the
    pipeline [1].  virtual: stages per rank when interleaved [1].  share: of the 1F1B bubble that
    the schedule leaves [1].
    """
    return (stages - 1) / virtual * micro_batch_time * share


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
