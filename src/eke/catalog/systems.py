"""Systems: servers, pods and clusters as somebody has built them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from eke.catalog.chips import Value
from eke.catalog.files import all_files, find, read_toml, refuse_other_id, slug
from eke.catalog.sources import source_kind
from eke.errors import BadFile, BadQuantity, UnknownSystem, closest
from eke.types.chip import Fact, SourceKind, System
from eke.types.record import Record
from eke.units import quantity

UNITS = {
    "chips": "1",
    "per_node": "1",
    "domain": "1",
    "link_speed": "B/s",
    "network_speed": "B/s",
    "host_memory": "B",
    "node_power": "W",
    "power": "W",
    "pue": "1",
    "cost": "USD",
}


COUNTS = ("chips", "per_node", "domain")


class SystemFile(Record):
    """A system as its file says it; values carry their unit and their source."""

    id: str
    name: str
    operator: str = ""
    year: int | None = None
    chip: str | None = None
    aliases: tuple[str, ...] = ()
    link_name: str = ""
    network_name: str = ""
    topology: str = ""
    notes: str = ""
    values: dict[str, Value] = {}


def system(name: str) -> System:
    """The system of that id, alias or file. Raises UnknownSystem, or BadFile for a bad file."""
    return read_system(_path(name))


def system_names() -> list[str]:
    """Every id."""
    return list(all_files("systems"))


def read_system(path: Path) -> System:
    """A system file as a System."""
    read = read_toml(path, SystemFile)
    refuse_other_id(path, read.id, "systems")
    facts: dict[str, Fact] = {}
    for name, found in read.values.items():
        if name not in UNITS:
            near = closest(name, UNITS) or ", ".join(UNITS)
            raise BadFile(f"{path}: values.{name}: no such value; known: {near}.")
        try:
            value = quantity(str(found.value), UNITS[name])
        except BadQuantity as error:
            raise BadFile(f"{path}: values.{name}: {error}") from None
        if not 0 < value < 1e18:
            raise BadFile(f"{path}: values.{name} is {found.value!r}; it must be above zero.")
        if name in COUNTS and not value.is_integer():
            raise BadFile(f"{path}: values.{name} is {found.value!r}; it must be a whole number.")
        kind = found.kind or cast(SourceKind, source_kind(found.source, path.parent.parent))
        facts[name] = Fact(
            value=value,
            unit=UNITS[name],
            source=found.source,
            kind=kind,
            written=str(found.value),
            note=found.note,
        )
    numbers = {
        name: int(fact.value) if name in COUNTS else fact.value for name, fact in facts.items()
    }
    return System(
        id=read.id,
        name=read.name,
        operator=read.operator,
        year=read.year,
        chip=read.chip,
        link_name=read.link_name,
        network_name=read.network_name,
        topology=read.topology,
        facts=facts,
        notes=read.notes,
        **numbers,  # type: ignore[arg-type]
    )


def _path(name: str) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    path = find("systems", name)
    if path is not None:
        return path
    word, files = slug(name), all_files("systems")
    for each in files.values():
        read = read_toml(each, SystemFile)
        if word in (slug(read.name), *map(slug, read.aliases)):
            return each
    near = closest(word, files)
    hint = f"; closest: {near}" if near else ""
    raise UnknownSystem(
        f"no system {name[:60]!r} in the catalogue{hint}. See `eke catalog systems`."
    )
