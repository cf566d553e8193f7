"""`eke allocate forecast`: demand for chips against supply, quarter by quarter; published forecasts
beside each other."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import join
from typing import Any

import click


@click.command()
@click.argument("names", nargs=-1, metavar="[FILE.toml | NAME …]")
@click.option("--published", is_flag=True, help="Published forecasts beside each other, or NAMEs.")
@click.option("--like", metavar="NAME", help="The question of a published forecast, put to eke.")
@click.option("--report", metavar="FILE.html", help="The answer as a page with charts.")
@click.option("--json", "as_json", is_flag=True, help="The same record as JSON.")
def command(
    names: tuple[str, ...], published: bool, like: str | None, report: str | None, as_json: bool
) -> None:
    """Demand, chips, power and money per quarter, against supply.

    FILE.toml says who asks how much and what is trained; examples/allocate/forecast.toml is one.
    With --published, what others have forecast, all in one vocabulary: a table per quantity, what
    each implies, and which input tells them apart. NAMEs show those whole.
    """
    from eke.errors import BadFile, BadInput

    if report and Path(report).suffix not in (".html", ".htm"):
        raise BadFile(f"{report}: a report is a page; give a name that ends in .html.")
    if published:
        if like:
            raise BadInput("--published and --like exclude each other; give one of them.")
        _published(names, report or "", as_json)
        return
    if len(names) + bool(like) != 1:
        raise BadInput(
            "say what to forecast: a file such as examples/allocate/forecast.toml, or --like and a "
            "name out of `eke allocate forecast --published`."
        )
    _forecast(names[0] if names else "", like or "", report or "", as_json)


def _published(names: tuple[str, ...], report: str, as_json: bool) -> None:
    from eke.allocating.forecasts.published import published_forecasts
    from eke.catalog.forecasts import published as forecast_of
    from eke.cli.progress import progress
    from eke.report.forecast_published import published_words
    from eke.report.json import to_json

    with progress() as told:
        found = published_forecasts(names, told)
    if report:
        from eke.report.forecast_published_page import published_page

        _write(report, published_page(found, command_words()))
    claim = next((claim for name in names if (claim := forecast_of(name).claim)), "")
    following = f"eke claims {claim}" if claim else ""
    click.echo(to_json(found) if as_json else published_words(found, following), nl=as_json)


def _forecast(file: str, like: str, report: str, as_json: bool) -> None:
    from eke.allocating.forecasts.answer import forecast
    from eke.allocating.forecasts.reading import asked_like, read_forecast
    from eke.catalog.forecasts import forecast_names
    from eke.cli.progress import progress
    from eke.errors import BadInput
    from eke.report.forecast import forecast_words
    from eke.report.json import to_json

    if not like and file in forecast_names() and not Path(file).exists():
        raise BadInput(
            f"{file} is a published forecast, not a file: --published {file} shows it, and --like "
            f"{file} puts its question to eke."
        )
    asked: Any = asked_like(like) if like else read_forecast(file)
    with progress() as told:
        found = forecast(asked, told)
    if report:
        from eke.report.forecast_page import forecast_page

        _write(report, forecast_page(found, command_words()))
    following = "" if report else f"{command_words()} --report forecast.html"
    click.echo(to_json(found) if as_json else forecast_words(found, following), nl=as_json)


def _write(name: str, page: str) -> None:
    from eke.writing import write_whole

    write_whole(Path(name), page)
    click.echo(f"report: {name}", err=True)


def command_words() -> str:
    """The user's own words."""
    return join(["eke", *sys.argv[1:]])
