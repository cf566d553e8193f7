"""A sweep.toml: which words to try, their cross product and single cells beside it."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Literal

from eke.catalog.files import read_toml
from eke.errors import BadFile, closest
from eke.types.record import Record

MOST = 1_000_000  # cells of a sweep
Value = str | bool | tuple[str, ...]  # as on the command line; a flag; an option given repeatedly
Takes = Literal["one", "several", "nothing"]  # what an option may be given


class _File(Record):
    grid: dict[str, Any] = {}
    also: tuple[dict[str, Any], ...] = ()


class Grid(Record):
    """The cells of a sweep. axes: option → its values, of which every combination is a cell, the
    last option's changing fastest.  also: further cells."""

    axes: dict[str, tuple[Value, ...]]
    also: tuple[dict[str, Value], ...] = ()

    @property
    def crossed(self) -> int:
        """Cells of the cross product."""
        return prod(map(len, self.axes.values())) if self.axes else 0

    @property
    def cells(self) -> int:
        """All cells."""
        return self.crossed + len(self.also)

    @property
    def names(self) -> tuple[str, ...]:
        """Every option that some cell gives."""
        return tuple(dict.fromkeys([*self.axes, *(name for each in self.also for name in each)]))


def cell(grid: Grid, index: int) -> dict[str, Value]:
    """The words of one cell, counted from 0."""
    if index >= grid.crossed:
        return grid.also[index - grid.crossed]
    found = {}
    for name, values in reversed(grid.axes.items()):
        index, at = divmod(index, len(values))
        found[name] = values[at]
    return {name: found[name] for name in grid.axes}


def said(value: Value) -> str:
    """A value as text in a table."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else "; ".join(value)


def read_grid(path: Path, options: Mapping[str, Takes]) -> Grid:
    """The sweep that a file describes. options: those there are, without their dashes.

    Raises BadFile naming file and field.
    """
    file = read_toml(path, _File)
    axes = {name: _axis(f"{path}: grid.{name}", name, file.grid, options) for name in file.grid}
    also = tuple(
        _single(f"{path}: also {number}", each, options)
        for number, each in enumerate(file.also, start=1)
    )
    grid = Grid(axes=axes, also=also)
    if not grid.cells:
        raise BadFile(f'{path}: has no cells; give a [grid] such as rate = ["5/s", "10/s"].')
    if grid.cells > MOST:
        raise BadFile(f"{path}: grid: {grid.cells:,} cells; a sweep has at most {MOST:,}.")
    _no_cell_twice(path, grid)
    return grid


def _axis(
    at: str, name: str, given: Mapping[str, Any], options: Mapping[str, Takes]
) -> tuple[Value, ...]:
    takes, values = _takes(at, name, options), given[name]
    if not isinstance(values, list) or not values:
        raise BadFile(f'{at} is {values!r:.60}; expected a list, such as ["a", "b"].')
    found = tuple(_value(at, each, takes) for each in values)
    seen: set[Value] = set()
    for each in found:
        if each in seen:
            raise BadFile(f"{at}: {said(each)!r:.60} stands there twice.")
        seen.add(each)
    return found


def _single(at: str, given: Mapping[str, Any], options: Mapping[str, Takes]) -> dict[str, Value]:
    if not given:
        raise BadFile(f"{at}: is empty; give the words of one cell.")
    return {
        name: _value(f"{at}.{name}", value, _takes(f"{at}.{name}", name, options))
        for name, value in given.items()
    }


def _takes(at: str, name: str, options: Mapping[str, Takes]) -> Takes:
    if name not in options:
        near = closest(name, options)
        hint = f"closest: {near}" if near else f"there are {', '.join(options)}"
        raise BadFile(f"{at}: this command has no option {name[:40]!r} to sweep; {hint}.")
    return options[name]


def _value(at: str, value: Any, takes: Takes) -> Value:
    """What stands in the file as the text that the command line would have."""
    if isinstance(value, bool) and takes == "nothing":
        return value
    if isinstance(value, list) and value and takes == "several":
        return tuple(_text(at, each) for each in value)
    if takes == "nothing":
        raise BadFile(f"{at}: {value!r:.60}: expected true or false.")
    return _text(at, value)


def _text(at: str, value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise BadFile(f'{at}: {value!r:.60}: expected text as on the command line, such as "5/s".')
    return value


def _no_cell_twice(path: Path, grid: Grid) -> None:
    axes = {name: set(values) for name, values in grid.axes.items()}
    seen: set[frozenset[tuple[str, Value]]] = set()
    for number, each in enumerate(grid.also, start=1):
        words = frozenset(each.items())
        crossed = axes.keys() == each.keys() and all(each[name] in axes[name] for name in axes)
        if crossed or words in seen:
            raise BadFile(f"{path}: also {number}: the same cell stands there already.")
        seen.add(words)
