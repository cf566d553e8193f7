"""Faults that a user's words ask for, so that what stands in front can be tested against them."""

from __future__ import annotations

import re

from eke.types.record import Record

WORD = re.compile(r"!(status|die|slow|len|hang|garbage|half|type)\b(?: +(\d{1,9}))?")
STATUSES = range(200, 600)  # of whole answers


class Faults(Record):
    """status: answer with that error.  die: cut the connection after so many tokens.  hang: never
    answer.  slow: so long between tokens [s].  length: tokens that the answer wants to have.
    garbage: something that is no JSON.  half: end before the end.  type: under a wrong content
    type."""

    status: int = 0
    die: int | None = None
    hang: bool = False
    slow: float = 0.0
    length: int = 0
    garbage: bool = False
    half: bool = False
    type: bool = False


NONE = Faults()


class Cut(Exception):
    """The connection ends here."""


def faults_of(said: str) -> Faults:
    """Words such as "!die 3", "!slow 50" (ms) or "!hang" among what the user said."""
    if "!" not in said:
        return NONE
    found = {name: int(number or 0) for name, number in WORD.findall(said)}
    status = found.get("status", 0)
    return Faults(
        status=status if status in STATUSES else 0,
        die=found.get("die"),
        slow=found.get("slow", 0) / 1e3,
        length=found.get("len", 0),
        **{name: name in found for name in ("hang", "garbage", "half", "type")},
    )
