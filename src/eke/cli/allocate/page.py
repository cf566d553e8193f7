"""What `--report FILE.html` takes and does."""

from __future__ import annotations

from pathlib import Path

import click

from eke.errors import BadFile

option = click.option("--report", metavar="FILE.html", help="The answer as a page with charts.")


def check(name: str | None) -> None:
    """Refuse what is no page before anything takes long. Raises BadFile."""
    if name and Path(name).suffix not in (".html", ".htm"):
        raise BadFile(f"{name}: a report is a page; give a name that ends in .html.")


def write(name: str, text: str) -> None:
    """The page whole, or none of it."""
    from eke.writing import write_whole

    write_whole(Path(name), text)
    click.echo(f"report: {name}", err=True)
