"""What having a chip costs per second: written off, powered, housed, mended."""

from __future__ import annotations

from typing import Any

from eke.physics import energy, ownership
from eke.types.record import Record


class Site(Record):
    """Where chips stand and what capital costs; see catalog/nodes.py for each. Numbers, or arrays
    of cases."""

    life: Any
    residual: Any
    server: Any
    building: Any
    building_life: Any
    staff: Any
    failures: Any
    spares: Any
    load: Any
    discount: Any
    electricity: Any
    pue: Any
    server_power: Any
    power_share: Any
    idle_power: Any


def site_power(site: Site, power: Any) -> Any:
    """Mean power at the meter of the site of one chip [W]. power: its maximum [W]."""
    return energy.site_energy(
        chips=1.0,
        power=power,
        seconds=1.0,
        busy=site.load,
        power_share=site.power_share,
        idle_share=site.idle_power,
        server_power=site.server_power,
        pue=site.pue,
    )


def capital(site: Site, price: dict[str, Any]) -> dict[str, Any]:
    """Payments per second for a chip of these parts, and for replacing those that fail [USD/s]."""
    recovery = ownership.capital_recovery(life=site.life, rate=site.discount, share=site.residual)
    paid = {name: part * recovery for name, part in price.items()}
    return {**paid, "failures": site.failures * sum(price.values())}


def server(site: Site, power: Any) -> Any:
    """Payments per second for a chip's share of board, host and network [USD/s]."""
    recovery = ownership.capital_recovery(life=site.life, rate=site.discount, share=0.0)
    return site.server * power * recovery


def housing(site: Site, power: Any) -> dict[str, Any]:
    """Payments per second for the power of a chip and the room that goes with it [USD/s]."""
    recovery = ownership.capital_recovery(life=site.building_life, rate=site.discount, share=0.0)
    peak = power * site.server_power * site.pue
    return {
        "energy": site_power(site, power) * site.electricity,
        "site": site.building * peak * recovery + site.staff,
    }
