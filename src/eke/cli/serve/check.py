"""`eke serve check`: what was recorded, told again to a fresh policy."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("record", type=click.Path(path_type=Path))
def command(record: Path) -> None:
    """Tell a fresh policy every event of RECORD, and compare what it answers.

    RECORD is the file of `eke serve --record`. The same policy answers the same; where it does not,
    the first difference is shown and the exit code is 2.
    """
    from eke.gateway.recording import told_again

    told = told_again(record)
    click.echo(f"{told.events:,} events told again: every answer is the same.")
    for words in told.ends:
        click.echo(f"{record}, {words}.")
