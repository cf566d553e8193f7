"""What a chip that its owner makes costs and draws at the site, per second."""

from __future__ import annotations

from collections.abc import Mapping

from eke.allocating.chips.inputs import (
    fixed,
    making_at,
    making_inputs,
    program_inputs,
    site_at,
    site_inputs,
)
from eke.catalog.nodes import YEAR
from eke.economics.choice import MATURE
from eke.economics.laws import point
from eke.economics.owning import Site, capital, housing, server, site_power
from eke.economics.unit_cost import unit_parts
from eke.errors import BadInput
from eke.physics.silicon import fixed_share
from eke.types.chip import Chip
from eke.types.record import Record
from eke.types.silicon import Uncertain

PRODUCED = 4.0  # years over whose volume a design is spread


class Costs(Record):
    """What chips cost beside their speed. fixed: per chip [USD]: design, masks and software."""

    site: Site
    fixed: float


def costs_of(said: Mapping[str, Uncertain], process: str, pieces: float | None) -> Costs:
    """The likeliest site. pieces: chips over which the design is spread, where it is."""
    values = point(site_inputs(said))
    once = 0.0
    if pieces is not None:
        spent = point(program_inputs(said, process, _any_chip()))
        years = spent["development"] / YEAR + PRODUCED
        team = spent["software_team"] * years * YEAR
        whole = spent["nre"] + spent["respins"] * spent["masks"] + team
        once = float(fixed_share(fixed=whole, pieces=pieces))
    return Costs(site=site_at(values), fixed=once)


def _any_chip() -> Chip:
    return Chip(id="any", name="", vendor="", kind="asic", family="any", year=2026, peak={})


class Flow(Record):
    """What a chip costs and draws [USD/s], [W], and to make, by part [USD]. load: over the peak."""

    dollars: float
    watts: float
    unit: dict[str, float]
    load: float


def flow_of(chip: Chip, stacks: int | None, costs: Costs) -> Flow:
    """Of a chip that its owner makes."""
    said = {} if stacks is None else {"stacks": fixed("stacks", stacks, "1", None)}
    values = point(making_inputs(chip, said))
    making = making_at(chip, values)
    unit = {name: float(part) for name, part in unit_parts(making, MATURE, 1e5).items()}
    if costs.fixed:
        unit["design"] = costs.fixed
    if chip.power is None:
        raise BadInput(f"nobody has published the power of {chip.id}, so it cannot be compared.")
    site, power = costs.site, chip.power
    paid = {**capital(site, unit), "server": server(site, power), **housing(site, power)}
    spare = 1 + site.spares
    return Flow(
        dollars=float(sum(paid.values())) * spare,
        watts=float(site_power(site, power)),
        unit=unit,
        load=float(site.load),
    )
