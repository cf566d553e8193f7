"""What chips cost and draw while they are held, whatever they do."""

from __future__ import annotations

from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import fleet
from eke.gateway.settings import Chips
from eke.physics.costs import energy_of, price_of
from eke.physics.scenarios import likely


def held(chips: str) -> Chips:
    """What the chips of a text such as "8xh100-sxm" take. Raises EkeError for unknown ones."""
    found = fleet(chips)
    number = rate = power = idle = 0.0
    for pool in found.pools:
        knobs = likely(efficiencies(pool.chip.family, ""))
        work = energy_of(pool, pool.chips, 1.0, knobs) or 0.0
        wait = energy_of(pool, pool.chips, 1.0, knobs, busy=0.0) or 0.0
        rate += float(price_of(pool, pool.chips, 1.0, knobs, work) or 0.0)
        number, power, idle = number + pool.chips, power + float(work), idle + float(wait)
    return Chips(float(number), rate, power, idle)
