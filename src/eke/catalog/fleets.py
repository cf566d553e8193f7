"""From "8xh100-sxm" to the chips, links and prices that stand for it."""

from __future__ import annotations

import re

from eke.catalog.chips import chip, chip_names
from eke.catalog.files import find
from eke.catalog.prices import price
from eke.catalog.systems import system, system_names
from eke.errors import BadInput, Unknown, UnknownChip, closest
from eke.types.chip import Chip, Fact, Price, System
from eke.types.fleet import Fleet, Pool
from eke.types.record import replace

_PART = re.compile(r"\s*(\d{1,9})\s*[xX×*]\s*(.+?)\s*\Z")
MOST = 100_000_000  # chips of one pool; more do not exist


def fleet(text: str) -> Fleet:
    """The fleet a text names: "8xh100-sxm", "2xdgx-h100", or several joined by "+".

    Raises BadInput for a text that names no count, Unknown for a chip or system nobody knows.
    """
    parts = [part for part in text.split("+") if part.strip()]
    if not parts:
        raise BadInput('no chips given; expected a count and a chip, such as "8xh100-sxm".')
    return Fleet(pools=tuple(_pool(part) for part in parts), name=text.strip())


def _pool(text: str) -> Pool:
    match = _PART.match(text)
    count, name = (int(match[1]), match[2]) if match else (1, text.strip())
    if not 1 <= count <= MOST:
        raise BadInput(f"{text.strip()[:60]!r}: the count must lie between 1 and {MOST:,}.")
    if name.endswith(".toml") or find("chips", name) is not None:
        return pool(chip(name), count)
    try:
        found = system(name)  # before labels: "DGX H100" also names a chip
    except Unknown:
        return pool(_chip(name), count)
    if found.chip is None or not found.chips:
        raise BadInput(f"{found.id} is a site without chips; name a chip such as 8xh100-sxm.")
    return pool(chip(found.chip), count * found.chips, found)


def _chip(name: str) -> Chip:
    """The chip of that label. Raises UnknownChip, naming systems too."""
    try:
        return chip(name)
    except UnknownChip:
        near = closest(name, [*chip_names(), *system_names()])
        hint = f"; closest: {near}" if near else ""
        raise UnknownChip(
            f"no chip or system {name[:60]!r} in the catalogue{hint}. "
            "See `eke catalog chips` and `eke catalog systems`, or add a TOML file of your own."
        ) from None


def pool(of: Chip, count: int, joined: System | None = None) -> Pool:
    """`count` chips, joined as the system joins them, or else as the maker does by default."""
    rent, buy = price(of.id, "rent"), price(of.id, "buy")
    domain = (joined.domain or joined.per_node if joined else None) or _own_domain(of)
    link = (joined.link_speed if joined else None) or of.link_speed or of.network_speed
    network = (joined.network_speed if joined else None) or of.network_speed
    facts = {name: _fact(row) for name, row in (("rent", rent), ("buy", buy)) if row}
    host = _host(of, joined)
    return Pool(
        chip=of,
        chips=count,
        domain=max(min(domain, count), 1),
        link_speed=link or ETHERNET,
        network_speed=network or ETHERNET,
        rent=rent.value if rent else None,
        buy=buy.value if buy else None,
        pue=joined.pue if joined else None,
        host_link=domain > 1 and _on_host(of) and not (joined and joined.link_speed),
        host_speed=host["host_speed"].value,
        host_memory=host["host_memory"].value,
        facts=facts | _assumed_network(network, link) | host,
    )


def resized(of: Pool, count: int) -> Pool:
    """The same pool with another number of chips, joined as its maker or its system joins them."""
    fresh = pool(of.chip, count)
    if of.domain > 1 or count == 1:
        return replace(of, chips=count, domain=max(min(max(of.domain, fresh.domain), count), 1))
    return replace(of, chips=count, domain=fresh.domain, host_link=fresh.host_link)


PER_SERVER = 8  # cards on the PCIe switches of one server, where the maker names no domain


def _own_domain(of: Chip) -> int:
    """Chips that share the fast link by default; PCIe cards share a server."""
    return PER_SERVER if _on_host(of) else of.domain


def _on_host(of: Chip) -> bool:
    """Whether cards have no link of their own, only the PCIe of their host."""
    return of.domain == 1 and "PCIe" in of.link_name


ETHERNET = 3.125e9  # 25 Gb/s, where nothing is published


def _assumed_network(network: float | None, link: float | None) -> dict[str, Fact]:
    """Mark links nobody has published."""
    note = "nothing published: one 25 Gb/s port per chip"
    named = (("network_speed", network), ("link_speed", link))
    return {
        name: Fact(value=ETHERNET, unit="B/s", source="eke", kind="assumed", note=note)
        for name, value in named
        if not value
    }


PCIE = ((2022, 63e9, 5), (2020, 31.5e9, 4), (0, 15.75e9, 3))  # x16, one direction, by year


def _host(of: Chip, joined: System | None) -> dict[str, Fact]:
    """The link to the host and the host's memory, each chip's share: published, or assumed."""
    speed, size = of.facts.get("host_speed"), None
    if speed is None and _on_host(of):
        speed = of.facts.get("link_speed")
    if speed is None:
        value, generation = next((v, g) for year, v, g in PCIE if of.year >= year)
        note = f"PCIe {generation} x16, as usual in {of.year}"
        speed = Fact(value=value, unit="B/s", source="eke", kind="assumed", note=note)
    if joined is not None and joined.host_memory and (joined.per_node or joined.chips):
        said = joined.facts["host_memory"]
        size = replace(said, value=said.value / float(joined.per_node or joined.chips or 1))
    if size is None:
        value = 2 * (of.memory_size or 64e9)
        note = "twice the chip's own; servers in MLPerf Inference have 1.1 to 3.1 times"
        size = Fact(value=value, unit="B", source="mlperf-systems", kind="assumed", note=note)
    return {"host_speed": speed, "host_memory": size}


def _fact(row: Price) -> Fact:
    return Fact(
        value=row.value,
        unit="USD/s" if row.basis == "rent" else "USD",
        source=row.source,
        kind=row.kind,
        written=row.date,
        note=row.note,
    )
