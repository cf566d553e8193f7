"""Chips: one TOML file each, values written as the maker prints them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from eke.catalog.chip_labels import meant
from eke.catalog.files import all_files, find, read_toml, refuse_other_id, slug
from eke.catalog.sources import source_kind
from eke.errors import BadFile, BadQuantity, UnknownChip, closest
from eke.types.chip import Chip, Fact, Format, SourceKind
from eke.types.record import Record
from eke.units import quantity, show


class Value(Record):
    """A value with its unit in the text, and where it comes from."""

    value: str | float | int
    source: str
    kind: SourceKind | None = None  # where it differs from the source's own
    note: str = ""


class MemoryPart(Record):
    type: str = ""
    size: Value | None = None
    speed: Value | None = None


class SramPart(Record):
    size: Value | None = None


class LinkPart(Record):
    name: str = ""
    speed: Value | None = None
    domain: Value | None = None


class NetworkPart(Record):
    speed: Value | None = None


class PowerPart(Record):
    maximum: Value | None = None


class DiePart(Record):
    area: Value | None = None
    process: Value | None = None


class StreamPart(Record):
    size: Value | None = None
    speed: Value | None = None


class HostPart(Record):
    speed: Value | None = None


class ChipFile(Record):
    """A chip as its file says it; see any file in data/chips for the shape."""

    id: str
    name: str
    vendor: str
    kind: Literal["gpu", "tpu", "asic", "wafer", "npu", "cpu"]
    family: str
    year: int
    aliases: tuple[str, ...] = ()
    notes: str = ""
    peak: dict[Format, Value] = {}
    memory: MemoryPart = MemoryPart()
    sram: SramPart = SramPart()
    link: LinkPart = LinkPart()
    network: NetworkPart = NetworkPart()
    power: PowerPart = PowerPart()
    die: DiePart = DiePart()
    stream: StreamPart = StreamPart()
    host: HostPart = HostPart()


# Chip field: where the file has it, its unit, and the range outside which it is absurd.
FIELDS: dict[str, tuple[str, str, str, float, float]] = {
    "memory_size": ("memory", "size", "B", 1e6, 1e14),
    "memory_speed": ("memory", "speed", "B/s", 1e8, 1e17),
    "sram_size": ("sram", "size", "B", 1e3, 1e12),
    "link_speed": ("link", "speed", "B/s", 1e6, 1e15),
    "domain": ("link", "domain", "1", 1, 1e6),
    "network_speed": ("network", "speed", "B/s", 1e6, 1e14),
    "power": ("power", "maximum", "W", 0.1, 1e6),
    "die_area": ("die", "area", "m2", 1e-7, 0.1),
    "process": ("die", "process", "m", 1e-10, 1e-6),
    "stream_size": ("stream", "size", "B", 1e6, 1e17),
    "stream_speed": ("stream", "speed", "B/s", 1e6, 1e15),
    "host_speed": ("host", "speed", "B/s", 1e6, 1e14),
}
PEAKS = (1e9, 1e19)  # FLOP/s of one chip


def chip(name: str) -> Chip:
    """The chip of that id, alias, label or file. Raises UnknownChip, or BadFile for a bad file."""
    path = _path(name)
    return read_chip(path)


def every_chip() -> list[Chip]:
    """All of them, by id."""
    return [read_chip(path) for path in all_files("chips").values()]


def chip_names() -> list[str]:
    """Every id."""
    return list(all_files("chips"))


def read_chip(path: Path) -> Chip:
    """A chip file as a Chip."""
    read = read_toml(path, ChipFile)
    refuse_other_id(path, read.id, "chips")
    return as_chip(read, path, path.parent.parent)


def as_chip(read: ChipFile, path: Path, folder: Path) -> Chip:
    """A chip as a file says it. folder: of the catalogue it stands in. Raises BadFile."""
    at = path, folder
    facts = {
        f"peak.{name}": _fact(at, f"peak.{name}", value, "FLOP/s", *PEAKS)
        for name, value in read.peak.items()
    }
    for field, (part, name, unit, low, high) in FIELDS.items():
        value = getattr(getattr(read, part), name)
        if value is not None:
            facts[field] = _fact(at, f"{part}.{name}", value, unit, low, high)
    if "domain" in facts and not facts["domain"].value.is_integer():
        raise BadFile(f"{path}: link.domain is {facts['domain'].written!r}; chips are counted.")
    numbers = {name: facts[name].value for name in FIELDS if name in facts and name != "domain"}
    return Chip(
        id=read.id,
        name=read.name,
        vendor=read.vendor,
        kind=read.kind,
        family=read.family,
        year=read.year,
        peak={name: facts[f"peak.{name}"].value for name in read.peak},
        memory_type=read.memory.type,
        link_name=read.link.name,
        domain=int(facts["domain"].value) if "domain" in facts else 1,
        facts=facts,
        notes=read.notes,
        **numbers,
    )


def _fact(
    at: tuple[Path, Path], field: str, found: Value, unit: str, low: float, high: float
) -> Fact:
    """One value as a fact. at: its file, and the folder of the catalogue. Raises BadFile naming
    file and field."""
    path, folder = at
    written = str(found.value)
    try:
        value = quantity(written, unit)
    except BadQuantity as error:
        raise BadFile(f"{path}: {field}: {error}") from None
    if not low <= value <= high:
        raise BadFile(
            f"{path}: {field} is {written!r}; that is absurd: expected between "
            f"{show(low, unit)} and {show(high, unit)}."
        )
    kind = found.kind or cast(SourceKind, source_kind(found.source, folder))
    return Fact(
        value=value, unit=unit, source=found.source, kind=kind, written=written, note=found.note
    )


def _path(name: str) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    path = find("chips", name)
    if path is not None:
        return path
    files = all_files("chips")
    says = meant(name)
    if len(says.ids) == 1 and (not says.sizes or _as_large(files[says.ids[0]], says.sizes)):
        return files[says.ids[0]]
    near = closest(slug(name), files)
    hint = f"; closest: {near}" if near else ""
    raise UnknownChip(f"no chip {name[:60]!r} in the catalogue{hint}. See `eke catalog chips`.")


def _as_large(path: Path, sizes: tuple[str, ...]) -> bool:
    """Whether the chip has one of these memory sizes [GB], to a tenth."""
    size = read_chip(path).memory_size or 0.0
    return any(abs(size - float(each) * 1e9) < 0.1 * size for each in sizes)
