"""What is to be designed as a file says it, and a design as a file of a chip of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eke.allocating.chips.build_file import WORKLOAD, Entry, said_of, words_of
from eke.allocating.chips.loads import loads, read_words
from eke.allocating.chips.speed import Load
from eke.allocating.designs.answer import REFERENCES, Wish
from eke.allocating.designs.shapes import SHAPES
from eke.catalog.files import read_toml
from eke.catalog.nodes import PARTS, YEAR, node
from eke.errors import BadFile, BadInput, BadQuantity, Unknown
from eke.types.record import Record
from eke.types.silicon import Design
from eke.units import quantity, show


class _File(Record):
    process: str = ""
    area: str = ""
    memory: str = ""
    volume: str = ""
    shapes: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    load: tuple[dict[str, Any], ...] = ()
    site: dict[str, Entry] = {}


def read_wish(path: str | None, given: Mapping[str, Any]) -> Wish:
    """What a file says and options change. Raises BadFile naming file and field."""
    read = read_toml(Path(path), _File) if path else _File()
    where = Path(path) if path else Path("the options")
    words = {name: value for name, value in given.items() if name in WORKLOAD and value is not None}
    said = {name: getattr(read, name) for name in ("process", "memory") if getattr(read, name)}
    said |= {name: given[name] for name in ("process", "memory") if given.get(name)}
    for name, unit in (("area", "m2"), ("volume", "1/s")):
        value = given.get(name)
        if value is None and getattr(read, name):
            value = _quantity(getattr(read, name), unit, f"{where}: {name}")
        if value is not None:
            said[name] = value
    for name, usual in (("shapes", SHAPES), ("references", REFERENCES)):
        said[name] = tuple(given.get(name) or getattr(read, name) or usual)
    _check(said, where)
    return Wish(
        loads=_loads(read, words, where),
        said=said_of("site", read.site, PARTS["site"], where),
        **said,
    )


def _quantity(text: str, unit: str, where: str) -> float:
    try:
        value = quantity(text, unit)
    except BadQuantity as error:
        raise BadFile(f"{where}: {error}") from None
    if value <= 0:
        raise BadFile(f"{where} is {text!r}; it must be above zero.")
    return value


def _check(said: Mapping[str, Any], where: Path) -> None:
    if "process" in said:
        try:
            node(said["process"])
        except Unknown as error:
            raise BadFile(f"{where}: process: {error}") from None
    if not 0 < said.get("area", 1e-4) < 0.05:
        raise BadInput(f"an area of {said['area'] * 1e6:.4g} mm2 is none of a package.")
    if not 0 < said.get("volume", 1.0) * YEAR < 1e12:
        raise BadInput("the volume must be a rate above zero, such as 200k/yr.")


def _loads(read: _File, words: Mapping[str, Any], where: Path) -> tuple[Load, ...]:
    if words or not read.load:
        return loads(words)
    found: list[Load] = []
    for index, each in enumerate(read.load):
        part = f"load.{index}"
        said = read_words(words_of(each, WORKLOAD, part, where), str(where), part)
        if "model" not in said:
            raise BadFile(f"{where}: {part}.model is missing.")
        if len(read.load) > 1 and "share" not in said:
            raise BadFile(f"{where}: {part}.share is missing; say which part of the tokens it is.")
        found += loads(said)
    return tuple(found)


def as_file(design: Design, node: str) -> str:
    """The design as a file that `eke allocate chip --build` reads."""
    chip = design.chip
    parts: dict[str, dict[str, str | int]] = {
        "chip": {"id": chip.id, "name": chip.name, "kind": chip.kind, "family": chip.family},
        "chip.peak": {name: f"{value / 1e12:.6g} TFLOP/s" for name, value in chip.peak.items()},
        "chip.memory": {
            "type": chip.memory_type,
            "size": _said(chip.memory_size, 1e9, "GB"),
            "speed": _said(chip.memory_speed, 1e12, "TB/s"),
        },
        "chip.link": {"speed": _said(chip.link_speed, 1e9, "GB/s"), "domain": f"{chip.domain}"},
        "chip.network": {"speed": _said(chip.network_speed, 1e9, "GB/s")},
        "chip.power": {"maximum": _said(chip.power, 1.0, "W")},
        "chip.die": {"area": _said(chip.die_area, 1e-6, "mm2")},
        "build": {"node": node, "volume": "200k/yr"},
    }
    if chip.kind == "wafer":
        size, speed = _said(chip.stream_size, 1e12, "TB"), _said(chip.stream_speed, 1e9, "GB/s")
        parts["chip.stream"] = {"size": size, "speed": speed}
    else:
        parts["build"] |= {"dies": design.dies, "stacks": design.stacks}
    comment = (
        f"# {chip.name}: {show(design.per_dollar, '1')} tokens per dollar, found by\n"
        "# `eke allocate design`; give what it is compared with: --against buy:h100-sxm\n"
    )
    return "\n".join([comment, *(_part(name, fields) for name, fields in parts.items())])


def _said(value: float | None, unit: float, word: str) -> str:
    return f"{(value or 0.0) / unit:.6g} {word}"


def _part(name: str, fields: Mapping[str, str | int]) -> str:
    """A table of TOML; text is quoted, and none of it has quotes of its own."""
    rows = [
        f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
        for key, value in fields.items()
    ]
    return "\n".join([f"[{name}]", *rows, ""])
