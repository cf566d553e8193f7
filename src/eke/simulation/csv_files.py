"""A table of a run as CSV: what it is of in line one, then names, then rows.

What is not there (NaN, or a code that stands for nobody) is an empty cell. Numbers are written so
that reading gives the very same ones.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

Words = dict[str, list[str]]  # what the codes of a column stand for
ROWS = 1 << 16  # read or written at a time
MARK = "# "
NOBODY = -1


def write(name: str, head: str, columns: dict[str, Any], words: Words, packed: bool) -> None:
    """Write a table. head: what it is of.  packed: with gzip, the same bytes at any time."""
    with open(name, "wb") as raw, _packing(raw, packed) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        text.write(f"{MARK}{head}\n")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        count = len(next(iter(columns.values())))
        for first in range(0, count, ROWS):
            part = slice(first, first + ROWS)
            cells = [_cells(values[part], words.get(key)) for key, values in columns.items()]
            writer.writerows(zip(*cells, strict=True))
        text.flush()
        text.detach()


@contextmanager
def _packing(raw: Any, packed: bool) -> Iterator[Any]:
    if not packed:
        yield raw
        return
    with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=5, mtime=0) as file:
        yield file


def _cells(values: Any, words: list[str] | None) -> list[Any]:
    """Values as the CSV writer takes them."""
    if words is not None:
        named = np.array([*words, ""], dtype=object)
        return list(named[np.maximum(values, NOBODY)])
    if values.dtype == np.float32:  # the shortest text that is the same in 32 bits
        return ["" if each == "nan" else each for each in values.astype(str).tolist()]
    if values.dtype.kind == "f":
        return ["" if each != each else each for each in values.tolist()]
    return list(values.tolist())


def opened(path: Path, packed: bool) -> tuple[str, Callable[[dict[str, str], Words], Any]]:
    """What the table is of, and how to load its columns."""
    with _text(path, packed) as file:
        head = file.readline()
    if not head.startswith(MARK):
        raise ValueError("line 1 does not say what it is of")
    return head.removeprefix(MARK), lambda kinds, words: _load(path, packed, kinds, words)


def _text(path: Path, packed: bool) -> Any:
    how = {"encoding": "utf-8", "newline": ""}
    return gzip.open(path, "rt", **how) if packed else open(path, **how)  # type: ignore[call-overload]


def _load(path: Path, packed: bool, kinds: dict[str, str], words: Words) -> dict[str, Any]:
    """Columns of these types. words: names met that they lack are added."""
    with _text(path, packed) as file:
        file.readline()
        rows = csv.reader(file)
        names = next(rows, [])
        if set(names) != set(kinds):
            odd = ", ".join(sorted(set(names) ^ set(kinds)))
            raise ValueError(f"columns missing or unknown: {odd}")
        codes = {key: Codes(each) for key, each in words.items()}
        parts, line = [], 3
        while chunk := list(islice(rows, ROWS)):
            parts.append(_columns(chunk, names, kinds, codes, line))
            line += len(chunk)
    empty = {name: np.empty(0, kind) for name, kind in kinds.items()}
    return {name: np.concatenate([empty[name], *(each[name] for each in parts)]) for name in kinds}


class Codes(dict[str, int]):
    """Name → code; a name it lacks is the next one, and is added to `words`."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        super().__init__({"": NOBODY})
        self.update({word: i for i, word in reversed([*enumerate(words)])})

    def __missing__(self, word: str) -> int:
        self[word] = len(self.words)
        self.words.append(word)
        return self[word]


def _columns(
    rows: list[list[str]], names: list[str], kinds: dict[str, str], codes: Any, line: int
) -> dict[str, Any]:
    """Some rows as columns. line: of the first of them, to say which is wrong."""
    for number, row in enumerate(rows, line):
        if len(row) != len(names):
            raise ValueError(f"line {number} has {len(row)} cells instead of {len(names)}")
    cells = dict(zip(names, zip(*rows, strict=True), strict=True))
    try:
        return {name: _values(cells[name], kind, codes.get(name)) for name, kind in kinds.items()}
    except (ValueError, OverflowError) as error:
        if len(rows) == 1:
            raise ValueError(f"line {line}: {error}") from None
        for number, row in enumerate(rows, line):
            _columns([row], names, kinds, codes, number)
        raise


def _values(cells: tuple[str, ...], kind: str, codes: Codes | None) -> Any:
    """The cells of one column."""
    if codes is not None:
        return np.array([codes[cell] for cell in cells], dtype=kind)
    if kind.startswith("f"):
        return np.array([float(cell) if cell else np.nan for cell in cells], dtype=kind)
    return np.array([int(cell) for cell in cells], dtype=kind)
