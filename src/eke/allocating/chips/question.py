"""What is asked: which ways to have chips, for which workload, from when and how many."""

from __future__ import annotations

from collections.abc import Mapping

from eke.allocating.chips.build_file import BuildFile
from eke.allocating.chips.speed import Load
from eke.types.chip import Chip
from eke.types.record import Record
from eke.types.silicon import Uncertain

SAMPLES = 20_000


class Question(Record):
    """Which ways to compare.

    file: what one says, with a chip of one's own or without.  against: words such as
    "buy:h100-sxm".  volume: chips of one's own per year [1/s].  years: of production, or without a
    chip of one's own, of serving [s].  samples: cases drawn.
    """

    loads: tuple[Load, ...]
    against: tuple[str, ...]
    file: BuildFile | None = None
    volume: float | None = None
    years: float | None = None
    samples: int = SAMPLES
    seed: int = 1

    @property
    def chip(self) -> Chip | None:
        """Of one's own."""
        return self.file.chip if self.file is not None else None

    @property
    def said(self) -> Mapping[str, Uncertain]:
        """Numbers that the file gives."""
        return self.file.said if self.file is not None else {}
