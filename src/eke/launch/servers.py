"""Chips as servers: how many processes stand on how many machines."""

from __future__ import annotations

from eke.launch.start import Start
from eke.physics.answer import pool_of
from eke.types.record import Record

MOST = 8  # accelerators of one server; no maker builds more into one that an engine is started on
TRAYS = {36: 4, 72: 4}  # racks that are one domain: chips of the server tray inside (NVL36, NVL72)


class Servers(Record):
    """Equal servers, `each` with so many of the plan's chips."""

    count: int
    each: int

    @property
    def text(self) -> str:
        """As people say it: "2 servers of 8"."""
        return f"{self.count:,} server{'s' if self.count > 1 else ''} of {self.each}"


def servers(start: Start, chips: int | None = None) -> Servers:
    """The fewest equal servers for the plan's chips, tensor ranks side by side.

    chips: of a part of the plan, where it is not all of them.
    """
    count = start.plan.chips if chips is None else chips
    domain = pool_of(start.fleet, start.plan.chip).domain
    most = min(TRAYS.get(domain, MOST), domain, count)
    sizes = range(1, max(most, 1) + 1)  # one chip a server always fits
    each = max(size for size in sizes if _together(size, start.plan.tensor, count))
    return Servers(count=count // each, each=each)


def _together(size: int, tensor: int, count: int) -> bool:
    """Whether servers of that size hold whole tensor groups, or are whole parts of one."""
    return count % size == 0 and (size % tensor == 0 or tensor % size == 0)
