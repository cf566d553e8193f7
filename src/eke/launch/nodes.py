"""The chips of a plan that learns, as equal servers: how many processes stand on how many."""

from __future__ import annotations

from eke.launch.servers import chips_per_server
from eke.launch.start import Start
from eke.physics.answer import pool_of
from eke.types.record import Record


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
