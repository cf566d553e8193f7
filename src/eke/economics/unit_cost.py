"""What one chip costs to make: silicon, memory, package and test, from area, yield and learning."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics import silicon
from eke.types.record import Record

DIAMETER, EDGE, SCRIBE = 0.3, 5e-3, 0.2e-3  # of a wafer [m], feng2022
RETICLE = 858e-6  # the largest die that a scanner exposes: 26 mm × 33 mm [m2]
STACK_EDGE = 10.5e-3  # of a die that a stack of HBM takes: H100 has room for six [m]
WHOLE = 0.0462  # the square that fits into a wafer [m2]
REFERENCE = 100_000.0  # chips made at which package and test cost what is quoted


class Making(Record):
    """What making a chip takes: numbers, or arrays of cases.

    area: of one die [m2].  dies: of a package.  whole: one die is all of a wafer.  defects,
    defects_start: per area, of a mature and of a new process [1/m2].  defects_time: in which it
    matures [s].  memory_size: beside the die [B].  package: without what goes into it [USD].
    """

    area: Any
    dies: Any
    stacks: Any
    memory_size: Any
    whole: bool
    defects: Any
    defects_start: Any
    defects_time: Any
    clusters: Any
    repairable: Any
    wafer_price: Any
    memory_price: Any
    package: Any
    bond_yield: Any
    test: Any
    learning: Any


def good_share(making: Making, age: Any) -> Any:
    """Share of dies that can be sold after that long in production."""
    density = silicon.learned_defects(
        first=making.defects_start, mature=making.defects, seconds=age, pace=making.defects_time
    )
    return silicon.clustered_yield(
        area=making.area, defects=density, clusters=making.clusters, share=making.repairable
    )


def dies_of_wafer(making: Making) -> Any:
    """Dies that are cut out of one wafer."""
    if making.whole:
        return 1.0
    return silicon.dies_per_wafer(area=making.area, diameter=DIAMETER, edge=EDGE, scribe=SCRIBE)


def unit_parts(making: Making, age: Any, made: Any) -> dict[str, Any]:
    """Cost of one chip by part [USD]. age: of its production [s].  made: so far."""
    die = silicon.good_die_cost(
        wafer=making.wafer_price, dies=dies_of_wafer(making), good=good_share(making, age)
    )
    learned = silicon.learning_factor(
        made=np.maximum(made, 1.0), reference=REFERENCE, progress=making.learning
    )
    dice, memory = making.dies * die, making.memory_size * making.memory_price
    package = making.package * learned
    lost = silicon.bonding_loss(
        parts=dice + memory + package, bond=making.bond_yield, bonds=making.dies + making.stacks
    )
    return {
        "silicon": dice,
        "memory": memory,
        "package": package + lost,
        "test": making.test * learned,
    }
