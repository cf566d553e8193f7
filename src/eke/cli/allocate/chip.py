"""`eke allocate chip`: buy, rent or build."""

from __future__ import annotations

from typing import Any

import click

from eke.cli import options as opt
from eke.cli.allocate import page

WORKLOAD = ("model", "prompt", "answer", "rate", "ttft", "tpot", "reuse", "weights")


@click.command()
@click.argument("file", required=False, metavar="[FILE.toml]")
@click.option("--build", metavar="FILE.toml", help="The same: FILE.toml with a chip of one's own.")
@click.option("--volume", type=opt.RATE, metavar="N/yr", help="Chips of it, such as 200k/yr.")
@click.option(
    "--against",
    multiple=True,
    metavar="WAY,…",
    help="buy:CHIP, rent:CHIP or own:CHIP; a price of yours: rent:h200='2.5 USD/h'.",
)
@click.option("--model", metavar="MODEL", help="What is served.")
@click.option("--prompt", type=opt.TOKENS, help="Mean length of a prompt.")
@click.option("--answer", type=opt.TOKENS, help="Mean length of an answer.")
@click.option("--rate", type=opt.RATE, help="Requests at peak; without --build, whole chips.")
@click.option("--ttft", metavar="PROMISE", help="Time to first token: 500ms@p99.")
@click.option("--tpot", metavar="PROMISE", help="Time per output token: 40ms@p90.")
@click.option("--reuse", type=opt.NUMBER, help="Share of the prompt still cached: 60%.")
@click.option("--weights", type=click.Choice(opt.WIDTHS), help="Format of the weights.")
@click.option("--years", type=opt.DURATION, help="Of production, or of serving: '4 years'.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--samples",
    type=click.IntRange(100, 2_000_000),
    default=20_000,
    show_default=True,
    help="Cases drawn.",
)
@page.option
@click.option("--json", "as_json", is_flag=True, help="The same record as JSON.")
def command(**given: Any) -> None:
    """Buy, rent or build: the cost of a useful token in each way, and whether building pays.

    With a chip of one's own, a year's volume of it says how many tokens there are, and every other
    way serves the same; without one, the ways are compared for serving --rate. What options say
    goes before what the file says; see examples/allocate for files.
    """
    from eke.allocating.chips.answer import choose
    from eke.cli.plan import command_words, feasible
    from eke.cli.progress import counting
    from eke.report.chip_choice import choice_words
    from eke.report.chip_page import chip_page
    from eke.report.json import to_json

    page.check(given["report"])
    question = asked(given)
    with counting("plans") as progress:
        found = choose(question, progress)
    found = feasible(found, given["as_json"])
    if given["report"]:
        page.write(given["report"], chip_page(found, command_words()))
    following = "" if given["report"] else f"{command_words()} --report chips.html"
    words = to_json(found) + "\n" if given["as_json"] else choice_words(found, following)
    click.echo(words, nl=False)


def asked(given: dict[str, Any]) -> Any:
    """The question that the options describe."""
    from eke.allocating.chips.build_file import read_build
    from eke.allocating.chips.loads import loads
    from eke.allocating.chips.question import Question
    from eke.errors import BadInput

    if given["file"] and given["build"]:
        raise BadInput("FILE and --build are the same; give one of them.")
    name = given["file"] or given["build"]
    file = read_build(name) if name else None
    if given["volume"] is not None and (file is None or file.chip is None):
        raise BadInput("--volume is of a chip of one's own; give it with --build FILE.toml.")
    workload = {name: given[name] for name in WORKLOAD if given[name] is not None}
    ways = [part for text in given["against"] for part in text.split(",") if part.strip()]
    return Question(
        loads=loads(workload, file),
        against=tuple(ways) or (file.against if file is not None else ()),
        file=file,
        volume=given["volume"],
        years=given["years"],
        samples=given["samples"],
        seed=given["seed"],
    )
