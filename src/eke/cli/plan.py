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
from eke.writing import write_whole


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
    click.option("--save", metavar="FILE.toml", help="The job and the plan as a file."),
    click.option(
        "--check",
        "checks",
        metavar="TRAFFIC",
        help="Simulate the finalists under it; see `eke simulate --traffic help`.",
    ),
    click.option("--json", "as_json", is_flag=True, help="The same record as JSON."),
)


OUT = (
    "as_json",
    "picture",
    "timeline",
    "opened",
    "write",
    "folder",
    "checkpoint",
    "save",
    "checks",
)
QUESTION = ("fleets", "among", "measured")  # what a question reads beside `ask`


def run(kind: str, given: dict[str, Any]) -> None:
    """Answer on stdout; exit code 3 when it cannot be done."""
    from eke.planning import enough

    out = {name: given.pop(name) for name in OUT}
    _check_names(kind, given, out)
    _for_engine(kind, given, out["write"])
    job, fleet, goal, decided, measured = question(kind, given)
    given["fleet"] = "+".join(given["fleets"])
    if given["among"]:
        fleet = enough(job, fleet, decided)
        given["fleet"] = "+".join(f"{pool.chips}x{pool.chip.id}" for pool in fleet.pools)
    if given["frontier"]:
        _frontier(job, fleet, given, goal, decided, out)
        return
    _plan(job, fleet, given, goal, decided, measured, out)


def _check_names(kind: str, given: dict[str, Any], out: dict[str, Any]) -> None:
    """Refuse files that could not be written after all the work."""
    from eke.errors import BadFile, BadInput

    if out["picture"] and not given["frontier"]:
        raise BadInput("--picture draws a frontier; say between what: --frontier cost,ttft.")
    single = next((name for name in ("write", "timeline", "save", "checks") if out[name]), None)
    if out["checks"] and kind != "serve":
        raise BadInput("--check simulates the serving of traffic; it goes with `eke plan serve`.")
    if given["frontier"] and single:
        raise BadInput(f"--frontier finds many plans, and --{single} is of one; give one of them.")
    ignored = next((name for name in ("sure", "measured") if given[name]), None)
    if given["frontier"] and ignored:
        raise BadInput(f"--frontier goes by the likeliest figures; drop --{ignored}.")
    if out["folder"] and not Path(out["folder"]).is_dir():
        raise BadFile(f"{out['folder']}: no such folder; make it first, or drop --to.")
    name = out["timeline"] or ""
    if name and not name.endswith((".svg", ".json")):
        raise BadFile(f"{name}: a timeline is a picture (.svg), or .json for Perfetto.")
    if kind == "serve" and name.endswith(".json"):
        raise BadInput("an engine's step has no timeline for Perfetto; give a name in .svg.")


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

    with counting("plans") as progress:
        answer = plan(
            job,
            fleet,
            goal,
            choices=decided,
            measured=measured,
            disaggregate=given["disaggregate"] or "may",
            accepts=_writer(job.model, given, out) if out["write"] else None,
            progress=progress,
        )
    found = feasible(answer, out["as_json"])
    written = _write(found, fleet, given, out)
    checked = _checked(found, fleet, measured, out["checks"]) if out["checks"] else None
    if out["as_json"]:
        click.echo(to_json(found if checked is None else [found, checked]))
    else:
        click.echo(planned_words(found, command_words(), _start(written)), nl=False)
    if checked is not None and not out["as_json"]:
        from eke.report.checked import checked_words

        click.echo(checked_words(checked), nl=False)
    if out["timeline"]:
        _draw(found, fleet, measured, out)


def _checked(found: Any, fleet: Any, measured: Sequence[Any], words: str) -> Any:
    """The finalists under a traffic."""
    from eke.checking import check
    from eke.cli.progress import passing
    from eke.simulation.traffic import traffic

    coming = traffic(words)
    with passing("simulated", coming.seconds) as progress:
        return check(found, fleet, coming, measured=measured, progress=progress)


def feasible(found: Any, as_json: bool) -> Any:
    """What was found; where it cannot be done, say why and end with exit code 3."""
    from eke.report.json import to_json
    from eke.report.words import infeasible_words
    from eke.types.need import Infeasible

    if isinstance(found, Infeasible):
        click.echo(to_json(found) if as_json else infeasible_words(found), nl=as_json)
        sys.exit(3)
    return found


