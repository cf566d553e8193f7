"""The cells that are finished: one line each in a file beside the table, for a later run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from eke.errors import BadFile
from eke.sweep.rows import Row
from eke.types.record import Record


class Sweep(Record):
    """Which sweep a journal belongs to: its cells and what else its rows depend on, hashed."""

    eke: str
    cells: int
    columns: int  # of a row, without the words of the cell
    fingerprint: str


def fingerprint(*parts: Any) -> str:
    """The same for the same parts, and for no others."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]


class Journal:
    """The file of one sweep: whole lines only, in the order in which the cells were finished.

    finished: number of a cell → where its line begins. A line that a kill cut off is dropped.
    """

    def __init__(self, path: Path, sweep: Sweep) -> None:
        self.path, self.sweep = path, sweep
        self.finished: dict[int, int] = {}
        try:
            self.file = path.open("a+b")
        except OSError as error:
            raise BadFile(f"{path}: cannot be written: {error.strerror or error}.") from None
        try:
            _for_us_alone(self.file, path)
            self._read()
        except BadFile:
            self.file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves a file only where there is something to go on with."""
        if not self.finished:
            self.remove()
        self.file.close()

    def add(self, index: int, row: Row) -> None:
        """Keep a row: it survives whatever happens to this process."""
        at = self.file.seek(0, 2)
        self._append([index, row])
        self.finished[index] = at

    def row(self, index: int) -> Row:
        """A row that is finished."""
        self.file.seek(self.finished[index])
        return self._line(index, self.file.readline())[1]

    def remove(self) -> None:
        """The table is written: nothing is left to go on with."""
        self.path.unlink(missing_ok=True)

    def _append(self, line: Any) -> None:
        try:
            self.file.write(msgspec.json.encode(line) + b"\n")
            self.file.flush()
        except OSError as error:
            raise BadFile(f"{self.path}: cannot be written: {error.strerror or error}.") from None

    def _read(self) -> None:
        end = 0
        for number, (at, line) in enumerate(self._lines(), start=1):
            if number == 1:
                self._check(line)
            else:
                index, _ = self._line(number, line)
                self.finished[index] = at
            end = at + len(line)
        self.file.truncate(end)
        if end == 0:
            self._append(self.sweep)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Where each whole line begins, and what it says."""
        at = self.file.seek(0)
        for line in self.file:
            if line.endswith(b"\n"):
                yield at, line
            at += len(line)

    def _check(self, line: bytes) -> None:
        try:
            before = msgspec.json.decode(line, type=Sweep)
        except msgspec.DecodeError:
            raise BadFile(f"{self.path}: is no journal of a sweep; give another --out.") from None
        if before != self.sweep:
            what = "release of eke" if before.eke != self.sweep.eke else "sweep"
            raise BadFile(
                f"{self.path}: belongs to another {what} ({before.cells:,} cells, eke "
                f"{before.eke}): words, cells or files have changed since. Delete it to begin "
                "anew, or give another --out."
            )

    def _line(self, number: int, line: bytes) -> tuple[int, Row]:
        try:
            index, row = msgspec.json.decode(line, type=tuple[int, Row])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            index, row, why = -1, [], str(error)
        else:
            why = f"no cell {index} with {len(row)} columns is in this sweep"
        if not 0 <= index < self.sweep.cells or len(row) != self.sweep.columns:
            raise BadFile(
                f"{self.path}, line {number}: {why}. Delete the line to plan that cell again."
            )
        return index, row


def _for_us_alone(file: Any, path: Path) -> None:
    """One run at a time writes a journal; the lock goes with the process."""
    try:
        import fcntl
    except ImportError:  # not on this system: then nobody checks
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise BadFile(
            f"{path}: another run is at work on it; wait, or give another --out."
        ) from None
