"""`eke serve usage`: what was used and charged, as a bill."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from eke.cli.serve.run import Moment


@click.command()
@click.argument("state")
@click.option("--since", type=Moment(), metavar="WHEN", help="2026-11-30 (UTC), or -30d.")
@click.option("--until", type=Moment(), metavar="WHEN", help="Requests that came before.")
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
    from eke.gateway.seeing.usage import usage

    rows = asyncio.run(_rows(state, since or 0.0, until or float(1 << 40)))
    for line in focus(usage(rows, _prices(prices))):
        click.echo(line, nl=False)


async def _rows(address: str, since: float, until: float) -> list[Any]:
    from eke.gateway.state.state import open_state

    state = open_state(address)
    try:
        return [kept.row async for kept in state.rows(since, until)]
    finally:
        await state.close()


def _prices(file: Path | None) -> dict[str, Any]:
    """Price lists by model."""
    if file is None:
        return {}
    from eke.cli.serve.beside import priced
    from eke.gateway.configuration import read

    return {model.name: model.price for model in read(file, priced).models}
