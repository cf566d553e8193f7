"""A file as a stream of whole lines, packed or not; what is bad in it, by line."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from eke.errors import BadFile
from eke.simulation.traffic.noun import Skipped
from eke.types.record import Record

GZIP = b"\x1f\x8b"
BLOCK = 1 << 20  # bytes read, or unpacked, at once
LONGEST_LINE = 1 << 26  # bytes; the keys of a prompt of 10^8 tokens are shorter
HEAD = 1 << 16  # bytes that tell the format
REMARKS = 1 << 24  # bytes of remarks before them, such as the names of all tenants of a run
LATER = "`--skip-bad` leaves such rows out and counts them"


class CutOff(Exception):
    """A packed file ends, or turns to nonsense, before its end."""


class Source(Record):
    """A file to read. skip_bad: bad rows are left out and counted instead of an error.
    unit: what its rows are called.
    """

    path: Path
    skip_bad: bool
    skipped: Skipped
    unit: str = "line"

    def bad(self, line: int, why: str) -> None:
        """A bad row: an error, or counted. Raises BadFile."""
        if not self.skip_bad:
            raise BadFile(f"{self.path}, {self.unit} {line:,}: {why}; {LATER}.")
        self.skipped.add(f"{self.unit} {line:,}: {why}")


def blocks(path: Path) -> Iterator[bytes]:
    """The file's bytes, unpacked where it is gzip. Raises BadFile, CutOff at a broken place."""
    try:
        with path.open("rb") as file:
            first = file.read(BLOCK)
            if first[:2] == GZIP:
                yield from _unpacked(file, first)
                return
            while first:
                yield first
                first = file.read(BLOCK)
    except OSError as error:
        raise BadFile(f"{path}: cannot be read: {error.strerror or error}.") from None


def _unpacked(file: object, block: bytes) -> Iterator[bytes]:
    inflate = zlib.decompressobj(wbits=31)
    try:
        while block:
            yield inflate.decompress(block, BLOCK)
            block = inflate.unconsumed_tail
            if inflate.eof:  # several gzip files one behind the other are one
                block = inflate.unused_data.lstrip(b"\0")
                inflate = zlib.decompressobj(wbits=31) if block else inflate
            if not block:
                block = file.read(BLOCK)  # type: ignore[attr-defined]
                if block and inflate.eof:
                    inflate = zlib.decompressobj(wbits=31)
    except zlib.error:
        raise CutOff("the gzip file is damaged from here on") from None
    if not inflate.eof:
        raise CutOff("the gzip file is cut off here")


def lines(source: Source) -> Iterator[tuple[int, bytes]]:
    """Whole lines in blocks, with the number of the first, from 1. Raises BadFile."""
    number, rest = 1, b""
    try:
        for block in blocks(source.path):
            whole, newline, tail = (rest + block).rpartition(b"\n")
            if newline:
                yield number, whole + newline
                number += whole.count(b"\n") + 1
            rest = tail
            if len(rest) > LONGEST_LINE:
                raise BadFile(f"{source.path}, line {number:,}: no end within {LONGEST_LINE:,} B.")
    except CutOff as cut:
        # Half a line may look like a whole one with a smaller number in it.
        source.bad(number, str(cut))
        return
    if rest.strip():
        yield number, rest + b"\n"


def head(path: Path) -> bytes:
    """The first bytes, unpacked. Raises BadFile when it is missing, empty or no text."""
    if path.is_dir():
        raise BadFile(f"{path}: is a folder; expected a trace.")
    found = b""
    try:
        for block in blocks(path):
            found += block
            enough = REMARKS if found.startswith(b"# ") and found.count(b"\n") < 3 else HEAD
            if len(found) >= enough:
                break
    except CutOff as cut:
        if not found:
            raise BadFile(f"{path}: {cut}, and nothing before it can be read.") from None
    if not found.strip():
        raise BadFile(f"{path}: is empty.")
    return found[: found.find(b"\n") + HEAD] if found.startswith(b"# ") else found[:HEAD]
