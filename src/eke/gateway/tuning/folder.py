"""The folder of a job: its data, its checkpoints, what its trainer says and who that is.

data/train.jsonl, data/validation.jsonl    only while the job is not over
checkpoints/                               what the trainer writes; kept
out.log, err.log                           what it says
pid                                        its process, and when that began
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

PART = 1 << 18  # bytes of the output that are read at once
TAIL = 2000  # bytes of the errors that are told


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
        """Delete the data; what was trained stays."""
        shutil.rmtree(self.data, ignore_errors=True)
        with suppress(OSError):  # where there is no folder at all
            self.pid.unlink()

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
        return self.errors.stat().st_size if self.errors.exists() else 0
