"""Tables of a file as records, and what is wrong with them in words."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from eke.errors import BadInput, closest
from eke.types.record import Record

R = TypeVar("R", bound=Record)


def to_record(found: Any, kind: type[R], where: str) -> R:
    """A table as a record. where: its name in brackets, "" for the whole file.  Raises BadInput
    naming the field."""
    try:
        return msgspec.convert(found, kind, strict=True)
    except msgspec.ValidationError as error:
        words, _, place = str(error).partition(" - at `$.")
        field = place.rstrip("`").replace("[...]", "")
        start = " ".join(each for each in (where, field) if each)
        words = explained(words, kind)
        raise BadInput(f"{start}: {words}" if start else words) from None


def explained(words: str, kind: Any) -> str:
    """The library's message of what is wrong with a record, with the fields there are where one is
    none."""
    unknown = re.search(r"unknown field `([^`]*)`", words)
    if unknown is None:
        return f"{words}."
    known = [each.encode_name for each in msgspec.structs.fields(kind)]
    near = closest(unknown[1], known)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}."
    return f"{unknown[1]!r:.60} is no field; {hint}"
