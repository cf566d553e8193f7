"""`eke serve usage`: what was used and charged, as a bill."""

from __future__ import annotations

import asyncio
from math import inf
from pathlib import Path
from typing import Any

import click

from eke.cli.serve.run import Moment


@click.command()
@click.argument("state")
@click.option("--since", type=Moment(), metavar="WHEN", help="2026-11-30 (UTC), or -30d.")
@click.option("--until", type=Moment(), metavar="WHEN", help="Requests that ended before.")
@click.option(
    "--prices",
    type=click.Path(path_type=Path),
    metavar="gateway.toml",
    help="Price lists by which what was charged is divided among tokens.",
)
def command(state: str, since: float | None, until: float | None, prices: Path | None) -> None:
    """What each tenant used by hour, model and class of token, as CSV in the columns of FOCUS 1.2.

    STATE is an SQLite file or postgresql://…; gateways may be at work meanwhile.
    """
    from eke.gateway.seeing.focus import focus
    from eke.gateway.state.state import existing_state

    kept = existing_state(state)
    try:
        span = since or 0.0, inf if until is None else until
        groups = asyncio.run(_groups(kept, *span, _prices(prices)))
    finally:
        kept.database.shut()
    for line in focus(groups):
        click.echo(line, nl=False)


async def _groups(state: Any, since: float, until: float, prices: dict[str, Any]) -> Any:
    """What was used by those whose requests ended in a time, UTC [s]."""
    from eke.gateway.seeing.usage import Group, Sums, add

    groups: dict[Group, Sums] = {}
    async for kept in state.rows(since, until, "ended_at"):
        add(groups, kept.row, prices)
    return groups


def _prices(file: Path | None) -> dict[str, Any]:
    """Price lists by model."""
    if file is None:
        return {}
    from eke.gateway.configuration import models_of

    return {model.name: model.price for model in models_of(file)}
