"""`eke serve run`: what happened, as the table that `eke simulate --replay` reads."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from shlex import join
from typing import Any

import click

from eke.errors import BadQuantity


class Moment(click.ParamType[float]):
    """A moment as UTC [s]: a date, with a time or without, or how long ago, such as -24h."""

    name = "moment"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        from eke.units import quantity

        if isinstance(value, float):
            return value
        try:
            if value.startswith("-"):
                return time.time() - quantity(value[1:], "s")
            found = datetime.fromisoformat(value)
        except (ValueError, BadQuantity):
            self.fail(f"{value!r:.40}: expected a date, 2026-11-30 or 2026-11-30T08:00, or -24h.")
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


@click.command()
@click.argument("state")
@click.option("--out", metavar="FILE", help="Written there: .csv, .csv.gz, .parquet or .arrow.")
@click.option("--since", type=Moment(), metavar="WHEN", help="2026-11-30 (UTC), or -24h.")
@click.option("--until", type=Moment(), metavar="WHEN", help="Requests that came before.")
@click.option("--tenant", "tenants", multiple=True, metavar="NAME", help="Of it alone; several.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Of it alone; several.")
@click.option("--json", "as_json", is_flag=True, help="The numbers as JSON.")
def command(state: str, out: str | None, as_json: bool, **given: Any) -> None:
    """What happened to every request, from STATE: an SQLite file or postgresql://…

    With --out a row per request, which `eke simulate --replay` plays under other policies; no text
    of anybody is in it. Gateways may be at work meanwhile; what is under way has no row yet.
    """
    from eke.observing.gathering import Wanted, observed
    from eke.report.simulated import simulated_json, simulated_words
    from eke.simulation.files import check, write_run
    from eke.simulation.statistics import summary

    if out:
        check(Path(out))
    run = observed(state, Wanted(**{name: value for name, value in given.items() if value}))
    numbers = summary(run)
    if out:
        write_run(Path(out), run)
        click.echo(f"requests: {out}", err=True)
    if as_json:
        click.echo(simulated_json([run], [numbers]))
    else:
        click.echo(simulated_words([run], [numbers], _next(state, out)), nl=False)


def _next(state: str, out: str | None) -> str:
    """What to do next."""
    if out is None:
        shown = "postgresql://…" if "://" in state else state  # it may hold a password
        return f"{join(['eke', 'serve', 'run', shown])} --out run.csv.gz"
    return f"{join(['eke', 'simulate', '--replay', out])} --policy fair,deadline"
