"""`eke need`: what a model takes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from eke.cli import options as opt
from eke.cli.jobs import commands


@click.group()
def command() -> None:
    """What a model takes to train, fine-tune, align or serve, on any chip.

    MODEL is a name from `eke catalog models`, a config.json, or a hub id.
    """


def run(kind: str, given: dict[str, Any]) -> None:
    """Answer on stdout; exit code 3 when it cannot be done."""
    from eke.asking import ask
    from eke.report.json import to_json
    from eke.report.side_by_side import picture, side_by_side
    from eke.report.words import infeasible_words, need_words
    from eke.types.need import Infeasible
    from eke.verbs import need

    as_json, drawn, fleets = given.pop("as_json"), given.pop("picture"), given.pop("fleets")
    measured = given.pop("measured")
    found = []
    for fleet in fleets:
        job, where, decided = ask(kind, {**given, "fleet": fleet})
        found.append(need(job, None, where, choices=decided, measured=own(measured, fleet)))
    if drawn is not None:
        write_picture(drawn, picture(fleets, found))
    if as_json:
        click.echo(to_json(found if len(found) > 1 else found[0]))
    elif len(found) > 1:
        click.echo(side_by_side(fleets, found), nl=False)
    elif isinstance(found[0], Infeasible):
        click.echo(infeasible_words(found[0]), nl=False)
    else:
        click.echo(need_words(found[0], command_words(kind)), nl=False)
    if all(isinstance(each, Infeasible) for each in found):
        sys.exit(3)


def own(texts: Sequence[str], fleet: str) -> list[Any]:
    """The user's own measurements; a file of them is read as of these chips."""
    if not texts:
        return []
    from eke.calibrate.own import measurements

    return list(measurements(texts, {"on": fleet}))


def write_picture(name: str, drawing: str) -> None:
    """Write a drawing whole or not at all."""
    from eke.errors import BadFile
    from eke.writing import write_whole

    path = Path(name)
    if path.suffix != ".svg":
        raise BadFile(f"{name}: pictures are SVG; give a name that ends in .svg.")
    write_whole(path, drawing)
    click.echo(f"picture: {path}", err=True)


def command_words(kind: str) -> str:
    """The user's own words with `explain` for `need`, as the suggestion of what to do next."""
    from shlex import join

    arguments = sys.argv[1:]
    if "need" not in arguments:
        return f"eke explain {kind}"
    at = arguments.index("need")
    return join(["eke", *arguments[:at], "explain", *arguments[at + 1 :]])


for _command in commands(run, opt.where):
    command.add_command(_command)
