"""Energy at the meter of the site."""

from __future__ import annotations

from eke.physics.formula import Number, formula


@formula(
    unit="J",
    equation="n P s k PUE t (i + (1 − i) u)",
    source=("epoch2024cost",),
)
def site_energy(
    *,
    chips: Number,
    power: Number,
    seconds: Number,
    busy: Number,
    power_share: Number,
    idle_share: Number,
    server_power: Number,
    pue: Number,
) -> Number:
    """Energy that chips take from the grid, their servers and the site included [J].

    chips: held [1].  power: maximum of one chip [W].  seconds: held [s].  busy: share of the time
    they work [1].  power_share: mean power at work over the maximum [1].  idle_share: power while
    waiting over power at work [1].  server_power: of the server over that of its chips [1].  pue:
    of the site over that of its servers [1].
    """
    at_work = power * power_share * server_power * pue
    return chips * at_work * seconds * (idle_share + (1 - idle_share) * busy)


@formula(unit="kg", equation="energy × intensity", source=("ghgprotocol2015",))
def grid_carbon(*, energy: Number, intensity: Number) -> Number:
    """Greenhouse gases of making electricity, as carbon dioxide that warms as much [kg].

    What building the chips emitted is not in it.

    energy: at the meter of the site [J].  intensity: of the grid, by location [kg/J].
    """
    return energy * intensity
