"""What `--report FILE.html` takes and does."""

from __future__ import annotations

from pathlib import Path

import click

from eke.errors import BadFile

option = click.option("--report", metavar="FILE.html", help="The answer as a page with charts.")


def check(name: str | None) -> None:
    """Refuse what is no page, or has no folder, before anything takes long. Raises BadFile."""
    if name and Path(name).suffix not in (".html", ".htm"):
        raise BadFile(f"{name}: a report is a page; give a name that ends in .html.")
    if name and not Path(name).absolute().parent.is_dir():
        raise BadFile(f"{name}: no such folder; make it first.")


def write(name: str, text: str) -> None:
    """The page whole, or none of it."""
    from eke.writing import write_whole

    write_whole(Path(name), text)
    click.echo(f"report: {name}", err=True)
