"""`eke simulate`: what each user sees when traffic meets a plan."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import join
from typing import Any

import click

from eke.cli import options as opt

ENGINES = opt.stack(
    click.option(
        "--prefix-cache/--no-prefix-cache",
        "caching",
        default=None,
        help="Keep prefixes and find them again; default: where the traffic has any.",
    ),
    click.option("--swap", is_flag=True, help="Preempted sequences go to the host's memory."),
    click.option("--ordered", is_flag=True, help="Priorities count inside the engine too."),
    click.option("--static", is_flag=True, help="Batches begin and end together."),
)
SHARDS = opt.stack(
    click.option(
        "--shards",
        type=click.IntRange(1),
        metavar="N",
        help="So many gateways, each with its part of the replicas and of the traffic.",
    ),
    click.option("--processes", type=click.IntRange(1), metavar="N", help="Shards at once here."),
    click.option("--ray", metavar="ADDRESS", help="Shards on a Ray cluster; local starts one."),
)
WATCH = opt.stack(
    click.option("--until", type=opt.DURATION, help="Stop watching then."),
    click.option("--patience", type=opt.DURATION, help="Clients leave without a first token then."),
    click.option(
        "--forecast",
        type=click.Choice(["mean", "exact"]),
        default="mean",
        show_default=True,
        help="What a policy believes of an answer's length.",
    ),
    click.option("--report-every", type=opt.DURATION, help="Engines report so often; default 5s."),
    click.option("--report-late", type=opt.DURATION, help="How old a report is when heard."),
    click.option("--failures", metavar="TEXT", help="Such as 'every 30d, restart 5min'."),
    click.option(
        "--scale", metavar="TEXT", help="Such as 'from 1, target 70%, start 3min, calm 5min'."
    ),
)
OUT = opt.stack(
    click.option("--report", "page", metavar="FILE.html", help="One page with every chart."),
    click.option("--open", "opened", is_flag=True, help="Show that page."),
    click.option(
        "--out", metavar="FILE", help="A row per request: .csv, .csv.gz, .parquet or .arrow."
    ),
    click.option("--json", "as_json", is_flag=True, help="The numbers as JSON."),
)


@click.command()
@click.argument("words", nargs=-1, metavar="[serve MODEL]")
@click.option("--plan", "plan_file", metavar="FILE.toml", help="What `eke plan --save` wrote.")
@click.option("--on", "fleet", metavar="CHIPS", help="For example 16xh100-sxm.")
@click.option(
    "--traffic",
    metavar="TEXT",
    help="A trace, or words such as 'chat, 20/s, 1h, diurnal'; `--traffic help` lists them.",
)
@click.option(
    "--replay", metavar="FILE", help="A run of `eke serve run` or --out, on the engines it ran on."
)
@click.option(
    "--policy",
    default="fcfs",
    show_default=True,
    metavar="NAME,…",
    help="Several stand side by side; `--policy help` lists them.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--skip-bad", is_flag=True, help="Leave bad rows of a trace out, and count them.")
@click.option("--ttft", type=opt.DURATION, help="Promised first token, where requests say none.")
@click.option("--tpot", type=opt.DURATION, help="Promised time per output token.")
@opt.stack(WATCH, ENGINES, SHARDS, OUT, opt.layout, opt.serving_layout)
def command(**given: Any) -> None:
    """What each user sees when real traffic meets a plan, request by request.

    Either --plan FILE, or `serve MODEL --on CHIPS` with the layout of `eke plan`, over all chips;
    with --replay also neither: the engines are then those of that run, as fast as they were.
    """
    if given["traffic"] == "help" or given["policy"] == "help":
        click.echo(_help(given["traffic"] == "help"), nl=False)
        return
    if not given["traffic"] and not given["replay"]:
        raise click.UsageError(
            "say who comes: --traffic FILE or WORDS, see --traffic help; or --replay FILE."
        )
    _run(given)


def _help(of_traffic: bool) -> str:
    """The words that a traffic, or a policy, is made of."""
    from eke.report.text import table

    if of_traffic:
        from eke.simulation.traffic import HELP
        from eke.simulation.traffic.profiles import profiles

        known = ", ".join(sorted(profiles()))
        rows = [(word, says) for word, says in HELP.items()]
        return (
            f"A path, or one of {known}; then, with commas:\n\n" + table(rows, indent="  ") + "\n"
        )
    from eke.policy.naming import names

    rows = [(kind, ", ".join(found)) for kind, found in names().items()]
    return (
        "ORDER+ADDITION@ROUTER, such as fair+promise@prefix:\n\n" + table(rows, indent="  ") + "\n"
    )


def _run(given: dict[str, Any]) -> None:
    from eke.cli.replaying import who_comes
    from eke.report.page import page
    from eke.report.simulated import simulated_json, simulated_words
    from eke.simulating import policy_of
    from eke.simulation.engine.compiled import to_compile
    from eke.simulation.files import write_run
    from eke.simulation.statistics import summary
    from eke.simulation.traffic.changes import promised

    _check_files(given)
    replayed, coming = who_comes(given)
    coming = promised(coming, given["ttft"])
    policies = separate(given["policy"])
    watch = _watch(given)
    for policy in policies:
        policy_of(policy)  # a wrong name is said before all the work
    simulated = _prepared(given, coming, watch, replayed)
    if to_compile() and sys.stderr.isatty():
        click.echo("compiling the engines, once: about half a minute", err=True)
    runs = []
    for policy in policies:
        with _progress(policy, coming, given["until"]) as progress:
            runs.append(simulated(policy, progress))
        if _interrupted(runs[-1]):
            break
    made = runs
    runs = [replayed.observed, *made] if replayed else made
    summaries = [summary(run, given["ttft"], given["tpot"]) for run in runs]
    if given["out"]:
        _write_each(given["out"], made, write_run)
    if given["page"]:
        _write_page(given, page(runs, summaries, _title(given), command_words()))
    if given["as_json"]:
        click.echo(simulated_json(runs, summaries))
    else:
        click.echo(simulated_words(runs, summaries, _next(given)), nl=False)
    if _interrupted(runs[-1]):
        sys.exit(130)


def _check_files(given: dict[str, Any]) -> None:
    """Refuse files that could not be written after all the work."""
    from eke.errors import BadFile, BadInput
    from eke.simulation.files import check

    if given["page"] and not given["page"].endswith(".html"):
        raise BadFile(f"{given['page']}: a report is one page; give a name that ends in .html.")
    for name in (given["page"], given["out"]):
        if name and not Path(name).resolve().parent.is_dir():
            raise BadFile(f"{name}: there is no folder {Path(name).parent}; make it first.")
    if given["out"]:
        check(Path(given["out"]))
    alone = next((name for name in ("processes", "ray") if given[name] and not given["shards"]), "")
    if alone:
        raise BadInput(f"--{alone} runs shards side by side; say how many, such as --shards 2.")
    if given["opened"] and not given["page"]:
        raise BadInput("--open shows the page of --report; give that too.")


def _prepared(
    given: dict[str, Any], coming: Any, watch: Any, replayed: Any
) -> Callable[[str, Any], Any]:
    """A simulation that only lacks its policy: the plan and its replicas are found once."""
    from eke.cli.replaying import on_its_engines
    from eke.observing.replaying import whole
    from eke.report.words import layout
    from eke.simulating import deployed, fill, job_of, policy_of
    from eke.simulation.simulator import run
    from eke.simulation.survey import survey
    from eke.types.record import replace

    if replayed and not (given["words"] or given["plan_file"] or given["fleet"]):
        return on_its_engines(given, coming, watch, _settings(given, replayed.caching), replayed)
    seen = survey(coming)
    seen = replace(seen, shares=replayed.caching) if replayed else seen
    job, fleet, plan, measured, decided = _asked(given)
    asked = job_of(job, seen)
    if plan is None:
        plan = fill(asked, fleet, decided, measured)
        words = layout(plan, "found by eke plan for the traffic's peak", "serve").strip()
        click.echo(words, err=True)
    ready = deployed(asked, plan, fleet, seen, _settings(given, seen.shares), measured)
    if given["shards"]:
        return _in_shards(given, ready, watch)

    def simulated(policy: str, progress: Any) -> Any:
        made = run(
            ready,
            coming,
            policy_of(policy),
            watch,
            label=policy,
            seed=given["seed"],
            progress=progress,
        )
        return whole(made, replayed) if replayed else made

    return simulated


def _in_shards(given: dict[str, Any], ready: Any, watch: Any) -> Callable[[str, Any], Any]:
    """The same in several shards, side by side."""
    from eke.sharding import sharded, shards_of

    same = {name: given[name] for name in ("seed", "skip_bad", "ttft")}
    shards_of(ready, given["traffic"], "fcfs", watch, given["shards"], **same)

    def simulated(policy: str, progress: Any) -> Any:
        shards = shards_of(ready, given["traffic"], policy, watch, given["shards"], **same)
        return sharded(shards, given["processes"] or 1, given["ray"], progress)

    return simulated


def _asked(given: dict[str, Any]) -> tuple[Any, Any, Any, list[Any], dict[str, Any]]:
    """Job, fleet and plan of a file, or of the words; then no plan, and what of it is decided."""
    from eke.asking import ask, choices
    from eke.cli.need import own
    from eke.errors import BadInput
    from eke.saved import read_plan
    from eke.types.job import Serve

    words = given["words"]
    if given["plan_file"]:
        if words or given["fleet"]:
            raise BadInput("--plan has the model and the chips already; drop the others.")
        if said := [*choices(given), *(["prefill_on"] if given["prefill_on"] else [])]:
            raise BadInput(
                f"--plan has the layout already; drop --{said[0].replace('_', '-')}, or change it "
                f"in {given['plan_file']}."
            )
        job, fleet, plan = read_plan(given["plan_file"])
        if not isinstance(job, Serve):
            raise BadInput(
                f"{given['plan_file']} is no plan for serving; only serving is simulated."
            )
        return job, fleet, plan, own(given["measured"], fleet.name or given["plan_file"]), {}
    if len(words) != 2 or words[0] != "serve" or not given["fleet"]:
        raise BadInput(
            "say what runs where: `eke simulate serve MODEL --on 16xh100-sxm --traffic …`, or "
            "--plan FILE.toml of `eke plan --save`."
        )
    rest = {name: value for name, value in given.items() if name not in NOT_ASKED}
    job, fleet, decided = ask("serve", {**rest, "model": words[1]})
    return job, fleet, None, own(given["measured"], given["fleet"]), decided


NOT_ASKED = ("words", "ttft", "tpot", "measured", "plan_file", "replay")


def _settings(given: dict[str, Any], shares: bool) -> Any:
    """Of the engines. shares: whether prompts begin like others."""
    from eke.errors import BadInput
    from eke.simulation.deployment import Settings

    if given["static"] and given["ordered"]:
        raise BadInput("--static takes whole batches in the order they came; drop --ordered.")
    caching = shares if given["caching"] is None else given["caching"]
    return Settings(
        caching=caching, ordered=given["ordered"], static=given["static"], swap=given["swap"]
    )


def _watch(given: dict[str, Any]) -> Any:
    from eke.simulation.watch import Failures, Scaling, Watch

    failing = _settings_of("--failures", given["failures"], Failures)
    scaling = _settings_of("--scale", given["scale"], Scaling)
    every, late = given["report_every"], given["report_late"]
    return Watch(
        until=given["until"],
        report=5.0 if every is None else every,
        late=late or 0.0,
        patience=given["patience"],
        forecast=given["forecast"],
        failures=failing,
        scaling=scaling,
    )


SAID = {
    "--failures": {"every": "s", "restart": "s"},
    "--scale": {"from": "1", "target": "1", "start": "s", "every": "s", "calm": "s"},
}


def _settings_of(option: str, text: str | None, record: Any) -> Any:
    """Words such as "every 30d, restart 5min" as the fields of a record."""
    from eke.errors import BadInput
    from eke.units import quantity

    if text is None:
        return None
    found: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition(" ")
        if name not in SAID[option]:
            raise BadInput(f"{option} {part.strip()!r:.40}: expected {', '.join(SAID[option])}.")
        found[name] = quantity(value, SAID[option][name])
    if "from" in found:
        found["least"] = int(found.pop("from"))
    if option == "--failures" and "every" not in found:
        raise BadInput("--failures: say how often, such as 'every 30d'.")
    return record(**found)


def separate(text: str) -> list[str]:
    """Policies with commas between, which may also stand inside brackets."""
    from eke.errors import BadInput

    found, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    names = [name.strip() for name in found if name.strip()]
    if len(set(names)) < len(names) or not names:
        raise BadInput(f"policies {text!r:.60}: name each once, with commas between.")
    return names


def _progress(policy: str, coming: Any, until: float | None) -> Any:
    from eke.cli.progress import passing

    return passing(policy, until or coming.seconds)


def _interrupted(run: Any) -> bool:
    return any(remark.startswith("interrupted") for remark in run.remarks)


def _write_each(name: str, runs: Sequence[Any], write: Any) -> None:
    """One file per policy; with several, the name of each comes before the ending."""
    path = Path(name)
    stem, dot, ending = path.name.partition(".")
    for run in runs:
        plain = "".join(
            letter if letter.isalnum() or letter in "-_" else "-" for letter in run.label
        )
        own = path if len(runs) == 1 else path.with_name(f"{stem}-{plain}{dot}{ending}")
        write(own, run)
        click.echo(f"requests: {own}", err=True)


def _write_page(given: dict[str, Any], text: str) -> None:
    from eke.writing import write_whole

    path = Path(given["page"])
    write_whole(path, text)
    click.echo(f"report: {path}", err=True)
    if given["opened"]:
        click.launch(str(path.resolve()))


def _title(given: dict[str, Any]) -> str:
    who = given["replay"] or given["traffic"]
    if given["plan_file"]:
        return f"{given['plan_file']}: {who}"
    return f"{given['words'][1]} on {given['fleet']}: {who}" if given["words"] else str(who)


def _next(given: dict[str, Any]) -> str:
    """What to do next: look at it, or try another policy."""
    if not given["page"]:
        return f"{command_words()} --report out.html"
    other = "" if "," in given["policy"] else "; and with --policy fcfs,fair,priority"
    return f"open {given['page']} in a browser{other}"


def command_words() -> str:
    """The user's own words."""
    return join(["eke", *sys.argv[1:]])
