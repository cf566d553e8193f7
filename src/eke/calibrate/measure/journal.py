"""What was timed so far: one line per point in a file that a later run continues."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import msgspec

from eke.calibrate.measure.points import Point
from eke.errors import BadFile
from eke.types.record import Record

NAME = "points.jsonl"
LARGEST = 20_000_000  # bytes


class Host(Record):
    """The machine measured. memory [B].  ranks: devices or processes that exchange."""

    name: str
    vendor: str
    kind: Literal["cpu", "gpu"]
    memory: float
    formats: tuple[str, ...]
    ranks: int = 1
    software: str = ""


class Timing(Record):
    """A point and its seconds: median, 10th and 90th percentile of the repeats kept.

    unable: why the machine could not do it; then there are no seconds.
    """

    point: Point
    median: float = 0.0
    low: float = 0.0
    high: float = 0.0
    repeats: int = 0
    unable: str = ""


class Journal:
    """The file of one machine's timings, whole lines only."""

    def __init__(self, folder: Path, host: Host) -> None:
        self.path = folder / NAME
        self.timings: dict[Point, Timing] = {}
        if self.path.exists():
            self._read(host)
        else:
            self._append(host)

    def add(self, timing: Timing) -> None:
        """Keep a timing, on disk before anything else is done."""
        self._append(timing)
        self.timings[timing.point] = timing

    def _append(self, record: Record) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(msgspec.json.encode(record) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise BadFile(f"{self.path}: cannot be written: {error.strerror or error}.") from None

    def _read(self, host: Host) -> None:
        if self.path.stat().st_size > LARGEST:
            raise BadFile(f"{self.path}: larger than {LARGEST:,} bytes; no file of timings is.")
        whole = self.path.read_bytes()
        lines = whole.split(b"\n")
        if lines[-1]:  # the last line was cut off: it is timed again
            lines[-1] = b""
            self.path.write_bytes(b"\n".join(lines))
        if len(lines) < 2:
            self._append(host)
            return
        before: Host = self._line(1, lines[0], Host)
        if before != host:
            raise BadFile(
                f"{self.path}: was measured on {_differing(before, host)}. "
                "Give another folder with --out, or delete this one."
            )
        for number, line in enumerate(lines[1:-1], start=2):
            timing: Timing = self._line(number, line, Timing)
            if not timing.unable and not 0 < timing.low <= timing.median <= timing.high:
                raise BadFile(f"{self.path}, line {number}: seconds must rise from above 0.")
            self.timings[timing.point] = timing

    def _line(self, number: int, line: bytes, kind: Any) -> Any:
        try:
            return msgspec.json.decode(line, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadFile(
                f"{self.path}, line {number}: {error}. Delete the line to time that point again."
            ) from None


def _differing(before: Host, now: Host) -> str:
    """What the machine was and is, in the fields that differ."""
    old, new = (msgspec.structs.asdict(host) for host in (before, now))  # type: ignore[arg-type]
    name = next(name for name in old if old[name] != new[name])
    return f"another machine ({name} {old[name]!r}; now {new[name]!r})"
