"""`eke catalog`: what the catalogue holds, and whether it is sound."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import click

from eke.report.text import table
from eke.types.chip import Fact
from eke.types.record import Record
from eke.units import show

NAME = click.argument("name", required=False, metavar="[ID]")
JSON = click.option("--json", "as_json", is_flag=True, help="The same record as JSON.")


@click.group()
def command() -> None:
    """Chips, systems, models and sources."""


@command.command()
@NAME
@JSON
def chips(name: str | None, as_json: bool) -> None:
    """Accelerators, as their makers describe them."""
    from eke.catalog.chips import chip, every_chip

    if name is not None:
        found = chip(name)
        shown = found.facts | _prices(found.id)
        _one(found, f"{found.name} ({found.vendor}, {found.year})", shown, found.notes, as_json)
        return
    every = every_chip()
    rows = []
    for each in every:
        sixteen = each.peak.get("bf16") or each.peak.get("fp16")
        rows.append(
            (
                each.id,
                each.vendor,
                each.kind,
                str(each.year),
                *(_cell(sixteen, "FLOP/s"), _cell(each.memory_size, "B")),
                *(_cell(each.memory_speed, "B/s"), _cell(each.power, "W")),
            )
        )
    _many(
        every, rows, ("id", "vendor", "kind", "year", "16-bit", "memory", "speed", "power"), as_json
    )


@command.command()
@NAME
@JSON
def systems(name: str | None, as_json: bool) -> None:
    """Servers, pods and clusters."""
    from eke.catalog.systems import system, system_names

    if name is not None:
        found = system(name)
        _one(found, found.name, found.facts, found.notes, as_json)
        return
    every = [system(each) for each in system_names()]
    rows = [
        (
            each.id,
            each.operator,
            str(each.year or ""),
            f"{each.chips:,}" if each.chips else "",
            each.chip or "",
            _cell(each.network_speed, "B/s"),
        )
        for each in every
    ]
    _many(every, rows, ("id", "operator", "year", "chips", "chip", "network per chip"), as_json)


@command.command()
@NAME
@JSON
def models(name: str | None, as_json: bool) -> None:
    """Models: name, a config.json, or a hub id."""
    from eke.catalog.models import model, model_file, model_names
    from eke.physics.layers import count_parameters

    if name is not None:
        found = model(name)
        counted = count_parameters(found)
        if as_json:
            _one(found, "", {}, "", True)
            return
        title = f"{found.name}: {counted.total:,} parameters, {counted.active:,} active"
        _one(found, title, found.facts, found.notes, False)
        return
    rows = []
    for each in model_names():
        read = model_file(each)
        shape = str(read.config.get("model_type", "")) or f"({read.unpublished})"[:58]
        said = read.published["parameters"].value if "parameters" in read.published else ""
        rows.append((read.id, read.organisation, str(read.year or ""), str(said), shape))
    head = ("id", "by", "year", "parameters said", "built as")
    _many([model_file(each) for each in model_names()] if as_json else [], rows, head, as_json)


@command.command()
@NAME
@JSON
def sources(name: str | None, as_json: bool) -> None:
    """Where facts come from."""
    from eke.catalog.sources import source
    from eke.catalog.sources import sources as every_source

    if name is not None:
        found = source(name)
        if as_json:
            _one(found, "", {}, "", True)
            return
        rows = [(key, getattr(found, key)) for key in ("title", "kind", "url", "read", "note")]
        click.echo(table([row for row in rows if row[1]], indent=""))
        return
    listed = every_source()
    rows_all = [(key, each.kind, each.title[:70], each.url) for key, each in sorted(listed.items())]
    _many(list(listed.values()), rows_all, ("key", "kind", "title", "address"), as_json)


@command.command()
@click.argument("folder", required=False)
def check(folder: str | None) -> None:
    """Refuse what does not resolve, point at what is implausible."""
    from datetime import date

    from eke.catalog.check import check as findings
    from eke.economics.chains import solved
    from eke.physics.layers import count_parameters

    found = findings(lambda model: count_parameters(model).total, folder, date.today().year, solved)
    for each in found:
        where = ": ".join(filter(None, (each.file, each.field)))
        click.echo(f"{each.severity}: {where}: {each.message}")
    errors = sum(each.severity == "error" for each in found)
    click.echo(f"{errors} errors, {len(found) - errors} warnings")
    if errors:
        sys.exit(1)


def _prices(chip: str) -> dict[str, Fact]:
    """What a chip has cost, newest first, as facts to show."""
    from eke.catalog.prices import prices

    found: dict[str, Fact] = {}
    for row in prices(chip):
        unit, time = ("USD/s", "USD/h") if row.basis == "rent" else ("USD", "USD")
        value = row.value * 3600 if row.basis == "rent" else row.value
        found.setdefault(
            f"{row.basis} {row.date}",
            Fact(
                value=row.value,
                unit=unit,
                source=row.source,
                kind=row.kind,
                written=f"{value:,.7g} {time}",
                note=row.note,
            ),
        )
    return found


def _cell(value: float | None, unit: str) -> str:
    return show(value, unit) if value else ""


def _many(
    records: Sequence[Record],
    rows: Sequence[Sequence[str]],
    head: Sequence[str],
    as_json: bool,
) -> None:
    if as_json:
        from eke.report.json import to_json

        click.echo(to_json(records))
    else:
        click.echo(table(rows, head=head, indent=""))


def _one(record: Record, title: str, facts: Mapping[str, Fact], notes: str, as_json: bool) -> None:
    if as_json:
        from eke.report.json import to_json

        click.echo(to_json(record))
        return
    rows = [
        (name.replace("_", " "), fact.written, fact.kind, fact.source, fact.note[:60])
        for name, fact in facts.items()
    ]
    click.echo(title)
    if rows:
        click.echo(table(rows))
    if notes:
        click.echo(f"  notes: {notes}")
