"""The folder of a job: its data, its checkpoints, what its trainer says and who that is.

data/train.jsonl, data/validation.jsonl    only while the job is not over
checkpoints/                               what the trainer writes; kept
out.log, err.log                           what it says; of much the end
pid                                        its process, and when that began
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

PART = 1 << 18  # bytes of the output that are read at once
TAIL = 2000  # bytes of the errors that are told
LOG = 8 << 20  # bytes of the output, and of the errors, that stay on the disk
HOLE = 0x01 | 0x02  # of fallocate(2): the file stays as long as it is, and has a hole


class Folder:
    """Of one job. path: absolute."""

    def __init__(self, jobs: str, id: str) -> None:
        self.path = Path(jobs).absolute() / id
        self.data, self.checkpoints = self.path / "data", self.path / "checkpoints"
        self.out, self.errors, self.pid = (self.path / n for n in ("out.log", "err.log", "pid"))

    def make(self) -> None:
        """Make it, for its owner alone. Raises OSError."""
        for each in (self.path, self.data, self.checkpoints):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def write(self, name: str, pieces: AsyncIterator[bytes]) -> Path:
        """Store a file of its data, if it is not there. Raises OSError."""
        path = self.data / f"{name}.jsonl"
        if not path.exists():
            new = path.with_suffix(".new")
            with new.open("wb") as file:
                async for piece in pieces:
                    file.write(piece)
            new.replace(path)
        return path

    def forget(self) -> None:
        """The job is over: delete the data, and all but the end of what was said; what was trained
        stays."""
        shutil.rmtree(self.data, ignore_errors=True)
        with suppress(OSError):  # where there is no folder at all
            self.pid.unlink()
        for path in (self.out, self.errors):
            with suppress(OSError):  # of a log that stays long nobody suffers but the disk
                if _size(path) > LOG:
                    _cut(path)

    def erase(self) -> None:
        """Delete every text of its tenant: the data, and what was said. A trainer that is still
        there can be found all the same."""
        shutil.rmtree(self.data, ignore_errors=True)
        for path in (self.out, self.errors):
            with suppress(OSError):
                path.unlink()

    def thin(self, read: int) -> None:
        """Give the disk back what is old of the errors, and of the output, of which so many bytes
        were read, while the trainer goes on writing."""
        for path, end in ((self.out, read), (self.errors, self.size_of_errors())):
            with suppress(OSError):
                if end > LOG:
                    _punch(path, end - LOG)

    @property
    def resumes(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return self.checkpoints.is_dir() and any(self.checkpoints.iterdir())

    def said(self, begin: int, last: bool = False) -> bytes:
        """Whole lines of the output from a byte on, not too many at once. last: no more comes, so
        that what has no end is a line too."""
        try:
            with self.out.open("rb") as file:
                file.seek(begin)
                part = file.read(PART)
        except FileNotFoundError:
            return b""
        end = part.rfind(b"\n") + 1
        endless, rest = len(part) == PART and not end, last and len(part) < PART
        return part if endless or rest else part[:end]

    def last_words(self, begin: int) -> str:
        """The end of its errors, behind a byte."""
        try:
            with self.errors.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(begin, size - TAIL))
                return file.read().decode("utf-8", "replace").strip()
        except FileNotFoundError:
            return ""

    def size_of_errors(self) -> int:
        """Bytes of errors so far."""
        return _size(self.errors)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _cut(path: Path) -> None:
    """Keep the end of a log that nobody has open."""
    new = path.with_suffix(".new")
    with path.open("rb") as file:
        file.seek(-LOG, os.SEEK_END)
        new.write_bytes(file.read())
    new.replace(path)


def _punch(path: Path, end: int) -> None:
    """Give what a file holds before a byte back to the disk, where the system can: Linux, on most
    file systems. All else stays where it is, so that whoever appends or reads notices nothing."""
    fallocate = getattr(ctypes.CDLL(None), "fallocate", None)
    if fallocate is not None:
        with path.open("rb+") as file:
            begin, length = ctypes.c_int64(0), ctypes.c_int64(end)
            fallocate(ctypes.c_int(file.fileno()), ctypes.c_int(HOLE), begin, length)
