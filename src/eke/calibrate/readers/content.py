"""A file's content, taken in once: its text, and its JSON objects if it holds any."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eke.catalog.files import read_bytes
from eke.errors import BadFile
from eke.types.record import Record

LARGEST = 256_000_000  # bytes, once unpacked; a report with every request of a long run is smaller
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Content(Record):
    """What a file holds. objects: of its JSON or JSON lines, empty for other text.  broken: where
    a text that begins like JSON stops being some.  given: what the user said about the run.
    """

    path: str
    text: str
    objects: tuple[dict[str, Any], ...]
    broken: str
    given: dict[str, str]

    @property
    def lines(self) -> list[str]:
        """The lines, also where a progress bar overwrote them."""
        return re.split(r"[\r\n]+", self.text)


def take_in(path: Path, given: Mapping[str, str]) -> Content:
    """The content of a file. Raises BadFile when it is missing, empty, too large or no text."""
    text = _COLOURS.sub("", _text(path))
    if not text.strip():
        raise BadFile(f"{path}: is empty.")
    objects, broken = _objects(text)
    return Content(path=str(path), text=text, objects=objects, broken=broken, given=dict(given))


def _text(path: Path) -> str:
    data = read_bytes(path, LARGEST)
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(path, data)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # what PowerShell writes behind ">"
        text = data.decode("utf-16", errors="replace")
    else:
        text = data.decode("utf-8-sig", errors="replace")
    strange = sum(text.count(sign) for sign in ("\x00", "\ufffd"))
    if "\x00" in text or strange * 50 > len(text):
        raise BadFile(f"{path}: is binary, no text; expected a result file or a log.")
    return text


def _unpacked(path: Path, data: bytes) -> bytes:
    inflate = zlib.decompressobj(wbits=31)
    try:
        found = inflate.decompress(data, LARGEST)
    except zlib.error:
        raise BadFile(f"{path}: the gzip file is damaged.") from None
    if inflate.unconsumed_tail:
        raise BadFile(f"{path}: larger than {LARGEST:,} bytes once unpacked.")
    if not inflate.eof:
        raise BadFile(f"{path}: the gzip file is cut off.")
    return found


def _objects(text: str) -> tuple[tuple[dict[str, Any], ...], str]:
    """The JSON objects of a text, and where it breaks if it only begins as JSON."""
    start = text.lstrip()
    if not start.startswith(("{", "[")):
        return (), ""
    try:
        return _listed(json.loads(text)), ""
    except RecursionError:
        return (), "it is nested too deeply"
    except ValueError as error:
        broken = _broken(error)
    try:
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        first = re.match(r'\{\s*"|\[\s*[\[{]\s*"', start)
        return (), (f"{broken}; as JSON lines: {_broken(error)}" if first else "")
    return _listed(lines), ""


def _broken(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    return str(error)[:100]


def _listed(found: Any) -> tuple[dict[str, Any], ...]:
    many = found if isinstance(found, list) else [found]
    return tuple(each for each in many if isinstance(each, dict))


def number(found: Mapping[str, Any], name: str, where: str) -> float | None:
    """A field as a finite number from 0 up; None where it is absent or null.

    Texts that are numbers count, as CSV has nothing else. Raises BadFile naming the field.
    """
    value = found.get(name)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool | list | dict):
            raise ValueError
        read = float(value)
    except (ValueError, OverflowError):
        raise BadFile(f"{where}: {name} is {_shown(value)}; it must be a number.") from None
    if not math.isfinite(read) or read < 0:
        raise BadFile(f"{where}: {name} is {_shown(value)}; it must be a finite number from 0 up.")
    return read


def inside(found: Any, *path: str) -> Any:
    """What lies at a path of keys; None where a step is missing or no object."""
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def word(value: Any) -> str:
    """A short text: itself, or the first of a list; "" for anything else."""
    if isinstance(value, list) and value:
        value = value[0]
    return value.strip()[:200] if isinstance(value, str) else ""


def _shown(value: Any) -> str:
    return repr(value)[:40]
