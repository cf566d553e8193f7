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
from eke.economics.unit_cost import RETICLE, STACK_EDGE, WHOLE
from eke.physics import silicon
from eke.types.chip import Chip, Fact
from eke.types.record import Record, replace
from eke.units import show

Shape = Literal["gpu", "systolic", "wafer"]
SHAPES: tuple[Shape, ...] = ("gpu", "systolic", "wafer")
FAMILIES = {"gpu": "blackwell", "systolic": "tpu", "wafer": "wafer"}  # efficiencies they reach
SIZES = (400e-6, 600e-6, 800e-6, 1200e-6, 1600e-6, 2400e-6, 3200e-6)  # of all dies [m2]
MORE_STACKS = (1.0, 2 / 3, 1 / 3)  # over those that fit
LINKS = (100e9, 450e9, 1800e9)  # in the scale-up domain, one direction [B/s]
STORES = (8e6, 32e6, 64e6, 128e6, 256e6)  # memory on the die [B]
WAFER_STORES = (0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75)  # share of a wafer
STREAMS = (150e9, 600e9, 2400e9, 9600e9)  # of a wafer, from external memory and to others [B/s]
STREAM_SIZE = 2.4e15  # of external memory [B]
NETWORK = 50e9  # between domains, one direction [B/s]
DOMAIN = 64
LEAST_MATRIX = 0.05  # of the area, below which a design is none
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


class Cut(Record):
    """What is decided of a chip. area: of all dies [m2].  store: memory on the die [B].  link: to
    the rest of its domain, one direction [B/s]."""

    shape: Shape
    area: float
    stacks: int
    store: float
    link: float

    @property
    def dies(self) -> int:
        """As few as a scanner exposes; a wafer is one."""
        return 1 if self.shape == "wafer" else ceil(self.area / RETICLE - 1e-9)

    @property
    def links(self) -> float:
        """Everything that leaves the chip but memory [B/s]; a wafer has one kind of port."""
        return self.link + (0.0 if self.shape == "wafer" else NETWORK)


class Reached(Record):
    """What a cut then does. peak: 16-bit [FLOP/s].  size, speed: of its memory [B], [B/s]."""

    peak: float
    size: float
    speed: float
    power: float


def blueprints(kit: Kit, shapes: tuple[Shape, ...], budget: float) -> Iterator[Blueprint]:
    """Every design of these shapes within an area. A larger area only adds some."""
    for shape in shapes:
        if shape == "wafer":
            yield from _wafers(kit)
            continue
        for area in SIZES:
            if area <= budget * (1 + 1e-9):
                made = (_package(kit, cut) for cut in _cuts(shape, area))
                yield from (each for each in made if each is not None)


def _cuts(shape: Shape, area: float) -> Iterator[Cut]:
    """All of one size."""
    fit = room_for_stacks(area, ceil(area / RETICLE - 1e-9))
    for stacks in sorted({max(round(share * fit), 1) for share in MORE_STACKS}, reverse=True):
        for link in LINKS:
            for store in STORES:
                yield Cut(shape=shape, area=area, stacks=stacks, store=store, link=link)


def room_for_stacks(area: float, dies: int) -> int:
    """Stacks that fit along the long sides of all dies."""
    return int(dies * 2 * (ASPECT * area / dies) ** 0.5 / STACK_EDGE)


def _package(kit: Kit, cut: Cut) -> Blueprint | None:
    """A die or several with stacks beside them; None where the parts do not fit."""
    areas = _areas(kit, cut)
    matrix = areas["matrix units"]
    if matrix < LEAST_MATRIX * cut.area:
        return None
    whole = cut.stacks * kit.stack_speed
    speed, fed = _fed(kit, cut, whole)
    wanted = matrix / kit.density[cut.shape] * 1e12
    cool = _cool(kit, cut, speed)
    peak = min(wanted, fed, cool)
    if peak <= 0:
        return None
    bound = {
        "memory on the die": fed < wanted or speed < whole,
        "heat": cool < min(wanted, fed),
        "edge of the die": cut.stacks == room_for_stacks(cut.area, cut.dies),
    }
    reached = Reached(
        peak=peak,
        size=cut.stacks * kit.stack_size,
        speed=speed,
        power=_power(kit, cut, peak, speed),
    )
    held = tuple(name for name, holds in bound.items() if holds)
    return _blueprint(kit, cut, areas, reached, held)


