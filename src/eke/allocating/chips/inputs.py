"""The numbers a choice of chips rests on: what a file says, what its process and site are like."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from eke.allocating.chips.build_file import die_area
from eke.catalog.efficiencies import efficiencies
from eke.catalog.nodes import FIELDS, PARTS, memory_values, node, node_of, usual
from eke.economics.choice import Market, Program
from eke.economics.laws import DEVIATIONS, likely
from eke.economics.owning import Site
from eke.economics.unit_cost import Making
from eke.errors import BadInput
from eke.types.chip import Chip, Fact
from eke.types.efficiency import Efficiency
from eke.types.record import replace
from eke.types.silicon import Law, Uncertain

Inputs = dict[str, Uncertain]
STACK_AREA = 110e-6  # of a stack of HBM on its interposer [m2]
EFFICIENCY = ("electricity", "pue", "server_power", "power_share", "idle_power")


def site_inputs(said: Mapping[str, Uncertain]) -> Inputs:
    """Of the site and the market."""
    values = efficiencies()
    found = {**usual("site"), **{name: spread(values[name], name) for name in EFFICIENCY}}
    every = {**found, **usual("market")}
    return {name: said.get(name, each) for name, each in every.items()}


def program_inputs(said: Mapping[str, Uncertain], process: str, chip: Chip) -> Inputs:
    """Of designing a chip."""
    values = {**usual("program"), **_node_values(process, chip)}
    return {name: said.get(name, values[name]) for name in PARTS["program"]}


def making_inputs(
    chip: Chip, said: Mapping[str, Uncertain], process: str = "", suffix: str = ""
) -> Inputs:
    """Of making a chip. suffix: that tells names apart from those of another. Raises BadInput for
    a chip of which too little is published."""
    for name in ("die_area", "process") if "area" not in said and not process else ():
        if getattr(chip, name) is None:
            raise BadInput(
                f"nobody has published the {name.replace('_', ' ')} of {chip.id}, so what it costs "
                f"to make cannot be said; add it to a file of your own, or use buy:{chip.id}."
            )
    area, dies = die_area(chip, said)
    stacks = _stacks(chip, said)
    values = {**usual("making"), **_node_values(process, chip)}
    values |= {
        "area": fixed("area", area, "m2", chip.facts.get("die_area")),
        "dies": fixed("dies", dies, "1", None),
        "stacks": fixed("stacks", stacks, "1", None),
        "memory_price": _memory_price(chip, said, stacks),
        "package": _package(chip, area * dies, stacks),
    }
    if chip.kind == "wafer":
        note = "defective cores are routed around"
        whole = Fact(value=1.0, unit="1", source="vendor-pages", kind="published", note=note)
        values["repairable"] = fixed("repairable", 1.0, "1", whole)
        values["bond_yield"] = fixed("bond_yield", 1.0, "1", None)
    names = PARTS["making"]
    every = {name: said.get(name, values[name]) for name in names}
    return {name + suffix: replace(each, name=name + suffix) for name, each in every.items()}


def making_at(chip: Chip, values: Mapping[str, Any], suffix: str = "") -> Making:
    """What making a chip takes where inputs have these values."""
    beside = (chip.memory_size or 0.0) if memory_values(chip.memory_type) else 0.0
    numbers = {name: values[name + suffix] for name in PARTS["making"]}
    return Making(memory_size=beside, whole=chip.kind == "wafer", **numbers)


def site_at(values: Mapping[str, Any]) -> Site:
    """The site where inputs have these values."""
    return Site(**{name: values[name] for name in PARTS["site"]})


def market_at(values: Mapping[str, Any]) -> Market:
    return Market(**{name: values[name] for name in PARTS["market"]})


def program_at(values: Mapping[str, Any]) -> Program:
    return Program(**{name: values[name] for name in PARTS["program"] if name != "ramp"})


def fixed(name: str, value: float, unit: str, fact: Fact | None) -> Uncertain:
    """A number that is not uncertain."""
    return Uncertain(
        name=name,
        law=Law(name="fixed", numbers=(float(value),)),
        unit=unit,
        kind=fact.kind if fact else "derived",
        source=fact.source if fact else "eke-derived",
        note=fact.note if fact else "",
    )


def spread(found: Efficiency, name: str, times: float = 1.0) -> Uncertain:
    """A value of the efficiency tables as an uncertain number, whose ends its interval gives."""
    factor = (found.high / found.low) ** (1 / (2 * DEVIATIONS)) if found.low > 0 else 1.0
    field = FIELDS.get(name)
    return Uncertain(
        name=name,
        law=Law(name="lognormal", numbers=(found.likely * times, max(factor, 1.0))),
        unit=found.unit,
        kind=found.kind,
        source=found.source,
        note=found.note,
        least=field.least if field else 0.0,
        most=field.most if field else 1e30,
    )


def price_input(name: str, price: float, unit: str, fact: Fact | None, quoted: bool) -> Uncertain:
    """A price out of the catalogue with the spread of offers on a date, or the user's own."""
    if quoted:
        said = fixed(name, price, unit, None)
        return replace(said, kind="given", source="you")
    found = spread(efficiencies()["price"], name, price)
    kind, source, note = (fact.kind, fact.source, fact.note) if fact else ("assumed", "eke", "")
    return replace(found, unit=unit, kind=kind, source=source, note=note, least=0.0, most=1e30)


def _node_values(process: str, chip: Chip) -> Inputs:
    return dict(node(process).values if process else node_of(chip.process or 5e-9).values)


def _stacks(chip: Chip, said: Mapping[str, Uncertain]) -> int:
    """Stacks of memory: as many as size and speed take."""
    if "stacks" in said:
        return int(said["stacks"].law.numbers[0])
    values = memory_values(chip.memory_type)
    if "stack_size" not in values:
        return 0
    size, speed = likely(values["stack_size"].law), likely(values["stack_speed"].law)
    least = max((chip.memory_size or 0.0) / size, (chip.memory_speed or 0.0) / speed)
    return ceil(least - 0.02)


def _memory_price(chip: Chip, said: Mapping[str, Uncertain], stacks: int) -> Uncertain:
    values = memory_values(chip.memory_type)
    if values:
        return replace(values["price"], name="memory_price")
    own = "SRAM" in chip.memory_type.upper() or not chip.memory_size
    if not own and "memory_price" not in said:
        raise BadInput(
            f"{chip.id} has {chip.memory_type or 'memory of no known kind'}, for which eke has no "
            "price; give build.memory_price, such as '15 USD/GB', or a kind such as HBM3e."
        )
    return fixed("memory_price", 0.0, "USD/B", None)


def _package(chip: Chip, dice: float, stacks: int) -> Uncertain:
    """An interposer under dies and stacks; a plain substrate where there is no stack."""
    making = usual("making")
    if chip.kind == "wafer":
        return replace(making["wafer_package"], name="package")
    per_area = making["package_price" if stacks else "plain_package"]
    return scaled(replace(per_area, name="package", unit="USD"), dice + STACK_AREA * stacks)


def scaled(found: Uncertain, by: float) -> Uncertain:
    """The same law in numbers that many times as large."""
    law, numbers = found.law, found.law.numbers
    changed = tuple(each * by for each in numbers)
    if law.name == "lognormal":
        changed = (changed[0], numbers[1])
    elif law.name == "chance":
        changed = (numbers[0], changed[1])
    return replace(found, law=replace(law, numbers=changed), most=1e9)
