"""The words of a command line with those of a cell of a sweep: parsed by the same command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from eke.sweep.grid import Grid, Takes, Value

Raw = dict[str, Any]  # parameter → its text, as click takes a command line apart


class Words(NamedTuple):
    """The words of a command line, of which a cell may change or add some. options: what a cell
    may say, spelled as on the command line."""

    command: click.Command
    parent: click.Context | None
    raw: Raw
    options: dict[str, click.Parameter]

    def takes(self) -> dict[str, Takes]:
        """Whether each option takes one text, several, or none."""
        return {name: _takes(each) for name, each in self.options.items()}

    def parsed(self, cell: Mapping[str, Value]) -> dict[str, Any]:
        """What click makes of the words and a cell's together."""
        said = {str(self.options[name].name): value for name, value in cell.items()}
        words = list(as_words(self.command, {**self.raw, **said}))
        with self.command.make_context(str(self.command.name), words, self.parent) as ctx:
            return dict(ctx.params)


def spelled(param: click.Parameter) -> str:
    """An option without its dashes; an argument by its name."""
    return max(param.opts, key=len).removeprefix("--")


def _takes(param: click.Parameter) -> Takes:
    if getattr(param, "is_flag", False):
        return "nothing"
    return "several" if getattr(param, "multiple", False) else "one"


def as_words(command: click.Command, raw: Raw) -> Iterator[str]:
    """Parameters as a command line again."""
    given = [(param, raw.get(str(param.name))) for param in command.params]
    for param, value in given:
        if isinstance(param, click.Option) and value is not None and value is not False:
            yield from _said(param.opts[0], value)
    yield "--"
    for param, value in given:
        if isinstance(param, click.Argument) and value is not None:
            yield value


def _said(name: str, value: Value) -> Iterator[str]:
    if value is True:
        yield name
    elif not isinstance(value, bool):
        yield from (f"{name}={each}" for each in ([value] if isinstance(value, str) else value))


def parsed_cells(words: Words, grid: Grid, file: str) -> Callable[[int], dict[str, Any]]:
    """Number of a cell → what click makes of it. Each value is parsed once, before anything is
    planned. Raises BadFile naming the field that is wrong."""
    from eke.sweep.grid import cell

    first = cell(grid, 0)
    base = _parsed(words, first, f"{file}: grid") if grid.axes else {}
    values = {
        name: {each: _parsed(words, {**first, name: each}, f"{file}: grid") for each in axis}
        for name, axis in grid.axes.items()
    }
    also = [
        _parsed(words, each, f"{file}: also {number}")
        for number, each in enumerate(grid.also, start=1)
    ]

    def parsed(index: int) -> dict[str, Any]:
        if index >= grid.crossed:
            return dict(also[index - grid.crossed])
        found = dict(base)
        for name, value in cell(grid, index).items():
            param = str(words.options[name].name)
            found[param] = values[name][value][param]
        return found

    return parsed


def _parsed(words: Words, cell: Mapping[str, Value], at: str) -> dict[str, Any]:
    """The command line's own mistakes stay click's."""
    from eke.errors import BadFile

    try:
        return words.parsed(cell)
    except click.UsageError as error:
        param = getattr(error, "param", None)
        name = "" if param is None else spelled(param)
        if isinstance(error, click.MissingParameter):
            says = f"neither these cells nor the command line give {name}"
            raise BadFile(f"{at}: {says}.") from None
        if name not in cell:
            raise
        raise BadFile(f"{at}.{name}: {error.message}") from None


def marked(words: Words, grid: Grid) -> str:
    """A hash of all that the rows depend on: words, cells, and the files they name."""
    from eke.catalog.files import folders
    from eke.sweep.grid import said
    from eke.sweep.journal import fingerprint

    given = [value for value in words.raw.values() if not isinstance(value, bool)]
    texts = {each for value in given for each in ([value] if isinstance(value, str) else value)}
    texts |= {said(value) for axis in grid.axes.values() for value in axis}
    texts |= {said(value) for each in grid.also for value in each.values()}
    files = {text: content for text in texts if (content := _content(text))}
    where = [str(folder.resolve()) for folder in folders()[:-1]]
    axes = list(grid.axes.items())
    return fingerprint(words.command.name, words.raw, axes, grid.also, files, where)


def _content(text: str) -> str:
    """Of a file of that name, where there is one."""
    from eke.sweep.journal import fingerprint

    try:
        return fingerprint(Path(text).read_bytes()) if Path(text).is_file() else ""
    except (OSError, ValueError):
        return ""
