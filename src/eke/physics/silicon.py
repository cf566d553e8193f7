"""What a chip costs to make: dies per wafer, yield, package, and design over volume."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula


@formula(
    unit="1",
    equation="π (d/2 − e)² / A′ − π (d − 2 e) / √(2 A′), A′ = A + 2 k √A + k²",
    source=("feng2022",),
)
def dies_per_wafer(*, wafer: Number, edge: Number, scribe: Number, area: Number) -> Number:
    """Whole dies on a round wafer [1].

    wafer: diameter [m].  edge: width left unused at the rim [m].  scribe: width of the saw line
    [m].  area: of one die [m2].
    """
    d, e, k, A = wafer, edge, scribe, area
    cut = A + 2 * k * np.sqrt(A) + k * k
    return np.pi * (d / 2 - e) ** 2 / cut - np.pi * (d - 2 * e) / np.sqrt(2 * cut)


@formula(unit="1", equation="(1 + A D₀ / c)^(−c)", source=("feng2022",))
def die_yield(*, area: Number, defects: Number, clustering: Number) -> Number:
    """Share of good dies, defects in clusters (negative binomial) [1].

    area: of one die [m2].  defects: per area [1/m2].  clustering: parameter; large means
    independent defects [1].
    """
    return (1 + area * defects / clustering) ** (-clustering)


@formula(unit="USD", equation="N / V + R", source=("eke-derived",))
def unit_cost(*, design_cost: Number, volume: Number, making_cost: Number) -> Number:
    """Cost of one chip with its share of the design [USD].

    design_cost: of the whole programme [USD].  volume: chips made [1].  making_cost: of one chip
    [USD].
    """
    return design_cost / volume + making_cost
