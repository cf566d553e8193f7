"""Query-key pairs: what the attention core costs and reads."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula


@formula(
    unit="1",
    equation="Σ min(i, w) for i = S+1 … S+P",
    source=("narayanan2021",),
)
def causal_pairs(*, new: Number, cached: Number, window: Number) -> Number:
    """Query-key pairs of one sequence under a causal mask [1].

    Each of the `new` positions sees itself and everything before it, at most `window` positions.

    new: positions computed now [1].  cached: positions before them [1].  window: how far back a
    position sees, itself included [1].
    """
    P, S, w = new, cached, window
    growing = np.clip(w - S, 0, P)  # positions that still see everything
    return growing * S + growing * (growing + 1) / 2 + (P - growing) * np.minimum(w, P + S)


@formula(unit="1", equation="P (P + S)", source=("vaswani2017",))
def full_pairs(*, new: Number, cached: Number) -> Number:
    """Query-key pairs of one sequence without a mask [1].

    new: positions computed now [1].  cached: positions before them [1].
    """
    return new * (new + cached)
