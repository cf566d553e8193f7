"""Numbers that grow, quarter by quarter, in every case."""

from __future__ import annotations

import numpy as np

from eke.allocating.forecast_cases import Array, Cases
from eke.physics.demand import bass_share, bass_years, grown, logistic_users
from eke.types.forecast import Path


def along(cases: Cases, name: str, path: Path, years: float) -> Array:
    """The number after so many years. One that is at its ceiling, or above it, stays there."""
    now = cases[name]
    growth = cases[f"{name} growth"] if path.growth is not None else 0.0
    if path.ceiling is None:
        return grown(now=now, growth=growth, years=years)
    ceiling = np.maximum(cases[f"{name} ceiling"], now)
    if path.innovation is None:
        return logistic_users(ceiling=ceiling, now=now, growth=growth, years=years)
    p, q = cases[f"{name} innovation"], cases[f"{name} imitation"]
    share = np.minimum(now / ceiling, 1 - 1e-9)
    begun = bass_years(innovation=p, imitation=q, share=share)
    return ceiling * bass_share(innovation=p, imitation=q, years=begun + years)
