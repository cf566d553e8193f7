"""Is the catalogue sound? Errors are what does not resolve, warnings what is implausible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from eke.catalog.benchmarks import BenchmarkFile
from eke.catalog.chips import ChipFile, read_chip
from eke.catalog.efficiencies import read_efficiencies
from eke.catalog.engines import engines
from eke.catalog.files import DATA, PARTS, all_files, folders, read_toml, use_folder
from eke.catalog.models import ModelFile, read_model
from eke.catalog.prices import priced
from eke.catalog.sources import sources
from eke.catalog.systems import read_system
from eke.errors import BadFile, EkeError, closest
from eke.types.chip import Chip, Fact
from eke.types.model import Model
from eke.types.record import Record


class Finding(Record):
    """Something wrong (error) or odd (warning) in a catalogue file."""

    file: str
    field: str
    severity: Literal["error", "warning"]
    message: str


Count = Callable[[Model], int]


def check(count: Count, folder: str | None = None, year: int = 9999) -> list[Finding]:
    """Everything found in the built-in catalogue and the user's folders.

    count: parameters of a model.  folder: a further folder to check.  year: now, to find dates in
    the future.
    """
    if folder is not None:
        use_folder(folder)
    known = set(sources())
    found: list[Finding] = []
    for path in all_files("chips").values():
        found += _read(path, lambda p: _chip(p, known, year))
    for path in all_files("systems").values():
        found += _read(path, lambda p: _system(p, known))
    for path in all_files("models").values():
        found += _read(path, lambda p: _model(p, known, count))
    families = {read_toml(path, ChipFile).family for path in _readable("chips")}
    families |= {"any", "training", *(each.id for each in engines())}
    for each in folders():
        for path in sorted((each / "efficiency").glob("*.csv")):
            found += _read(path, lambda p: _efficiencies(p, known, families))
        found += _read(each / "prices.csv", lambda p: _prices(p, known))
        if (each / "benchmarks.toml").is_file():
            found += _read(each / "benchmarks.toml", lambda p: _benchmarks(p, known))
        if each != DATA:
            found += _strangers(each)
    return found


def _readable(kind: str) -> Iterator[Path]:
    """Files that are at least of the right shape; the others are reported elsewhere."""
    for path in all_files(kind).values():
        try:
            read_toml(path, ChipFile)
        except BadFile:
            continue
        yield path


def _strangers(folder: Path) -> Iterator[Finding]:
    """What stands in a user's folder under a name that is nearly one eke reads."""
    for path in sorted(folder.iterdir()):
        near = closest(path.name, PARTS, most=1)
        if near and path.name not in PARTS and not fnmatch(path.name, "sources*.toml"):
            yield _finding(path, "name", "warning", f"eke does not read it; did you mean {near}?")


def _read(path: Path, findings: Callable[[Path], Iterator[Finding]]) -> list[Finding]:
    """What a check yields; a file that cannot be read is an error of its own."""
    try:
        return list(findings(path))
    except EkeError as error:
        message = str(error).removeprefix(f"{path}: ")
        return [_finding(path, "", "error", message)]


def _chip(path: Path, known: set[str], year: int) -> Iterator[Finding]:
    chip = read_chip(path)
    yield from _facts(path, chip.facts, known)
    if chip.year > year + 1:
        yield _finding(path, "year", "warning", f"{chip.year} lies in the future")
    for field in ("memory_size", "memory_speed", "power"):
        if getattr(chip, field) is None:
            yield _finding(path, field, "warning", "nobody has published it")
    if not chip.peak:
        yield _finding(path, "peak", "warning", "nobody has published any")
    yield from _odd(path, chip)


def _odd(path: Path, chip: Chip) -> Iterator[Finding]:
    """Ratios that are rarely right."""
    eight, sixteen = chip.peak.get("fp8"), chip.peak.get("bf16") or chip.peak.get("fp16")
    noted = chip.facts.get("peak.fp8")
    if eight and sixteen and not 1.9 <= eight / sixteen <= 2.1 and noted and not noted.note:
        times = f"{eight / sixteen:.2g} times the 16-bit peak, usually 2"
        yield _finding(path, "peak.fp8", "warning", times)
    if chip.link_speed and chip.memory_speed and chip.link_speed > chip.memory_speed:
        yield _finding(path, "link.speed", "warning", "the link is faster than the memory")
    if chip.power and sixteen and not 1e9 < sixteen / chip.power < 2e13:
        ratio = f"{sixteen / chip.power:.1e} FLOP per joule"
        yield _finding(path, "power.maximum", "warning", ratio)


def _system(path: Path, known: set[str]) -> Iterator[Finding]:
    from eke.catalog.chips import chip

    system = read_system(path)
    yield from _facts(path, system.facts, known)
    if system.chip is not None:
        try:
            chip(system.chip)
        except EkeError as error:
            yield _finding(path, "chip", "error", str(error))
    uneven = system.chips and system.per_node and system.chips % system.per_node
    if uneven and not system.facts["chips"].note:
        yield _finding(
            path, "per_node", "warning", f"{system.chips} chips do not divide by {system.per_node}"
        )


def _model(path: Path, known: set[str], count: Count) -> Iterator[Finding]:
    read = read_toml(path, ModelFile)
    for name in {read.source, *(value.source for value in read.published.values())} - {""}:
        if name not in known:
            yield _finding(path, "source", "error", f"no source {name!r}")
    if not read.config:
        if not read.unpublished:
            yield _finding(path, "config", "error", "missing, and `unpublished` does not say why")
        return
    model = read_model(path)
    said = model.facts.get("parameters")
    if said is not None and not said.note and abs(count(model) / said.value - 1) > 0.02:
        message = f"the shape has {count(model) / said.value - 1:+.1%} beside what is published"
        yield _finding(path, "published.parameters", "warning", message)


def _efficiencies(path: Path, known: set[str], families: set[str]) -> Iterator[Finding]:
    if path.stem not in families:
        near = closest(path.stem, families)
        hint = f"; did you mean {near}?" if near else ""
        message = f"no chip family or engine is called {path.stem!r}{hint}"
        yield _finding(path, "name", "warning", message)
    for each in read_efficiencies(path, path.stem).values():
        if each.source not in known:
            yield _finding(path, each.name, "error", f"no source {each.source!r}")


def _prices(path: Path, known: set[str]) -> Iterator[Finding]:
    chips = all_files("chips")
    for row in priced(path.parent):
        if row.chip not in chips:
            near = closest(row.chip, chips)
            hint = f"; closest: {near}" if near else ""
            yield _finding(path, "chip", "error", f"no chip {row.chip!r}{hint}")
        if row.source not in known:
            yield _finding(path, row.chip, "error", f"no source {row.source!r}")


def _benchmarks(path: Path, known: set[str]) -> Iterator[Finding]:
    for each in read_toml(path, BenchmarkFile).benchmark:
        for name in sorted(set(each.sources) - known):
            yield _finding(path, each.id, "error", f"no source {name!r}")


def _facts(path: Path, facts: dict[str, Fact], known: set[str]) -> Iterator[Finding]:
    for field, fact in facts.items():
        if fact.source not in known:
            yield _finding(path, field, "error", f"no source {fact.source!r}")


def _finding(
    path: Path, field: str, severity: Literal["error", "warning"], message: str
) -> Finding:
    """A finding; built-in files by their name, a user's by their path."""
    name = path.name if path.is_relative_to(DATA) else str(path)
    return Finding(file=name, field=field, severity=severity, message=message)
