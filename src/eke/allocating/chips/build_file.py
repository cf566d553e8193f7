"""A chip of one's own as its file says it: the chip, what making it takes, its site, its risks."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

from eke.catalog.chips import ChipFile, as_chip
from eke.catalog.files import read_toml, to_record
from eke.catalog.nodes import FIELDS, PARTS, YEAR, Field, Said, node, uncertain
from eke.economics.unit_cost import RETICLE, STACK_EDGE, WHOLE
from eke.errors import BadFile, BadQuantity, Unknown, closest
from eke.types.chip import Chip
from eke.types.record import Record, replace
from eke.types.silicon import Uncertain
from eke.units import quantity

Entry = str | float | int | Said
WORKLOAD = ("model", "prompt", "answer", "rate", "ttft", "tpot", "reuse", "share", "weights")
TRAINING = ("model", "tokens", "chips", "sequence", "share", "weights")
BUILD = ("node", "volume", "years", "board")


class _File(Record):
    against: tuple[str, ...] = ()
    chip: dict[str, Any] = {}
    build: dict[str, Entry] = {}
    site: dict[str, Entry] = {}
    market: dict[str, Entry] = {}
    risk: dict[str, Entry] = {}
    workload: dict[str, Any] = {}


class BuildFile(Record):
    """What a file about chips says; without a chip of one's own it compares those of others.

    said: values that it gives, by name.  against: ways that it names.  volume: chips per year
    [1/s].  years: of production [s].  workload, training: their words.
    """

    path: str
    chip: Chip | None
    said: dict[str, Uncertain]
    against: tuple[str, ...] = ()
    volume: float | None = None
    years: float | None = None
    workload: dict[str, str] = {}
    training: dict[str, str] = {}
    node: str = ""


def read_build(path: str | Path) -> BuildFile:
    """A file about chips. Raises BadFile naming file and field."""
    where = Path(path)
    read = read_toml(where, _File)
    chip = _chip(read.chip, where) if read.chip else None
    said = _said(read, where)
    training = read.workload.pop("train", {})
    found = BuildFile(
        path=str(where),
        chip=chip,
        said=said,
        against=read.against,
        volume=_plain(read.build, "volume", "1/s", where, 1 / YEAR, 1e10 / YEAR),
        years=_plain(read.build, "years", "s", where, 0.5 * YEAR, 30 * YEAR),
        workload=words_of(read.workload, WORKLOAD, "workload", where),
        training=words_of(training, TRAINING, "workload.train", where),
        node=str(read.build.get("node", "")),
    )
    _check(found, chip)
    return found


def _chip(found: dict[str, Any], path: Path) -> Chip:
    """The chip, whose values may be plain texts: then they are the reader's own."""
    found = _with_sources(found)
    for name, usual in (("vendor", "you"), ("kind", "asic"), ("family", "own"), ("year", 2026)):
        found.setdefault(name, usual)
    found.setdefault("name", found.get("id", ""))
    return as_chip(to_record(found, ChipFile, f"{path}: [chip]"), path, path.parent)


_PLAIN = ("id", "name", "vendor", "kind", "family", "year", "aliases", "notes", "type")


def _with_sources(found: dict[str, Any]) -> dict[str, Any]:
    """Plain values of parts as values with a source: the reader."""
    made: dict[str, Any] = {}
    for part, value in found.items():
        if isinstance(value, dict):
            made[part] = {
                name: {"value": each, "source": "you", "kind": "assumed"}
                if isinstance(each, str | int | float) and name not in _PLAIN
                else each
                for name, each in value.items()
            }
        else:
            made[part] = value
    return made


def _said(read: _File, path: Path) -> dict[str, Uncertain]:
    """Every number the file gives; what it says of a risk goes before the plain one."""
    making = {**PARTS["making"], **PARTS["program"]}
    of_chips = {**making, **{name: FIELDS[name] for name in ("life", "residual")}}
    build = {name: entry for name, entry in read.build.items() if name not in BUILD}
    return {
        **said_of("build", build, of_chips, path),
        **said_of("site", read.site, PARTS["site"], path),
        **said_of("market", read.market, PARTS["market"], path),
        **said_of("risk", read.risk, FIELDS, path),
    }


def said_of(
    part: str, entries: Mapping[str, Entry], fields: Mapping[str, Field], path: Path
) -> dict[str, Uncertain]:
    """The numbers that one part of a file gives. Raises BadFile naming file and field."""
    return {
        name: _entry(name, entry, f"{path}: {part}.{name}", path, fields)
        for name, entry in entries.items()
    }


