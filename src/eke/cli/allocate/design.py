"""`eke allocate design`: how to spend the area of a chip."""

from __future__ import annotations

from typing import Any

import click

from eke.cli import options as opt
from eke.cli.allocate import page

AREA = opt.Quantity("m2")


class Words(click.ParamType[Any]):
    """Several words separated by commas."""

    name = "words"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


@click.command()
@click.argument("file", required=False, metavar="[FILE.toml]")
@click.option("--model", metavar="MODEL", help="What is served.")
@click.option("--prompt", type=opt.TOKENS, help="Mean length of a prompt.")
@click.option("--answer", type=opt.TOKENS, help="Mean length of an answer.")
@click.option("--ttft", metavar="PROMISE", help="Time to first token: 500ms@p99.")
@click.option("--tpot", metavar="PROMISE", help="Time per output token: 40ms@p90.")
@click.option("--reuse", type=opt.NUMBER, help="Share of the prompt still cached: 60%.")
@click.option("--weights", type=click.Choice(opt.WIDTHS), help="Format of the weights.")
@click.option("--node", "process", metavar="NODE", help="Process: n7, n5, n3 or n2; default n5.")
@click.option("--area", type=AREA, metavar="mm2", help="Of all dies, at most: '1716 mm2'.")
@click.option("--memory", metavar="KIND", help="HBM2e, HBM3, HBM3e or HBM4.")
@click.option("--shapes", type=Words(), metavar="SHAPE,…", help="Of gpu, systolic, wafer.")
@click.option("--references", type=Words(), metavar="CHIP,…", help="Of the catalogue, beside.")
@click.option("--volume", type=opt.RATE, metavar="N/yr", help="Pays design and software too.")
@click.option("--save", metavar="FILE.toml", help="The best per dollar, for allocate chip.")
@page.option
@click.option("--json", "as_json", is_flag=True, help="The same record as JSON.")
def command(**given: Any) -> None:
    """Die area between matrix units, memory on the die, memory interfaces and links.

    Every way to spend it becomes a chip, is laid out for the workload and priced; what none beats
    in tokens per dollar and per joule is shown, beside chips that exist. FILE.toml may name
    several loads with their shares; see examples/allocate/design.toml.
    """
    from pathlib import Path

    from eke.allocating.designs.answer import design
    from eke.allocating.designs.files import as_file, read_wish
    from eke.cli.plan import command_words, feasible
    from eke.cli.progress import progress
    from eke.report.design_page import design_page
    from eke.report.designs import designs_words
    from eke.report.json import to_json
    from eke.writing import write_whole

    page.check(given["report"])
    name, save = given.pop("file"), given.pop("save")
    wish = read_wish(name, given)
    with progress() as tell:
        found = design(wish, tell)
    found = feasible(found, given["as_json"])
    if save:
        write_whole(Path(save), as_file(found.points[0], found.node))
        click.echo(f"design: {save}", err=True)
    if given["report"]:
        page.write(given["report"], design_page(found, command_words()))
    if given["as_json"]:
        click.echo(to_json(found))
    else:
        click.echo(designs_words(found, command_words(), save or ""), nl=False)
