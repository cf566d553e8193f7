"""The chips one may use."""

from __future__ import annotations

from eke.types.chip import Chip, Fact
from eke.types.record import Record


class Pool(Record):
    """Equal chips, joined in equal scale-up domains by one network.

    domain: chips that share the fast link.  link_speed, network_speed: one direction, per chip
    [B/s].  rent: per chip [USD/s].  buy: per chip, with its share of the server [USD].  life: over
    which a bought chip is written off [s].  electricity [USD/J].  carbon: emitted by the grid,
    as carbon dioxide [kg/J].  server_power: power of the server over the power of its chips.  pue:
    power of the site over the power of its servers.
    available: ISO date from which the pool exists, or "".  host_link: the fast link is the PCIe
    that all cards of a server share with its host.  host_speed: of the link of one chip to its
    host, one direction [B/s].  host_memory: of the server, each chip's share [B].
    """

    chip: Chip
    chips: int
    domain: int
    link_speed: float
    network_speed: float
    rent: float | None = None
    buy: float | None = None
    life: float = 4 * 365.25 * 86400.0
    electricity: float | None = None
    carbon: float | None = None
    server_power: float | None = None
    pue: float | None = None
    quoted: bool = False  # the price is what this user pays, not one out of a catalogue
    available: str = ""
    host_link: bool = False
    host_speed: float = 31.5e9  # PCIe 4 x16, where nobody says
    host_memory: float = 128e9
    facts: dict[str, Fact] = {}  # where prices and site figures come from


class Fleet(Record):
    """The pools one may use, in order of preference."""

    pools: tuple[Pool, ...]
    name: str = ""

    @property
    def chips(self) -> int:
        """Of all kinds together."""
        return sum(pool.chips for pool in self.pools)
