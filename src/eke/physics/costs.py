"""Energy, carbon and money of chips held for a while."""

from __future__ import annotations

from typing import Any

from eke.physics import energy, money
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool


def energy_of(pool: Pool, chips: Any, seconds: Any, knobs: Knobs, busy: Any = 1.0) -> Any:
    """Energy at the site's meter for chips held that long [J]; None if no power is published."""
    if pool.chip.power is None:
        return None
    return energy.site_energy(
        chips=chips,
        power=pool.chip.power,
        seconds=seconds,
        busy=busy,
        power_share=knobs.power_share,
        idle_share=knobs.idle_power,
        server_power=pool.server_power or knobs.server_power,
        pue=pool.pue or knobs.pue,
    )


def carbon_of(pool: Pool, energy_used: Any, knobs: Knobs) -> Any:
    """Carbon dioxide emitted for that energy [kg]; None if the energy is not known."""
    if energy_used is None:
        return None
    intensity = knobs.carbon if pool.carbon is None else pool.carbon  # a grid may emit nothing
    return energy.grid_carbon(energy=energy_used, intensity=intensity)


def price_of(pool: Pool, chips: Any, seconds: Any, knobs: Knobs, energy_used: Any) -> Any:
    """Money for chips held that long [USD]; None without a price.

    Rent includes everything; bought chips are written off in a straight line over their life,
    and their energy is paid.
    """
    spread = 1.0 if pool.quoted else knobs.price
    if pool.rent is not None:
        return money.rent_cost(chips=chips, seconds=seconds, rent=pool.rent * spread)
    if pool.buy is None or energy_used is None:
        return None
    capital = money.straight_line_cost(
        chips=chips, seconds=seconds, price=pool.buy * spread, life=pool.life
    )
    return capital + energy_used * (pool.electricity or knobs.electricity)
