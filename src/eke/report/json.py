"""The same record as JSON, keys in the order of the record."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from eke.types.record import Record


def to_json(record: Record | Sequence[Record]) -> str:
    """Indented JSON. Numbers are in base units; every figure names its unit."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2).decode()
