"""`eke plan`: the layout that needs least, why, and how to start it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import join
from typing import Any

import click

from eke.cli import options as opt
from eke.cli import sweep
from eke.cli.jobs import commands
from eke.cli.need import own


@click.group()
def command() -> None:
    """The plan that needs least, why it does, and how to start it on an engine.

    MODEL is a name from `eke catalog models`, a config.json, or a hub id. Degrees, formats and
    other fields of a plan may be given as one value or as several to choose from: --tensor 4,8.
    """


OWN = opt.stack(
    click.option(
        "--on",
        "fleets",
        multiple=True,
        metavar="CHIPS",
        help="For example 32xh100-sxm; several are pools one may use.",
    ),
    click.option(
        "--among",
        metavar="CHIP,…",
        help="Kinds of chips to choose from, as many as it takes.",
    ),
    click.option(
        "--least",
        metavar="WHAT",
        help="cost, chips, time, energy, carbon, or a figure of the answer.",
    ),
    click.option(
        "--at-most",
        multiple=True,
        metavar="WHAT=VALUE",
        help="Limit of a figure, such as cost='500 USD/h' or energy=2GWh.",
    ),
    click.option("--headroom", type=opt.NUMBER, help="Memory to leave free, such as 10%."),
    click.option("--sure", type=opt.NUMBER, help="Chance to keep every limit, such as 90%."),
    click.option("--frontier", metavar="A,B[,C]", help="All plans no other beats in these."),
    click.option(
        "--disaggregate",
        type=click.Choice(["may", "must", "never"]),
        help="Prompts and answers on chips of their own.",
    ),
    click.option("--price", type=opt.RENT, metavar="USD/h", help="Rent of one chip."),
    click.option("--carbon", type=opt.CARBON, metavar="g/kWh", help="Of the grid."),
    click.option("--own", is_flag=True, help="Bought and written off, energy paid, not rented."),
    click.option("--picture", metavar="FILE.svg", help="The frontier as a picture."),
    click.option("--timeline", metavar="FILE", help="A step as .svg, or .json for Perfetto."),
    click.option("--open", "opened", is_flag=True, help="Show the picture that was written."),
    click.option("--write", metavar="ENGINE", help="Its configuration, such as vllm or megatron."),
    click.option("--to", "folder", metavar="FOLDER", help="Where to write it; default: here."),
    click.option("--checkpoint", metavar="PATH", help="Hub id or folder of the weights."),
    click.option("--save", metavar="FILE.toml", help="The plan, for `eke simulate`."),
    click.option("--json", "as_json", is_flag=True, help="The same record as JSON."),
)


OUT = ("as_json", "picture", "timeline", "opened", "write", "folder", "checkpoint", "save")
QUESTION = ("fleets", "among", "measured")  # what a question reads beside `ask`


def run(kind: str, given: dict[str, Any]) -> None:
    """Answer on stdout; exit code 3 when it cannot be done."""
    from eke.errors import BadInput
    from eke.planning import enough

    out = {name: given.pop(name) for name in OUT}
    job, fleet, goal, decided, measured = question(kind, given)
    if given["among"]:
        fleet = enough(job, fleet, decided)
    if given["frontier"]:
        _frontier(job, fleet, given, goal, decided, out)
        return
    if out["picture"]:
        raise BadInput("--picture draws a frontier; say between what: --frontier cost,ttft.")
    _plan(job, fleet, given, goal, decided, measured, out)


def question(
    kind: str, given: dict[str, Any], fleet_of: Callable[[str], Any] = str
) -> tuple[Any, Any, Any, dict[str, Any], list[Any]]:
    """The job, the fleet, the goal, decided fields of the plan, and own measurements; a fleet of
    --among has one chip of each kind. fleet_of: reads a fleet where it is not to be read anew."""
    from eke.asking import ask, goal_of
    from eke.errors import BadInput

    fleets, among = given["fleets"], given["among"]
    if bool(fleets) == bool(among):
        raise BadInput("say which chips: --on 32xh100-sxm (a count), or --among h100-sxm,mi300x.")
    where = "+".join(fleets) if fleets else among.replace(",", "+")
    measured = own(given["measured"], where)
    rest = {name: value for name, value in given.items() if name not in QUESTION}
    job, fleet, decided = ask(kind, {**rest, "fleet": fleet_of(where)})
    return job, fleet, goal_of(given, job, fleet), decided, measured


def _plan(
    job: Any,
    fleet: Any,
    given: dict[str, Any],
    goal: Any,
    decided: dict[str, Any],
    measured: Sequence[Any],
    out: dict[str, Any],
) -> None:
    from eke.cli.progress import counting
    from eke.planning import plan
    from eke.report.json import to_json
    from eke.report.planned import planned_words
    from eke.report.words import infeasible_words
    from eke.types.need import Infeasible

    with counting("plans") as progress:
        found = plan(
            job,
            fleet,
            goal,
            choices=decided,
            measured=measured,
            disaggregate=given["disaggregate"] or "may",
            progress=progress,
        )
    if isinstance(found, Infeasible):
        click.echo(to_json(found) if out["as_json"] else infeasible_words(found), nl=out["as_json"])
        sys.exit(3)
    if out["as_json"]:
        click.echo(to_json(found))
    else:
        click.echo(planned_words(found, command_words()), nl=False)


def _frontier(
    job: Any,
    fleet: Any,
    given: dict[str, Any],
    goal: Any,
    decided: dict[str, Any],
    out: dict[str, Any],
) -> None:
    from eke.cli.progress import counting
    from eke.planning import frontier
    from eke.report.frontier import frontier_picture, frontier_words
    from eke.report.json import to_json
    from eke.report.words import infeasible_words
    from eke.types.need import Infeasible

    measures = [name.strip() for name in given["frontier"].split(",")]
    with counting("plans") as progress:
        found = frontier(
            job,
            fleet,
            measures,
            goal,
            choices=decided,
            disaggregate=given["disaggregate"] or "may",
            progress=progress,
        )
    if isinstance(found, Infeasible):
        click.echo(to_json(found) if out["as_json"] else infeasible_words(found), nl=out["as_json"])
        sys.exit(3)
    if out["picture"]:
        write_picture(out["picture"], frontier_picture(found), out["opened"])
    click.echo(to_json(found) if out["as_json"] else frontier_words(found), nl=out["as_json"])


def write_picture(name: str, drawing: str, opened: bool) -> None:
    """Write a drawing, and show it where that is asked for."""
    from eke.cli.need import write_picture as written

    written(name, drawing)
    if opened:
        click.launch(str(Path(name).resolve()))


def command_words() -> str:
    """The user's own words."""
    return join(["eke", *sys.argv[1:]])


for _command in commands(run, opt.stack(OWN, sweep.OPTIONS), opt.several, sweep.Swept):
    command.add_command(_command)
