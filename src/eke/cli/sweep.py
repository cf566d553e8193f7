"""`eke plan … --sweep sweep.toml`: many questions as one table."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eke.cli import options as opt
from eke.cli.cells import Words, as_words, marked, parsed_cells, spelled

if TYPE_CHECKING:
    from eke.sweep.crew import Asked, Crew
    from eke.sweep.rows import Question
    from eke.sweep.run import Tell, Work

OPTIONS = opt.stack(
    click.option("--sweep", metavar="FILE.toml", help="Many plans: a [grid] of these options."),
    click.option("--out", metavar="FILE", help="Table of a sweep: .csv or .parquet."),
    click.option(
        "--processes", type=click.IntRange(1), metavar="N", help="Plan a sweep with so many."
    ),
    click.option("--ray", metavar="ADDRESS", help="Plan a sweep on Ray: address, auto, or local."),
)
NAMES = ("sweep", "out", "processes", "ray")
ALONE = (  # what shows or writes one plan
    *("as_json", "picture", "timeline", "opened", "write", "folder", "checkpoint", "save"),
    "frontier",
)


class Swept(click.Command):
    """A command of `eke plan`: for one plan, or with --sweep for one per cell."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """With --sweep, the words stay as they are until a cell completes them."""
        raw, rest, _ = self.make_parser(ctx).parse_args(list(args))
        raw = {name: value for name, value in raw.items() if isinstance(value, str | list | bool)}
        if "sweep" not in raw or raw.get("help"):
            super().parse_args(ctx, args)
            own = [name for name in NAMES if ctx.params.pop(name, None) is not None]
            if own:
                ctx.fail(f"--{own[0]} is of a sweep; give --sweep FILE.toml too.")
            return []
        if rest:
            ctx.fail(f"got unexpected extra arguments ({' '.join(rest)})")
        for param in self.params:
            if param.name in ALONE and param.name in raw:
                ctx.fail(f"{param.opts[0]} is of one plan; a sweep makes a table, see --out.")
        own_words = as_words(STUB, {name: raw.pop(name) for name in NAMES if name in raw})
        ctx.params = STUB.make_context(str(ctx.info_name), list(own_words), ctx.parent).params
        ctx.meta[__name__] = raw
        return []

    def invoke(self, ctx: click.Context) -> Any:
        """The plan, or the table."""
        if __name__ not in ctx.meta:
            return super().invoke(ctx)
        options = {spelled(each): each for each in self.params if each.name not in (*NAMES, *ALONE)}
        return run(Words(self, ctx.parent, ctx.meta.pop(__name__), options), **ctx.params)


STUB = OPTIONS(click.Command("sweep"))


def run(words: Words, sweep: str, out: str | None, processes: int | None, ray: str | None) -> None:
    """The table; exit code 3 where all of it is infeasible, 2 where all of it is errors."""
    from eke.errors import BadInput
    from eke.sweep.grid import read_grid
    from eke.sweep.run import Work

    if processes and ray:
        raise BadInput("--processes and --ray exclude each other; give one of them.")
    kind = str(words.command.name)
    grid = read_grid(Path(sweep), words.takes())
    work = Work(kind, grid, _asks(kind, parsed_cells(words, grid, sweep)))
    hands = _crew(kind, processes, ray)
    outcomes = _printed(work, hands) if out is None else _written(work, hands, words, Path(out))
    codes = {"infeasible": 3, "error": 2}
    sys.exit(codes.get(next(iter(outcomes)), 0) if len(outcomes) == 1 else 0)


def _printed(work: Work, hands: AbstractContextManager[Crew]) -> Counter[str]:
    """The table on stdout, as it comes."""
    from eke.cli.progress import progress
    from eke.sweep.run import print_rows
    from eke.sweep.table import csv_rows

    stdout = sys.stdout  # as it is before others, such as Ray, are kept from writing there
    outcomes: Counter[str] = Counter()
    how = "with --out FILE the next run could go on"
    shown: AbstractContextManager[Tell] = _quiet() if stdout.isatty() else progress()
    with _stoppable(outcomes.total, work, how), shown as tell, hands as crew:
        print_rows(work, crew, csv_rows(stdout), outcomes, tell)
    click.echo(_summary(outcomes), err=True)
    return outcomes


def _written(
    work: Work, hands: AbstractContextManager[Crew], words: Words, path: Path
) -> Counter[str]:
    """The table as a file; until it is whole, its rows are kept beside it."""
    import eke
    from eke.cli.progress import progress
    from eke.sweep.journal import Journal, Sweep
    from eke.sweep.run import keep_rows, kept_rows
    from eke.sweep.table import writer

    write, columns = writer(path), work.columns
    outcomes: Counter[str] = Counter()
    sweep = Sweep(
        eke=eke.__version__,
        cells=work.grid.cells,
        columns=len(columns) - len(work.grid.names),
        fingerprint=marked(words, work.grid),
    )
    with Journal(path.with_name(f"{path.name}.partial.jsonl"), sweep) as journal:
        before = len(journal.finished)
        with _stoppable(lambda: len(journal.finished), work, "the same command goes on from there"):
            if before < work.grid.cells:
                with progress() as tell, hands as crew:
                    keep_rows(work, crew, journal, tell)
            write(path, columns, kept_rows(work, journal, outcomes))
        journal.remove()
    earlier = f", {before:,} of them by an earlier run" if before else ""
    click.echo(f"{_summary(outcomes)}{earlier}: {path}", err=True)
    return outcomes


def _summary(outcomes: Counter[str]) -> str:
    words = [f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items(), reverse=True)]
    return f"{outcomes.total():,} cells: {', '.join(words)}"


@contextmanager
def _quiet() -> Iterator[Tell]:
    """Where the table itself runs over the terminal."""
    yield lambda done, total, words: None


@contextmanager
def _stoppable(done: Callable[[], int], work: Work, how: str) -> Iterator[None]:
    """An interrupt says how far it got."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\nstopped at {done():,} of {work.grid.cells:,} cells; {how}.", err=True)
        sys.exit(130)


