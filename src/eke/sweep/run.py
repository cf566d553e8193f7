"""A whole sweep: every cell once, by whatever crew, its rows in the order of the grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from eke.sweep.crew import Asked, Crew, in_order, results
from eke.sweep.grid import Grid, cell, said
from eke.sweep.journal import Journal
from eke.sweep.rows import Column, Row, columns

Tell = Callable[[int, int, str], None]  # how many are finished, of how many, of what


class Work(NamedTuple):
    """The cells of a sweep over one kind of job. asks: number of a cell → what it asks."""

    kind: str
    grid: Grid
    asks: Callable[[int], Asked]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Of the table: the words of the cells, then what came of them."""
        return columns(self.kind, self.grid.names)


def print_rows(
    work: Work,
    crew: Crew,
    write: Callable[[Iterable[Any]], Any],
    outcomes: Counter[str],
    tell: Tell,
) -> None:
    """Write the rows as they come, in order, and count them by outcome."""
    write(column.name for column in work.columns)
    for index, row in in_order(_planned(work, crew, range(work.grid.cells))):
        write(full(work, index, row))
        outcomes[str(row[0])] += 1
        tell(outcomes.total(), work.grid.cells, "cells")


def keep_rows(work: Work, crew: Crew, journal: Journal, tell: Tell) -> None:
    """Plan what the journal does not have yet, and keep every row at once."""
    left = [index for index in range(work.grid.cells) if index not in journal.finished]
    for index, row in _planned(work, crew, left):
        journal.add(index, row)
        tell(len(journal.finished), work.grid.cells, "cells")


def kept_rows(work: Work, journal: Journal, outcomes: Counter[str]) -> Iterator[Row]:
    """The rows of a journal that has them all, in order, and counted."""
    for index in range(work.grid.cells):
        row = journal.row(index)
        outcomes[str(row[0])] += 1
        yield full(work, index, row)


def full(work: Work, index: int, row: Row) -> Row:
    """A row with the words of its cell."""
    words = cell(work.grid, index)
    return [*(said(words[name]) if name in words else None for name in work.grid.names), *row]


def _planned(work: Work, crew: Crew, those: Iterable[int]) -> Iterator[tuple[int, Row]]:
    return results(crew, ((index, work.asks(index)) for index in those))
