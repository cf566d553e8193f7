"""`eke allocate FILE`: who gets which chips and when."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from eke.cli.allocate import page


@click.command()
@click.argument("path", metavar="FILE.toml")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Solve again with that changed, such as pools.h100.chips=9000, and say what moves.",
)
@click.option("--against", metavar="FILE.json", help="Say what moved since that answer.")
@click.option("--no-slip", is_flag=True, help="Do not look at deliveries that come later.")
@page.option
@click.option("--open", "opened", is_flag=True, help="Show that page.")
@click.option("--json", "as_json", is_flag=True, help="The same record as JSON.")
def command(
    path: str,
    changes: tuple[str, ...],
    against: str | None,
    no_slip: bool,
    report: str | None,
    opened: bool,
    as_json: bool,
) -> None:
    """Pools of chips over time and the uses that compete for them: shares, refusals, prices.

    FILE.toml has [pools], [uses], and [sites] and [day] where those matter; see examples/allocate.
    """
    from eke.allocating.sharing.read import read_provider
    from eke.allocating.sharing.verb import allocate
    from eke.allocating.sharing.ways import Planned
    from eke.cli.progress import solving
    from eke.errors import BadInput

    page.check(report)
    if opened and not report:
        raise BadInput("--open shows the page of --report; say where that is to be written.")
    if changes and against:
        raise BadInput("--set says what to change, --against what was before; give one of them.")
    before = _earlier(against) if against else None
    known: Planned = {}
    with solving() as told:
        found = allocate(read_provider(path), slip=not no_slip, known=known, told=told)
        if changes:
            before = found
            changed = read_provider(path, changes)
            found = allocate(changed, slip=not no_slip, known=known, told=told)
    _say(path, found, before, report, as_json)
    if report and opened:
        click.launch(report)


def _earlier(path: str) -> Any:
    """An answer that --json wrote."""
    import msgspec

    from eke.catalog.files import read_bytes
    from eke.errors import BadFile
    from eke.types.share import Allocation

    try:
        return msgspec.json.decode(read_bytes(Path(path), largest=1_000_000_000), type=Allocation)
    except msgspec.MsgspecError as error:
        raise BadFile(f"{path}: is no answer of `eke allocate FILE --json`: {error}.") from None


def _say(path: str, found: Any, before: Any, report: str | None, as_json: bool) -> None:
    from eke.allocating.sharing.compare import difference
    from eke.report.allocated import allocated_words, clash_words, difference_words
    from eke.report.json import to_json
    from eke.types.share import Allocation, Clash

    if isinstance(found, Clash):
        click.echo(to_json(found) if as_json else clash_words(found), nl=as_json)
        sys.exit(3)
    moved = difference("", before, found) if isinstance(before, Allocation) else None
    if report:
        from eke.report.allocated_page import allocated_page

        command = " ".join(["eke", *sys.argv[1:]])
        page.write(report, allocated_page(found, moved, command))
    if as_json:
        click.echo(to_json(found if moved is None else [found, moved]))
        return
    click.echo(allocated_words(found, _next(path, found)), nl=False)
    if moved is not None:
        click.echo(difference_words(moved))


def _next(path: str, found: Any) -> str:
    """What to look at then."""
    own = [pool for pool in found.pools if max(pool.there) > 0]
    if not own:
        return f"eke allocate {path} --report FILE.html"
    pool = max(own, key=lambda each: sum(each.price))
    chips = found.words["pools"][pool.pool].get("chips", 0)
    number = max(round(float(chips) * 1.1), 8)
    return f"eke allocate {path} --set pools.{pool.pool}.chips={number}   (or --report FILE.html)"