def _entry(
    name: str, entry: Entry, where: str, path: Path, fields: Mapping[str, Field]
) -> Uncertain:
    if name not in fields:
        near = closest(name, [*fields, *(BUILD if ": build." in where else ())])
        hint = f"Did you mean {near}?" if near else f"Known: {', '.join(sorted(fields))}."
        raise BadFile(f"{where} is nothing eke reads. {hint}")
    if isinstance(entry, Said):
        return uncertain(name, entry, where, path.parent, fields[name])
    said = Said(value=entry, source="you")
    return replace(uncertain(name, said, where, path.parent, fields[name]), kind="given")


def _plain(
    build: Mapping[str, Entry], name: str, unit: str, path: Path, least: float, most: float
) -> float | None:
    """A number that is decided, not uncertain."""
    if name not in build:
        return None
    try:
        value = quantity(str(build[name]), unit)
    except BadQuantity as error:
        raise BadFile(f"{path}: build.{name}: {error}") from None
    if not least <= value <= most:
        raise BadFile(f"{path}: build.{name} is {build[name]!r}; that is absurd.")
    return value


def words_of(
    found: Mapping[str, Any], known: tuple[str, ...], part: str, path: Path
) -> dict[str, str]:
    """The words of a workload, each of them text. Raises BadFile naming file and field."""
    for name, value in found.items():
        if name not in known:
            near = closest(name, known) or ", ".join(known)
            raise BadFile(f"{path}: {part}.{name} is nothing eke reads; closest: {near}.")
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise BadFile(f"{path}: {part}.{name} must be a text such as '2000', not a table.")
    return {name: str(value) for name, value in found.items()}


def _check(found: BuildFile, chip: Chip | None) -> None:
    """Refuse a process nobody knows, and what cannot be built. Raises BadFile."""
    if chip is None:
        stray = sorted({*PARTS["making"], *PARTS["program"]} & set(found.said))
        if stray or found.volume or found.node:
            what = stray[0] if stray else "volume" if found.volume else "node"
            raise BadFile(
                f"{found.path}: build.{what} is of a chip of one's own, but there is no [chip]; "
                "describe it as in `eke catalog chips h100-sxm`, or drop build."
            )
        return
    if found.node:
        try:
            node(found.node)
        except Unknown as error:
            raise BadFile(f"{found.path}: build.node: {error}") from None
    elif chip.process is None:
        raise BadFile(
            f"{found.path}: nothing says the process; give build.node, such as n5, or "
            "chip.die.process."
        )
    if "area" not in found.said and chip.die_area is None:
        raise BadFile(f"{found.path}: nothing says how large the die is; give chip.die.area.")
    for name in ("dies", "stacks"):
        law = found.said[name].law if name in found.said else None
        if law is not None and (law.name != "fixed" or not law.numbers[0].is_integer()):
            raise BadFile(f"{found.path}: build.{name} must be a whole number, not uncertain.")
    _check_area(found, chip)
    _check_stacks(found, chip)


def die_area(chip: Chip, said: Mapping[str, Uncertain]) -> tuple[float, int]:
    """Area of one die and dies of a package, as a file or the catalogue says them."""
    area = chip.die_area or 0.0
    if chip.kind == "wafer":
        return area, 1
    if "dies" in said:
        return area / said["dies"].law.numbers[0], int(said["dies"].law.numbers[0])
    dies = max(1, ceil(area / RETICLE - 1e-9))
    return area / dies, dies


def _check_area(found: BuildFile, chip: Chip) -> None:
    said = found.said
    area = max(said["area"].law.numbers) if "area" in said else die_area(chip, said)[0]
    total = (chip.die_area or 0.0) if "dies" not in said and "area" not in said else area
    if chip.kind == "wafer":
        if total > WHOLE * 1.01:
            raise BadFile(
                f"{found.path}: chip.die.area is {total * 1e6:,.0f} mm2; the square that fits into "
                f"a 300 mm wafer has {WHOLE * 1e6:,.0f} mm2."
            )
        return
    if total > RETICLE:
        dies = ceil(total / RETICLE)
        raise BadFile(
            f"{found.path}: chip.die.area is {total * 1e6:,.0f} mm2; a scanner exposes at most "
            f"{RETICLE * 1e6:.0f} mm2 as one die. Say build.dies = {dies} (of that area together), "
            'or chip.kind = "wafer" for a whole wafer.'
        )


def _check_stacks(found: BuildFile, chip: Chip) -> None:
    if "stacks" not in found.said:
        return
    stacks = max(found.said["stacks"].law.numbers)
    area, dies = die_area(chip, found.said)
    most = int(dies * 4 * area**0.5 / STACK_EDGE)
    if stacks > most:
        raise BadFile(
            f"{found.path}: build.stacks is {stacks:g}; each takes {STACK_EDGE * 1e3:g} mm of "
            f"the edge of a die, and {dies} of {area * 1e6:,.0f} mm2 have room for {most}."
        )
