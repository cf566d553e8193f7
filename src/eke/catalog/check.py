"""Is the catalogue sound? Errors are what does not resolve, warnings what is implausible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from eke.catalog.benchmarks import BenchmarkFile
from eke.catalog.check_forecasts import Solve, anchor_findings, forecast_findings
from eke.catalog.chips import ChipFile, read_chip
from eke.catalog.efficiencies import read_efficiencies
from eke.catalog.engines import engines
from eke.catalog.files import DATA, PARTS, all_files, folders, read_toml, use_folder
from eke.catalog.findings import Finding, odd, wrong
from eke.catalog.models import ModelFile, read_model
from eke.catalog.nodes import said_in, uncertain
from eke.catalog.prices import priced
from eke.catalog.sources import sources
from eke.catalog.systems import read_system
from eke.errors import BadFile, EkeError, closest
from eke.types.chip import Chip, Fact
from eke.types.model import Model

Count = Callable[[Model], int]


def check(
    count: Count, folder: str | None = None, year: int = 9999, solve: Solve | None = None
) -> list[Finding]:
    """Everything found in the built-in catalogue and the user's folders.

    count: parameters of a model.  folder: a further folder to check.  year: now, to find dates in
    the future.  solve: what follows from a published forecast; None leaves those out.
    """
    if folder is not None:
        use_folder(folder)
    known = set(sources())
    found: list[Finding] = []
    for path in all_files("chips").values():
        found += found_in(path, lambda p: _chip(p, known, year))
    for path in all_files("systems").values():
        found += found_in(path, lambda p: _system(p, known))
    for path in all_files("models").values():
        found += found_in(path, lambda p: _model(p, known, count))
    if solve is not None:
        told = partial(forecast_findings, solve=solve, year=year)
        found += [each for path in all_files("forecasts").values() for each in found_in(path, told)]
    families = {read_toml(path, ChipFile).family for path in _readable("chips")}
    families |= {"any", "training", *(each.id for each in engines())}
    for each in folders():
        for path in sorted((each / "efficiency").glob("*.csv")):
            found += found_in(path, lambda p: _efficiencies(p, known, families))
        found += found_in(each / "prices.csv", lambda p: _prices(p, known))
        for name, findings in SINGLE.items():
            if (each / name).is_file():
                found += found_in(each / name, partial(findings, known=known))
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
            yield odd(path, "name", f"eke does not read it; did you mean {near}?")


def found_in(path: Path, findings: Callable[[Path], Iterator[Finding]]) -> list[Finding]:
    """What a check yields; a file that cannot be read is an error of its own."""
    try:
        return list(findings(path))
    except EkeError as error:
        message = str(error).removeprefix(f"{path}: ")
        return [wrong(path, "", message)]


def _chip(path: Path, known: set[str], year: int) -> Iterator[Finding]:
    chip = read_chip(path)
    yield from _facts(path, chip.facts, known)
    if chip.year > year + 1:
        yield odd(path, "year", f"{chip.year} lies in the future")
    for field in ("memory_size", "memory_speed", "power"):
        if getattr(chip, field) is None:
            yield odd(path, field, "nobody has published it")
    if not chip.peak:
        yield odd(path, "peak", "nobody has published any")
    yield from _odd(path, chip)


def _odd(path: Path, chip: Chip) -> Iterator[Finding]:
    """Ratios that are rarely right."""
    eight, sixteen = chip.peak.get("fp8"), chip.peak.get("bf16") or chip.peak.get("fp16")
    noted = chip.facts.get("peak.fp8")
    if eight and sixteen and not 1.9 <= eight / sixteen <= 2.1 and noted and not noted.note:
        times = f"{eight / sixteen:.2g} times the 16-bit peak, usually 2"
        yield odd(path, "peak.fp8", times)
    if chip.link_speed and chip.memory_speed and chip.link_speed > chip.memory_speed:
        yield odd(path, "link.speed", "the link is faster than the memory")
    if chip.power and sixteen and not 1e9 < sixteen / chip.power < 2e13:
        ratio = f"{sixteen / chip.power:.1e} FLOP per joule"
        yield odd(path, "power.maximum", ratio)


def _system(path: Path, known: set[str]) -> Iterator[Finding]:
    from eke.catalog.chips import chip

    system = read_system(path)
    yield from _facts(path, system.facts, known)
    if system.chip is not None:
        try:
            chip(system.chip)
        except EkeError as error:
            yield wrong(path, "chip", str(error))
    uneven = system.chips and system.per_node and system.chips % system.per_node
    if uneven and not system.facts["chips"].note:
        yield odd(path, "per_node", f"{system.chips} chips do not divide by {system.per_node}")


def _model(path: Path, known: set[str], count: Count) -> Iterator[Finding]:
    read = read_toml(path, ModelFile)
    for name in {read.source, *(value.source for value in read.published.values())} - {""}:
        if name not in known:
            yield wrong(path, "source", f"no source {name!r}")
    if not read.config:
        if not read.unpublished:
            yield wrong(path, "config", "missing, and `unpublished` does not say why")
        return
    model = read_model(path)
    said = model.facts.get("parameters")
    if said is not None and not said.note and abs(count(model) / said.value - 1) > 0.02:
        message = f"the shape has {count(model) / said.value - 1:+.1%} beside what is published"
        yield odd(path, "published.parameters", message)


def _efficiencies(path: Path, known: set[str], families: set[str]) -> Iterator[Finding]:
    if path.stem not in families:
        near = closest(path.stem, families)
        hint = f"; did you mean {near}?" if near else ""
        message = f"no chip family or engine is called {path.stem!r}{hint}"
        yield odd(path, "name", message)
    for each in read_efficiencies(path, path.stem).values():
        if each.source not in known:
            yield wrong(path, each.name, f"no source {each.source!r}")


def _prices(path: Path, known: set[str]) -> Iterator[Finding]:
    chips = all_files("chips")
    for row in priced(path.parent):
        if row.chip not in chips:
            near = closest(row.chip, chips)
            hint = f"; closest: {near}" if near else ""
            yield wrong(path, "chip", f"no chip {row.chip!r}{hint}")
        if row.source not in known:
            yield wrong(path, row.chip, f"no source {row.source!r}")


def _benchmarks(path: Path, known: set[str]) -> Iterator[Finding]:
    for each in read_toml(path, BenchmarkFile).benchmark:
        for name in sorted(set(each.sources) - known):
            yield wrong(path, each.id, f"no source {name!r}")


def _facts(path: Path, facts: dict[str, Fact], known: set[str]) -> Iterator[Finding]:
    for field, fact in facts.items():
        if fact.source not in known:
            yield wrong(path, field, f"no source {fact.source!r}")


def _nodes(path: Path, known: set[str]) -> Iterator[Finding]:
    for place, name, said, fields in said_in(path.parent):
        if said.source not in known:
            yield wrong(path, f"{place}.{name}", f"no source {said.source!r}")
        try:
            uncertain(name, said, f"{place}.{name}", path.parent, fields.get(name))
        except BadFile as error:
            yield wrong(path, "", str(error))


def _anchors(path: Path, known: set[str]) -> Iterator[Finding]:
    yield from anchor_findings(path)


SINGLE = {
    "benchmarks.toml": _benchmarks,
    "nodes.toml": _nodes,
    "forecasts/anchors.csv": _anchors,
}