def _areas(kit: Kit, cut: Cut) -> dict[str, float]:
    """Of all parts; what the others leave is for matrix units, and may be less than nothing."""
    of = kit.density
    kept = of["cache"] if cut.shape == "gpu" else of["scratch"]
    areas = {
        "memory interface": cut.stacks * (kit.phy + of["controller"]),
        "memory on the die": cut.store / 1e6 * kept,
        "links": cut.links / 1e9 * of["serdes"],
        "rest": cut.area * (of["rest"] + (of["joint"] if cut.dies > 1 else 0.0)),
    }
    return {"matrix units": cut.area - sum(areas.values()), **areas}


def _fed(kit: Kit, cut: Cut, whole: float) -> tuple[float, float]:
    """The speed of memory whose latency is hidden [B/s], and the arithmetic that the tiles kept on
    the die then feed [FLOP/s]. whole: speed of all stacks [B/s]."""
    latency = kit.density["latency"]
    speed = min(whole, float(silicon.hidden_speed(size=cut.store / 2, latency=latency)))
    tiles = cut.store - speed * latency
    return speed, float(silicon.fed_speed(size=tiles, speed=speed, width=WIDTH, work=WORK))


def _blueprint(
    kit: Kit, cut: Cut, areas: dict[str, float], reached: Reached, bound: tuple[str, ...] = ()
) -> Blueprint:
    return Blueprint(
        shape=cut.shape,
        chip=_chip(kit, cut, reached),
        areas=areas,
        dies=cut.dies,
        stacks=cut.stacks,
        store=cut.store,
        bound=bound,
    )


def _power(kit: Kit, cut: Cut, peak: float, speed: float) -> float:
    """At full use [W]. peak: arithmetic [FLOP/s].  speed: of memory [B/s]."""
    of, shape = kit.density, cut.shape
    watts = peak / 1e12 * of[f"{shape}_power"] + cut.links / 1e12 * of["serdes_power"]
    watts += speed / 1e12 * of["local_power" if shape == "wafer" else "memory_power"]
    return watts * (1 + of["rest_power"])


def _cool(kit: Kit, cut: Cut, speed: float) -> float:
    """The arithmetic that a die of this size stands [FLOP/s]."""
    of = kit.density
    others = _power(kit, cut, 0.0, speed)
    watts = of["power_density"] * cut.area - others
    return watts / (of[f"{cut.shape}_power"] * (1 + of["rest_power"])) * 1e12


def slower(kit: Kit, of: Blueprint, clock: float) -> Blueprint:
    """The same silicon at a lower clock, at which each operation takes less energy."""
    chip, whole = of.chip, of.shape == "wafer"
    less = float(silicon.voltage_energy(share=kit.density["voltage"], clock=clock))
    cut = Cut(
        shape=of.shape,
        area=chip.die_area or 0.0,
        stacks=of.stacks,
        store=of.store,
        link=chip.link_speed or 0.0,
    )
    speed = chip.memory_speed or 0.0
    rest = _power(kit, cut, 0.0, 0.0 if whole else speed)
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
            store = share * WHOLE / of["wafer_memory"] * 1e6
            cut = Cut(shape="wafer", area=WHOLE, stacks=0, store=store, link=link)
            areas = {
                "memory on the die": share * WHOLE,
                "links": cut.links / 1e9 * of["serdes"],
                "rest": of["rest"] * WHOLE,
            }
            matrix = WHOLE - sum(areas.values())
            if matrix < LEAST_MATRIX * WHOLE:
                continue
            peak, speed = matrix / of["wafer"] * 1e12, store / 1e6 * of["local_speed"]
            power = _power(kit, cut, peak, speed)
            reached = Reached(peak=peak, size=store, speed=speed, power=power)
            yield _blueprint(kit, cut, {"matrix units": matrix, **areas}, reached)


def _chip(kit: Kit, cut: Cut, reached: Reached) -> Chip:
    """As a record that the physics prices; every number is derived from areas."""
    whole, shape, peak = cut.shape == "wafer", cut.shape, reached.peak
    numbers = {
        "memory_size": (reached.size, "B"),
        "memory_speed": (reached.speed, "B/s"),
        "sram_size": (cut.store, "B"),
        "link_speed": (cut.link, "B/s"),
        "network_speed": (cut.link if whole else NETWORK, "B/s"),
        "power": (reached.power, "W"),
        "die_area": (cut.area, "m2"),
    }
    if whole:
        numbers |= {"stream_size": (STREAM_SIZE, "B"), "stream_speed": (cut.link, "B/s")}
    sizes = f"{cut.area * 1e6:.0f}mm2-{reached.size / 1e9:.0f}GB-{cut.store / 1e6:.0f}MB"
    return Chip(
        id=f"{shape}-{sizes}-{cut.link / 1e9:.0f}GBs",
        name=f"{shape} of {cut.area * 1e6:,.0f} mm2 with {show(reached.size, 'B')}",
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