def _for_engine(kind: str, given: dict[str, Any], name: str | None) -> None:
    """Look for plans that the engine to be written for has words for, at its own speed."""
    if not name:
        return
    from eke.launch import ABLE, WHOLE, known, runs

    engine = runs(known(name, kind), kind)
    given["engine"] = given.get("engine") or engine
    for field, values in ABLE.get(engine, {}).items():
        if field in given and given[field] is None:
            given[field] = values if len(values) > 1 else values[0]
    if name in WHOLE and not given["disaggregate"]:
        given["disaggregate"] = "never"


def _writer(of: Any, given: dict[str, Any], out: dict[str, Any]) -> Any:
    """A plan as the files of the engine it is written for."""
    from eke.launch import configuration
    from eke.launch.start import Start, checkpoint_of

    model = given["model"]
    path = Path(model)
    own = str(path.parent if path.is_file() else path) if path.exists() else None
    own = own or (model if "/" in model else None)
    checkpoint = checkpoint_of(of, out["checkpoint"] or own)

    def files(job: Any, plan: Any, fleet: Any) -> dict[str, str]:
        start = Start(
            job=job, plan=plan, fleet=fleet, checkpoint=checkpoint, command=command_words()
        )
        return configuration(out["write"], start)

    return files


def _write(found: Any, fleet: Any, given: dict[str, Any], out: dict[str, Any]) -> list[Path]:
    """Everything asked for as a file; of an engine's configuration, where it is."""
    paths: list[Path] = []
    if out["save"]:
        _save(found, given, out["save"])
    if out["write"]:
        folder = Path(out["folder"] or ".")
        files = _writer(found.job.model, given, out)(found.job, found.need.plan, fleet)
        for name, text in files.items():
            write_whole(folder / name, text)
            click.echo(f"written: {folder / name}", err=True)
        paths = [folder / name for name in files]
    return paths


STARTERS = {".sbatch": "sbatch", ".sh": "bash"}  # the first that there is
APPLIED = {"ray.yaml": "serve run"}  # else a cluster takes it


def _start(paths: list[Path]) -> str:
    """How to start what was written: its folder, and the command."""
    for suffix, starter in STARTERS.items():
        for path in paths:
            if path.suffix == suffix:
                return f"cd {path.parent} && {starter} {path.name}"
    return f"{APPLIED.get(paths[0].name, 'kubectl apply -f')} {paths[0]}" if paths else ""


def _draw(found: Any, fleet: Any, measured: Sequence[Any], out: dict[str, Any]) -> None:
    """A step of the plan as a picture, or for Perfetto. Raises BadInput for what is not drawn."""
    from eke.physics.scenarios import likely
    from eke.physics.timeline import timeline
    from eke.report.engine_step import step_picture
    from eke.report.timeline import schedule_picture
    from eke.report.trace import trace_json
    from eke.verbs import values_of

    path, plan = Path(out["timeline"]), found.need.plan
    if found.need.job == "serve":
        drawn = step_picture(found.need)
    else:
        knobs = likely(values_of(found.job, plan, fleet, measured))
        line = timeline(found.job, plan, fleet, knobs)
        drawn = (
            schedule_picture(line) if path.suffix == ".svg" else trace_json(line, command_words())
        )
    write_whole(path, drawn)
    click.echo(f"timeline: {path}", err=True)
    if out["opened"]:
        click.launch(str(path.resolve()))


def _save(found: Any, given: dict[str, Any], name: str) -> None:
    from eke.saved import saved_plan

    words = {**given, "split": getattr(found.job, "split", None)}
    text = saved_plan(found.need.job, words, found.need.plan, command_words())
    write_whole(Path(name), text)
    click.echo(f"plan: {name}", err=True)


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

    measures = [name.strip() for name in given["frontier"].split(",")]
    with counting("plans") as progress:
        answer = frontier(
            job,
            fleet,
            measures,
            goal,
            choices=decided,
            disaggregate=given["disaggregate"] or "may",
            progress=progress,
        )
    found = feasible(answer, out["as_json"])
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
