"""How a stand-in behaves."""

from __future__ import annotations

from eke.errors import BadInput
from eke.standin.english import MEDIAN
from eke.types.record import Record

MOST = 1e12  # of pace and median


class Manner(Record):
    """names: under which the model is served; none is its own.  pace: so many times as fast as the
    chips.  median: tokens of an answer.  faults: users may ask for faults, as
    `eke.standin.faults` reads them."""

    names: tuple[str, ...] = ()
    pace: float = 1.0
    median: float = MEDIAN
    faults: bool = False

    def __post_init__(self) -> None:
        for name in ("pace", "median"):
            if not 0 < getattr(self, name) < MOST:
                given = f"{getattr(self, name):g}"
                raise BadInput(f"{name} is {given}; give a number above 0 and below {MOST:g}.")
