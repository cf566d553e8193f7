"""`eke allocate tiers`: 8k for all, 32k for whom?"""

from __future__ import annotations

import sys
from shlex import join, quote
from typing import Any

import click

from eke.cli import options as opt
from eke.cli.allocate import page

PLAN = ("tensor", "pipeline", "expert", "data", "weights", "compute", "cache", "engine")
layout = opt.stack(
    *(opt.degree(name, opt.DEGREE_WORDS[name]) for name in PLAN[:4]),
    click.option("--weights", type=click.Choice(opt.WIDTHS), help="Format of the weights."),
    click.option("--compute", type=click.Choice(opt.COMPUTE), help="Format computed in."),
    click.option("--cache", type=click.Choice(opt.WIDTHS), help="Format of keys and values."),
    click.option("--engine", metavar="NAME", help="What runs it, such as vllm."),
)


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--on", "fleet", required=True, metavar="CHIPS", help="Such as 512xh100-sxm.")
@click.option("--demand", required=True, metavar="FILE.toml", help="Users, tiers and promises.")
@click.option("--users", metavar="N", help="Instead of the file's, such as 1.2M.")
@click.option("--longer", metavar="TIERS", help="Instead of the file's, such as 32k,64k.")
@click.option("--ttft", metavar="PROMISE", help="Of all tiers, such as 2s@p90.")
@click.option("--tpot", metavar="PROMISE", help="Time per output token, such as 60ms@p90.")
@click.option("--price", type=opt.RENT, metavar="USD/h", help="Rent of one chip.")
@click.option("--own", is_flag=True, help="Bought and written off, energy paid, not rented.")
@layout
@page.option
@click.option("--json", "as_json", is_flag=True, help="The same record as JSON.")
def command(**given: Any) -> None:
    """How many users may have 32k (64k, 128k) beside 8k for all, at what latency and price.

    Also what it saves to keep conversations between their turns against sending them again. The
    file says who asks for what; examples/allocate/longer-context.toml is one.
    """
    run(given)


def run(given: dict[str, Any]) -> None:
    """Answer on stdout; exit code 3 where not even the base tier for all fits."""
    from eke.allocating.tiers.answer import context_tiers
    from eke.allocating.tiers.demand import read_demand
    from eke.asking import ask
    from eke.cli.plan import command_words, feasible
    from eke.cli.progress import progress
    from eke.report.json import to_json
    from eke.report.tiers import tiers_words
    from eke.report.tiers_page import tiers_page

    page.check(given["report"])
    demand = read_demand(given["demand"], _instead(given))
    names = ("model", "fleet", "price", "own", *PLAN)
    job, where, decided = ask("serve", {name: given[name] for name in names})
    with progress() as tell:
        found = context_tiers(job.model, where, demand, choices=decided, progress=tell)
    found = feasible(found, given["as_json"])
    if given["report"]:
        page.write(given["report"], tiers_page(found, command_words()))
    words = to_json(found) + "\n" if given["as_json"] else tiers_words(found, _next(given, found))
    click.echo(words, nl=False)


def _instead(given: dict[str, Any]) -> dict[str, Any]:
    """What the command line says in place of the file."""
    longer = given["longer"]
    said = {name: given[name] for name in ("users", "ttft", "tpot")}
    return said | {"longer": [part.strip() for part in longer.split(",")] if longer else None}


def _next(given: dict[str, Any], found: Any) -> str:
    """The page of this answer; where there is one, the layout for the base tier alone."""
    if not given["report"]:
        return join(["eke", *sys.argv[1:], "--report", "tiers.html"])
    base, demand = found.demand.base, found.demand
    rate = demand.users * base.asks * demand.peak
    words = f"eke plan serve {quote(given['model'])} --on {quote(given['fleet'])} "
    words += f"--rate {rate:.3g}/s --prompt {base.prompt:.0f} --answer {base.answer:.0f}"
    for name, promise in (("ttft", base.ttft), ("tpot", demand.tpot)):
        if promise is not None:
            words += f" --{name} {promise.limit * 1e3:g}ms@p{100 * promise.percentile:g}"
    return words
