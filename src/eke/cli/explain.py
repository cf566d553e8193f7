"""`eke explain`: the same words as `eke need`, and where every number comes from."""

from __future__ import annotations

import sys
from typing import Any

import click

from eke.cli import need as need_command


@click.group()
def command() -> None:
    """Where every number of an answer comes from: formula, inputs and sources.

    Takes the same words as `eke need`.
    """


def _explained(kind: str) -> click.Command:
    """The command of the same name under `eke need`, answering with its working."""
    original = need_command.command.commands[kind]

    def run(**given: Any) -> None:
        _run(kind, given)

    return click.Command(kind, params=original.params, callback=run, help=original.help)


def _run(kind: str, given: dict[str, Any]) -> None:
    from eke.asking import ask
    from eke.catalog.sources import sources
    from eke.errors import BadInput
    from eke.report.explain import explain_words
    from eke.report.json import to_json
    from eke.report.words import infeasible_words
    from eke.types.need import Infeasible
    from eke.verbs import need, working

    as_json, fleets = given.pop("as_json"), given.pop("fleets")
    measured = need_command.own(given.pop("measured"), fleets[0])
    if len(fleets) > 1:
        raise BadInput("explain takes one --on at a time.")
    job, where, decided = ask(kind, {**given, "fleet": fleets[0]})
    found = need(job, None, where, choices=decided, measured=measured)
    if isinstance(found, Infeasible):
        click.echo(to_json(found) if as_json else infeasible_words(found), nl=as_json)
        sys.exit(3)
    if as_json:
        click.echo(to_json(found))
        return
    click.echo(
        explain_words(found, working(job, found.plan, where, measured=measured), sources()),
        nl=False,
    )


for _kind in ("serve", "train", "tune", "align"):
    command.add_command(_explained(_kind))