def _crew(kind: str, processes: int | None, ray: str | None) -> AbstractContextManager[Crew]:
    """Who plans. The user's catalogue folders go with the cells to where they are planned."""
    from eke.catalog.files import folders
    from eke.sweep import crew
    from eke.sweep.rows import answered

    solve = partial(answered, kind)
    ready = partial(use_folders, [str(folder.resolve()) for folder in folders()[:-1]])
    if ray:
        from eke.sweep.cluster import cluster

        return cluster(ray, solve, ready)
    return crew.processes(processes, solve, ready) if processes else crew.alone(solve)


def use_folders(names: list[str]) -> None:
    """Put a user's folders before the built-in catalogue, the first named first."""
    from eke.catalog.files import use_folder

    for name in reversed(names):
        use_folder(name)


def _asks(kind: str, parsed: Callable[[int], dict[str, Any]]) -> Callable[[int], Asked]:
    """What each cell asks, or why it cannot; a model or fleet is read once for many cells."""
    from eke.catalog.fleets import fleet
    from eke.catalog.models import model
    from eke.errors import EkeError

    fleet_of, model_of = lru_cache(fleet), lru_cache(model)

    def asks(index: int) -> Asked:
        given = parsed(index)
        try:
            return _question(kind, {**given, "model": model_of(given["model"])}, fleet_of)
        except EkeError as error:
            return str(error)

    return asks


def _question(kind: str, given: dict[str, Any], fleet_of: Callable[[str], Any]) -> Question:
    from eke.cli.plan import question
    from eke.sweep.rows import Question

    job, fleet, goal, choices, measured = question(kind, given, fleet_of)
    return Question(
        job=job,
        fleet=fleet,
        goal=goal,
        choices=choices,
        measured=tuple(measured),
        disaggregate=given["disaggregate"] or "may",
        grown=bool(given["among"]),
    )
