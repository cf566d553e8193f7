"""Processes, memories and packages of chips, and what is usual of their programmes: nodes.toml."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import cast

from eke.catalog.files import folders, read_toml
from eke.catalog.sources import source_kind
from eke.catalog.uncertain import law
from eke.errors import BadFile, BadQuantity, Unknown, closest
from eke.types.chip import SourceKind
from eke.types.record import Record
from eke.types.silicon import Law, Node, Uncertain
from eke.units import quantity, show

YEAR = 365.25 * 86400.0


class Field(Record):
    """What a value is: its base unit, in which part of a file it stands, and between what it
    makes sense."""

    unit: str
    least: float
    most: float
    means: str


_MAKING = {
    "area": Field(unit="m2", least=1e-7, most=0.1, means="of one die"),
    "dies": Field(unit="1", least=1, most=64, means="dies of a package"),
    "stacks": Field(unit="1", least=0, most=64, means="stacks of memory"),
    "defects": Field(unit="1/m2", least=1, most=1e5, means="per area, of a mature process"),
    "defects_start": Field(unit="1/m2", least=1, most=1e5, means="of a new one"),
    "defects_time": Field(unit="s", least=1e5, most=1e9, means="in which it matures"),
    "clusters": Field(unit="1", least=0.5, most=1e4, means="how evenly defects fall"),
    "repairable": Field(unit="1", least=0, most=1, means="share of a die with spares"),
    "wafer_price": Field(unit="USD", least=50, most=1e6, means="of one wafer"),
    "memory_price": Field(unit="USD/B", least=0, most=1e-6, means="of memory beside the die"),
    "package": Field(unit="USD", least=0, most=1e7, means="without what goes into it"),
    "bond_yield": Field(unit="1", least=0.3, most=1, means="share of bonds that succeed"),
    "test": Field(unit="USD", least=0, most=1e6, means="testing and assembling a chip"),
    "learning": Field(unit="1", least=0.5, most=1, means="cost after twice as many, over before"),
}
_PROGRAM = {
    "nre": Field(unit="USD", least=0, most=1e11, means="designing the chip"),
    "masks": Field(unit="USD", least=0, most=1e9, means="of one set"),
    "respins": Field(unit="1", least=0, most=10, means="further sets of masks"),
    "respin_time": Field(unit="s", least=0, most=5 * YEAR, means="what a respin delays"),
    "development": Field(unit="s", least=0, most=15 * YEAR, means="until the first chips"),
    "delay": Field(unit="s", least=0, most=15 * YEAR, means="beyond that, respins apart"),
    "software": Field(unit="1", least=0.01, most=1.5, means="share of the predicted speed"),
    "software_start": Field(unit="1", least=0.01, most=1.5, means="at the first chips"),
    "software_time": Field(unit="s", least=1e5, most=20 * YEAR, means="in which it matures"),
    "software_team": Field(unit="USD/s", least=0, most=1e3, means="from the start to the end"),
    "ramp": Field(unit="1", least=0.01, most=1, means="share of the volume in the first year"),
}
_SITE = {
    "life": Field(unit="s", least=0.25 * YEAR, most=30 * YEAR, means="of a chip"),
    "residual": Field(unit="1", least=0, most=0.95, means="share of its price that is left"),
    "server": Field(unit="USD/W", least=0, most=1e4, means="board, host, network per chip power"),
    "building": Field(unit="USD/W", least=0, most=1e4, means="per power of the site"),
    "building_life": Field(unit="s", least=YEAR, most=60 * YEAR, means="of the building"),
    "staff": Field(unit="USD/s", least=0, most=1, means="per chip"),
    "failures": Field(unit="1/s", least=0, most=1 / YEAR, means="chips replaced per chip"),
    "spares": Field(unit="1", least=0, most=1, means="chips that stand by"),
    "load": Field(unit="1", least=0.01, most=1, means="tokens served over those at the peak"),
    "discount": Field(unit="1/s", least=0, most=1 / YEAR, means="interest"),
    "electricity": Field(unit="USD/J", least=0, most=1e-6, means="price"),
    "pue": Field(unit="1", least=1, most=5, means="power of the site over its servers"),
    "server_power": Field(unit="1", least=1, most=5, means="power of servers over chips"),
    "power_share": Field(unit="1", least=0.05, most=1.5, means="power at work over maximum"),
    "idle_power": Field(unit="1", least=0, most=1, means="power waiting over at work"),
}
_MARKET = {
    "price_trend": Field(unit="1/s", least=-1 / YEAR, most=2 / YEAR, means="prices fall by"),
    "energy_trend": Field(unit="1/s", least=-1 / YEAR, most=2 / YEAR, means="energy falls by"),
}
PARTS = {"making": _MAKING, "program": _PROGRAM, "site": _SITE, "market": _MARKET}
FIELDS = {name: field for part in PARTS.values() for name, field in part.items()}
_AREA = Field(unit="USD/m2", least=0, most=1e9, means="of a package, per area")
OTHERS = {
    "package_price": _AREA,
    "plain_package": _AREA,
    "wafer_package": FIELDS["package"],
    "price": FIELDS["memory_price"],
    "phy": Field(unit="m2", least=1e-9, most=1e-3, means="on the die, of one stack"),
    "stack_size": Field(unit="B", least=1e6, most=1e13, means="of one stack"),
    "stack_speed": Field(unit="B/s", least=1e6, most=1e15, means="of one stack"),
}


_PART = Field(unit="m2", least=1e-10, most=1e-3, means="of the die")
_POWER = Field(unit="W", least=1e-3, most=1e4, means="at full use")
_SHARE = Field(unit="1", least=0, most=0.5, means="of the whole")
DENSITIES = {
    **dict.fromkeys(("gpu", "systolic", "wafer", "cache", "scratch"), _PART),
    **dict.fromkeys(("wafer_memory", "serdes", "controller"), _PART),
    "local_power": _POWER,
    **dict.fromkeys(("gpu_power", "systolic_power", "wafer_power", "serdes_power"), _POWER),
    **dict.fromkeys(("rest", "joint", "rest_power"), _SHARE),
    "memory_power": _POWER,
    "voltage": Field(unit="1", least=0.1, most=1, means="at no clock, over the full one"),
    "power_density": Field(unit="W/m2", least=1e3, most=1e8, means="of a die"),
    "latency": Field(unit="s", least=1e-9, most=1e-4, means="of memory"),
    "local_speed": Field(unit="B/s", least=1e6, most=1e15, means="of 1 MB on the die"),
}


class Said(Record):
    """A value as a file says it: a quantity or a distribution, and where it comes from."""

    value: str | float | int
    source: str
    kind: SourceKind | None = None
    note: str = ""


class _NodeFile(Record):
    size: str
    also: tuple[str, ...] = ()
    values: dict[str, Said] = {}


class _NodesFile(Record):
    nodes: dict[str, _NodeFile] = {}
    memories: dict[str, dict[str, Said]] = {}
    usual: dict[str, dict[str, Said]] = {}
    densities: dict[str, dict[str, Said]] = {}


def node(name: str) -> Node:
    """The process of that id or size, such as n5 or "5 nm". Raises Unknown, or BadFile."""
    every = _nodes()
    word = name.strip().casefold().replace(" ", "")
    for each, sizes in every.values():
        if word in (each.id, *(size.replace(" ", "") for size in sizes)):
            return each
    near = closest(word, every)
    hint = f"; closest: {near}" if near else ""
    raise Unknown(f"no process {name[:40]!r}{hint}. There are {', '.join(every)}.")


def node_of(size: float) -> Node:
    """The process whose name is nearest to a length [m]."""
    every = [
        (abs(quantity(said, "m") - size), each)
        for each, sizes in _nodes().values()
        for said in sizes
    ]
    return min(every, key=lambda row: row[0])[1]


def memory_values(kind: str) -> dict[str, Uncertain]:
    """Price and stacks of a kind of memory, by its name on data sheets; {} where none is sold
    beside a die."""
    word = kind.casefold().replace(" ", "")
    found = _tables("memories")
    known = sorted(found, key=len, reverse=True)
    name = next((each for each in known if word.startswith(each)), None)
    return found[name] if name else {}


def usual(part: str) -> dict[str, Uncertain]:
    """What is usual of a part: making, program, site or market."""
    return _tables("usual").get(part, {})


def densities(process: str) -> dict[str, Uncertain]:
    """Area and power of the parts of a chip of that process. Raises Unknown where nobody knows."""
    tables = _tables("densities")
    id = node(process).id
    if id not in tables:
        known = ", ".join(name for name in tables if name != "any")
        raise Unknown(f"nothing is known of how densely {id} packs; designs are of {known}.")
    return {**tables["any"], **tables[id]}


def uncertain(name: str, said: Said, where: str, folder: Path, field: Field | None) -> Uncertain:
    """One value with its law. Raises BadFile naming file and field."""
    if field is None:
        known = {**FIELDS, **OTHERS}
        near = closest(name, known)
        hint = f". Did you mean {near}?" if near else f". Known: {', '.join(known)}"
        raise BadFile(f"{where} is nothing eke reads{hint}.")
    try:
        found = law(said.value, field.unit)
    except BadQuantity as error:
        raise BadFile(f"{where}: {error}") from None
    check_within(found, field, where, str(said.value))
    return Uncertain(
        name=name,
        law=found,
        unit=field.unit,
        kind=said.kind or cast(SourceKind, source_kind(said.source, folder)),
        source=said.source,
        written=str(said.value),
        note=said.note,
        least=field.least,
        most=field.most,
    )


def check_within(found: Law, field: Field, where: str, written: str) -> None:
    """Refuse numbers that make no sense. Raises BadFile."""
    values = found.numbers
    if found.name in ("normal", "lognormal"):
        values = found.numbers[:1]
    elif found.name == "chance":
        values = (found.numbers[1],)
    for value in values:
        if not field.least <= value <= field.most:
            low, high = shown(field.least, field.unit), shown(field.most, field.unit)
            raise BadFile(
                f"{where} is {written!r}; {field.means}: expected between {low} and {high}."
            )


def shown(value: float, unit: str) -> str:
    """A value as people write it."""
    if unit == "1/m2":
        return f"{value * 1e-4:.3g}/cm2"
    if unit == "1/s":
        return f"{value * YEAR:.3g}/yr" if value * YEAR >= 10 else f"{100 * value * YEAR:.3g} %/yr"
    if unit == "USD/s":
        return f"{show(value * YEAR, 'USD')}/yr"
    if unit == "USD/B":
        return f"{value * 1e9:.3g} USD/GB"
    if unit == "m2":
        return f"{value * 1e6:.4g} mm2"
    return show(value, unit)


@lru_cache
def _read(folder: Path) -> _NodesFile:
    path = folder / "nodes.toml"
    found = read_toml(path, _NodesFile) if path.is_file() else _NodesFile()
    for id, said in found.nodes.items():
        for size in (said.size, *said.also):
            try:
                quantity(size, "m")
            except BadQuantity as error:
                raise BadFile(f"{path}: nodes.{id}.size: {error}") from None
    return found


def _nodes() -> dict[str, tuple[Node, tuple[str, ...]]]:
    """Every process with the sizes it goes by; not to be changed by those who ask."""
    return _nodes_in(tuple(reversed(folders())))


@lru_cache
def _nodes_in(places: tuple[Path, ...]) -> dict[str, tuple[Node, tuple[str, ...]]]:
    """A user's own values win one by one."""
    found: dict[str, tuple[Node, tuple[str, ...]]] = {}
    for folder in places:
        for id, said in _read(folder).nodes.items():
            where = f"{folder / 'nodes.toml'}: nodes.{id}.values"
            values = _values(said.values, where, folder, {**_MAKING, **_PROGRAM})
            before = found[id][0].values if id in found else {}
            made = Node(id=id, size=quantity(said.size, "m"), values={**before, **values})
            found[id] = made, (said.size, *said.also)
    return found


