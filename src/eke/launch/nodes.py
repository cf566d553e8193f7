"""The chips of a plan that learns, as equal servers: how many processes stand on how many."""

from __future__ import annotations

from collections import Counter
from functools import cache

from eke.catalog.systems import system, system_names
from eke.launch.start import Start
from eke.physics.answer import pool_of
from eke.types.fleet import Pool
from eke.types.record import Record

USUAL = 8  # chips of a server of which nothing is published


class Nodes(Record):
    """Equal servers, `each` with so many of the plan's chips."""

    count: int
    each: int

    @property
    def text(self) -> str:
        """As people say it: "2 servers of 8"."""
        return f"{self.count:,} server{'s' if self.count > 1 else ''} of {self.each}"


def nodes(start: Start) -> Nodes:
    """The fewest equal servers for the plan's chips, tensor ranks side by side."""
    pool, count = pool_of(start.fleet, start.plan.chip), start.plan.chips
    sizes = range(1, min(chips_per_server(pool), count) + 1)  # one chip a server always fits
    each = max(size for size in sizes if _together(size, start.plan.tensor, count))
    return Nodes(count=count // each, each=each)


def _together(size: int, tensor: int, count: int) -> bool:
    """Whether servers of that size hold whole tensor groups, or are whole parts of one."""
    return count % size == 0 and (size % tensor == 0 or tensor % size == 0)


def chips_per_server(pool: Pool) -> int:
    """Chips that share one host: as in most systems of the catalogue, or 8."""
    return max(min(_usual_server(pool.chip.id) or USUAL, pool.domain), 1)


@cache
def _usual_server(chip: str) -> int:
    """Chips in one node of most systems with that chip; 0 where no system has it."""
    found = (system(name) for name in system_names())
    counts = Counter(each.per_node for each in found if each.chip == chip and each.per_node)
    return max(counts, key=lambda size: (counts[size], size)) if counts else 0
