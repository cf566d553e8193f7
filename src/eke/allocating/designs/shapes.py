"""Ways to spend the area of a chip: each becomes a Chip that the physics can price.

What is left after memory interfaces, memory on the die, links and the rest goes to matrix units.
Memory on the die has three uses here: it hides the latency of the memory beside it (bytes in
flight), it holds the tiles of matrix products, without which the units starve, and it keeps what
one operator hands to the next (see `designs.price`); on a wafer it is the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Literal

from eke.catalog.nodes import densities, memory_values, node
from eke.economics.laws import likely
from eke.economics.unit_cost import RETICLE, WHOLE
from eke.physics import silicon
from eke.types.chip import Chip, Fact
from eke.types.record import Record, replace
from eke.units import show

Shape = Literal["gpu", "systolic", "wafer"]
SHAPES: tuple[Shape, ...] = ("gpu", "systolic", "wafer")
FAMILIES = {
    "gpu": "blackwell",
    "systolic": "tpu",
    "wafer": "wafer",
}  # whose efficiencies they reach
SIZES = (400e-6, 600e-6, 800e-6, 1200e-6, 1600e-6, 2400e-6, 3200e-6)  # of all dies [m2]
MORE_STACKS = (1.0, 2 / 3, 1 / 3)  # over those that fit
LINKS = (100e9, 450e9, 1800e9)  # in the scale-up domain, one direction [B/s]
STORES = (8e6, 32e6, 64e6, 128e6, 256e6)  # memory on the die [B]
WAFER_STORES = (0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75)  # share of a wafer
STREAMS = (150e9, 600e9, 2400e9, 9600e9)  # of a wafer, from external memory and to others [B/s]
STREAM_SIZE = 2.4e15  # of external memory [B]
NETWORK = 50e9  # between domains, one direction [B/s]
DOMAIN = 64
STACK_EDGE = 10.5e-3  # of a die that a stack takes [m]
ASPECT = 1.3  # of the sides of a die; stacks stand along the two long ones
WIDTH = 2.0  # bytes of a number whose tiles are kept
WORK = 1.0  # operations per number moved: two for every two


class Blueprint(Record):
    """One design. areas: of all dies together [m2].  store: memory on the die [B].  bound: what
    keeps it from more: memory on the die and heat hold matrix units back, the edge of the die
    stacks."""

    shape: Shape
    chip: Chip
    areas: dict[str, float]
    dies: int
    stacks: int
    store: float
    bound: tuple[str, ...] = ()
    clock: float = 1.0


class Kit(Record):
    """What parts of a chip take of area and power in a process, likeliest values. stack_*: of one
    stack of memory."""

    process: str
    size: float
    memory: str
    density: Mapping[str, float]
    stack_size: float
    stack_speed: float
    phy: float


def kit(process: str, memory: str) -> Kit:
    """The parts of a process and a kind of memory. Raises Unknown."""
    values, stack = densities(process), memory_values(memory)
    found = node(process)
    return Kit(
        process=found.id,
        size=found.size,
        memory=memory,
        density={name: likely(value.law) for name, value in values.items()},
        stack_size=likely(stack["stack_size"].law),
        stack_speed=likely(stack["stack_speed"].law),
        phy=likely(stack["phy"].law),
    )


def blueprints(kit: Kit, shapes: tuple[Shape, ...], budget: float) -> Iterator[Blueprint]:
    """Every design of these shapes within an area. A larger area only adds some."""
    for shape in shapes:
        if shape == "wafer":
            yield from _wafers(kit)
            continue
        for area in SIZES:
            if area <= budget * (1 + 1e-9):
                yield from _cut(kit, shape, area)


def _cut(kit: Kit, shape: Shape, area: float) -> Iterator[Blueprint]:
    """Designs of one size."""
    dies = ceil(area / RETICLE - 1e-9)
    fit = room_for_stacks(area, dies)
    for stacks in sorted({max(round(share * fit), 1) for share in MORE_STACKS}, reverse=True):
        for link in LINKS:
            for store in STORES:
                made = _package(kit, shape, area, dies, stacks, store, link)
                if made is not None:
                    yield made


def room_for_stacks(area: float, dies: int) -> int:
    """Stacks that fit along the long sides of all dies."""
    return int(dies * 2 * (ASPECT * area / dies) ** 0.5 / STACK_EDGE)


def _package(
    kit: Kit, shape: Shape, area: float, dies: int, stacks: int, store: float, link: float
) -> Blueprint | None:
    """A die or several with stacks beside them; None where the parts do not fit."""
    of = kit.density
    kept = of["cache"] if shape == "gpu" else of["scratch"]
    areas = {
        "memory interface": stacks * (kit.phy + of["controller"]),
        "memory on the die": store / 1e6 * kept,
        "links": (link + NETWORK) / 1e9 * of["serdes"],
        "rest": area * (of["rest"] + (of["joint"] if dies > 1 else 0.0)),
    }
    matrix = area - sum(areas.values())
    if matrix < 0.05 * area:
        return None
    areas = {"matrix units": matrix, **areas}
    speed = min(
        stacks * kit.stack_speed,
        float(silicon.hidden_speed(size=store / 2, latency=of["latency"])),
    )
    tiles = store - speed * of["latency"]
    fed = silicon.fed_speed(size=tiles, speed=speed, width=WIDTH, work=WORK)
    wanted = matrix / of[shape] * 1e12
    peak = min(wanted, float(fed))
    starved = peak < wanted or speed < stacks * kit.stack_speed
    cool = _cool(kit, shape, area, speed, link + NETWORK)
    hot, peak = peak > cool, min(peak, cool)
    if peak <= 0:
        return None
    power = _power(kit, shape, peak, speed, link + NETWORK)
    bound = {
        "memory on the die": starved,
        "heat": hot,
        "edge of the die": stacks == room_for_stacks(area, dies),
    }
    chip = _chip(kit, shape, area, peak, power, stacks * kit.stack_size, speed, store, link)
    return Blueprint(
        shape=shape,
        chip=chip,
        areas=areas,
        dies=dies,
        stacks=stacks,
        store=store,
        bound=tuple(name for name, holds in bound.items() if holds),
    )


def _power(kit: Kit, shape: Shape, peak: float, speed: float, links: float) -> float:
    of = kit.density
    watts = peak / 1e12 * of[f"{shape}_power"] + links / 1e12 * of["serdes_power"]
    watts += speed / 1e12 * of["local_power" if shape == "wafer" else "memory_power"]
    return watts * (1 + of["rest_power"])


def _cool(kit: Kit, shape: Shape, area: float, speed: float, links: float) -> float:
    """The arithmetic that a die of this size stands [FLOP/s]."""
    of = kit.density
    others = _power(kit, shape, 0.0, speed, links)
    watts = of["power_density"] * area - others
    return watts / (of[f"{shape}_power"] * (1 + of["rest_power"])) * 1e12


def slower(kit: Kit, of: Blueprint, clock: float) -> Blueprint:
    """The same silicon at a lower clock, at which each operation takes less energy."""
    chip, shape = of.chip, of.shape
    less = float(silicon.voltage_energy(share=kit.density["voltage"], clock=clock))
    whole = shape == "wafer"
    links = (chip.link_speed or 0.0) + (0.0 if whole else NETWORK)
    speed = chip.memory_speed or 0.0
    rest = _power(kit, shape, 0.0, 0.0 if whole else speed, links)
    power = rest + ((chip.power or 0.0) - rest) * clock * less
    slow = replace(
        chip,
        id=f"{chip.id}-clock{100 * clock:.0f}",
        peak={name: value * clock for name, value in chip.peak.items()},
        power=power,
        memory_speed=speed * clock if whole else speed,  # memory on a wafer runs at its clock
        facts=chip.facts | {"power": replace(chip.facts["power"], value=power)},
    )
    bound = tuple(name for name in of.bound if name != "heat")
    return replace(of, chip=slow, bound=bound, clock=clock)


def _wafers(kit: Kit) -> Iterator[Blueprint]:
    """Whole wafers: memory is on them, and weights may stream through."""
    of = kit.density
    for share in WAFER_STORES:
        for link in STREAMS:
            areas = {
                "memory on the die": share * WHOLE,
                "links": link / 1e9 * of["serdes"],
                "rest": of["rest"] * WHOLE,
            }
            matrix = WHOLE - sum(areas.values())
            if matrix < 0.05 * WHOLE:
                continue
            store = areas["memory on the die"] / of["wafer_memory"] * 1e6
            peak = matrix / of["wafer"] * 1e12
            speed = store / 1e6 * of["local_speed"]
            power = _power(kit, "wafer", peak, speed, link)
            chip = _chip(kit, "wafer", WHOLE, peak, power, store, speed, store, link)
            yield Blueprint(
                shape="wafer",
                chip=chip,
                areas={"matrix units": matrix, **areas},
                dies=1,
                stacks=0,
                store=store,
            )


def _chip(
    kit: Kit,
    shape: Shape,
    area: float,
    peak: float,
    power: float,
    size: float,
    speed: float,
    store: float,
    link: float,
) -> Chip:
    """As a record that the physics prices; every number is derived from areas."""
    whole = shape == "wafer"
    numbers = {
        "memory_size": (size, "B"),
        "memory_speed": (speed, "B/s"),
        "sram_size": (store, "B"),
        "link_speed": (link, "B/s"),
        "network_speed": (link if whole else NETWORK, "B/s"),
        "power": (power, "W"),
        "die_area": (area, "m2"),
    }
    if whole:
        numbers |= {"stream_size": (STREAM_SIZE, "B"), "stream_speed": (link, "B/s")}
    name = f"{shape}-{area * 1e6:.0f}mm2-{size / 1e9:.0f}GB-{store / 1e6:.0f}MB-{link / 1e9:.0f}GBs"
    return Chip(
        id=name,
        name=f"{shape} of {area * 1e6:,.0f} mm2 with {show(size, 'B')}",
        vendor="you",
        kind="wafer" if whole else "gpu" if shape == "gpu" else "asic",
        family=FAMILIES[shape],
        year=2026,
        peak={"bf16": peak, "fp16": peak, "fp8": 2 * peak, "int8": 2 * peak},
        memory_type="on-wafer SRAM" if whole else kit.memory,
        domain=16 if whole else DOMAIN,
        process=kit.size,
        facts={field: _derived(*value) for field, value in numbers.items()},
        **{field: value for field, (value, _) in numbers.items()},  # type: ignore[arg-type]
    )


def _derived(value: float, unit: str) -> Fact:
    return Fact(value=value, unit=unit, source="eke-derived", kind="derived")