def _tables(part: str) -> dict[str, dict[str, Uncertain]]:
    """Of a part of the file, by name; not to be changed by those who ask."""
    return _tables_in(part, tuple(reversed(folders())))


@lru_cache
def _tables_in(part: str, places: tuple[Path, ...]) -> dict[str, dict[str, Uncertain]]:
    found: dict[str, dict[str, Uncertain]] = {}
    for folder in places:
        for name, said in getattr(_read(folder), part).items():
            where = f"{folder / 'nodes.toml'}: {part}.{name}"
            values = _values(said, where, folder, {**FIELDS, **OTHERS, **DENSITIES})
            found[name] = {**found.get(name, {}), **values}
    return found


def _values(
    said: dict[str, Said], where: str, folder: Path, known: dict[str, Field]
) -> dict[str, Uncertain]:
    return {
        name: uncertain(name, each, f"{where}.{name}", folder, known.get(name))
        for name, each in said.items()
    }


def said_in(folder: Path) -> Iterator[tuple[str, str, Said, dict[str, Field]]]:
    """Every value of a folder's file: its place and name, what is said, and what may be there."""
    read = _read(folder)
    for id, node_said in read.nodes.items():
        for name, said in node_said.values.items():
            yield f"nodes.{id}.values", name, said, {**_MAKING, **_PROGRAM}
    for part in ("memories", "usual", "densities"):
        for at, values in getattr(read, part).items():
            for name, said in values.items():
                yield f"{part}.{at}", name, said, {**FIELDS, **OTHERS, **DENSITIES}
