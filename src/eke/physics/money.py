"""Money for chips, by the hour or written off."""

from __future__ import annotations

from eke.physics.formula import Number, formula


@formula(unit="USD", equation="n t r", source=("eke-derived",))
def rent_cost(*, chips: Number, seconds: Number, rent: Number) -> Number:
    """Cost of renting chips [USD].

    chips: held [1].  seconds: held [s].  rent: per chip [USD/s].
    """
    return chips * seconds * rent


@formula(unit="USD", equation="n t P / L", source=("epoch2024cost",))
def straight_line_cost(*, chips: Number, seconds: Number, price: Number, life: Number) -> Number:
    """Cost of chips one owns, written off evenly over their life [USD].

    chips: held [1].  seconds: held [s].  price: of one chip with its share of the rest [USD].
    life: over which it is written off [s].
    """
    return chips * seconds * price / life
