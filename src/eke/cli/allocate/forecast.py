"""`eke allocate forecast`: demand for chips against supply, quarter by quarter; published forecasts
beside each other."""

from __future__ import annotations

import click


@click.command()
@click.argument("names", nargs=-1, metavar="[FILE.toml | NAME …]")
@click.option("--published", is_flag=True, help="Published forecasts beside each other, or NAMEs.")
@click.option("--json", "as_json", is_flag=True, help="The same record as JSON.")
def command(names: tuple[str, ...], published: bool, as_json: bool) -> None:
    """Demand, chips, power and money per quarter, against supply.

    FILE.toml says who asks how much and what is trained; examples/allocate/forecast.toml is one.
    With --published, what others have forecast, all in one vocabulary: a table per quantity, what
    each implies, and which input tells them apart. NAMEs show those whole.
    """
    if published:
        _published(names, as_json)
        return


def _published(names: tuple[str, ...], as_json: bool) -> None:
    from eke.allocating.forecast_published import side_by_side
    from eke.cli.progress import progress
    from eke.report.forecast_published import published_words
    from eke.report.json import to_json

    with progress() as told:
        found = side_by_side(names, told)
    click.echo(to_json(found) if as_json else published_words(found), nl=as_json)
