"""What a check of the catalogue finds."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from eke.catalog.files import DATA
from eke.types.record import Record


class Finding(Record):
    """Something wrong (error) or odd (warning) in a catalogue file."""

    file: str
    field: str
    severity: Literal["error", "warning"]
    message: str


def finding(path: Path, field: str, severity: Literal["error", "warning"], message: str) -> Finding:
    """A finding; built-in files by their name, a user's by their path."""
    name = path.name if path.is_relative_to(DATA) else str(path)
    return Finding(file=name, field=field, severity=severity, message=message)


def wrong(path: Path, field: str, message: str) -> Finding:
    """What does not resolve, or cannot be."""
    return finding(path, field, "error", message)


def odd(path: Path, field: str, message: str) -> Finding:
    """What is implausible."""
    return finding(path, field, "warning", message)
