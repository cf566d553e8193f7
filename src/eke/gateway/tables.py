"""Tables of a file as records, and what is wrong with them in words."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from eke.errors import BadInput
from eke.gateway.mismatch import mismatch
from eke.types.record import Record

R = TypeVar("R", bound=Record)


def to_record(found: Any, kind: type[R], where: str) -> R:
    """A table as a record. where: its name in brackets, "" for the whole file.  Raises BadInput
    naming the field."""
    try:
        return msgspec.convert(found, kind, strict=True)
    except msgspec.ValidationError as error:
        words, field, code = mismatch(error, kind)
        if code == "unknown_parameter":
            field = field.rpartition(".")[0]
        start = " ".join(each for each in (where, field) if each)
        raise BadInput(f"{start}: {words}" if start else words) from None
