"""What chips and systems are, as their makers describe them."""

from __future__ import annotations

from typing import Literal

from eke.types.record import Record

SourceKind = Literal["published", "measured", "derived", "assumed"]
FORMATS = ("fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4", "int4")
Format = Literal["fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4", "int4"]


class Source(Record):
    """Where facts come from."""

    title: str
    kind: SourceKind
    url: str = ""
    read: str = ""  # ISO date on which somebody read it
    note: str = ""


class Fact(Record):
    """One number and where it comes from. value is in SI base units, `unit` names them."""

    value: float
    unit: str
    source: str  # key of a Source
    kind: SourceKind
    written: str = ""  # as the file says it: "4.8 TB/s"
    note: str = ""


class Chip(Record):
    """One accelerator as its maker describes it: no efficiency factor ever enters here.

    peak: dense operations per second by number format [FLOP/s].  memory_size [B].
    memory_speed [B/s].  sram_size [B].  link_speed: one direction, per chip, inside the scale-up
    domain [B/s].  domain: chips in one scale-up domain.  network_speed: one direction, per chip,
    between domains [B/s].  power: maximum of the chip [W].  die_area [m2].
    stream_size, stream_speed: external memory from which weights are streamed [B], [B/s].
    host_speed: of the link to the host's memory, one direction [B/s].
    None means that nobody has published the figure.
    """

    id: str
    name: str
    vendor: str
    kind: Literal["gpu", "tpu", "asic", "wafer", "npu", "cpu"]
    family: str  # whose efficiencies it borrows where nobody has measured it: "hopper"
    year: int
    peak: dict[Format, float]
    memory_size: float | None = None
    memory_speed: float | None = None
    memory_type: str = ""
    sram_size: float | None = None
    link_name: str = ""
    link_speed: float | None = None
    domain: int = 1
    network_speed: float | None = None
    power: float | None = None
    die_area: float | None = None
    process: float | None = None  # node name as length [m]
    stream_size: float | None = None
    stream_speed: float | None = None
    host_speed: float | None = None
    facts: dict[str, Fact] = {}  # field ("peak.bf16", "memory_size") → where it comes from
    notes: str = ""


class System(Record):
    """Chips as somebody has joined them: a server, a pod, a cluster.

    chips: in the whole system.  per_node: in one node.  domain: chips per scale-up domain.
    link_speed, network_speed: one direction, per chip [B/s].  host_memory: of the processors of one
    node [B].  node_power, power: whole node and whole system [W].  cost: of the whole system [USD].
    None means not published: the chip's own value stands.
    """

    id: str
    name: str
    operator: str = ""
    year: int | None = None
    chip: str | None = None  # id of the chip; None for a site-wide fact such as a PUE
    chips: int | None = None
    per_node: int | None = None
    domain: int | None = None
    link_name: str = ""
    link_speed: float | None = None
    network_name: str = ""
    network_speed: float | None = None
    host_memory: float | None = None
    topology: str = ""
    node_power: float | None = None
    power: float | None = None
    pue: float | None = None
    cost: float | None = None
    facts: dict[str, Fact] = {}
    notes: str = ""


class Price(Record):
    """What a chip costs on a date: a row of prices.csv.

    buy [USD], rent [USD/s].  basis: "rent" or "buy".
    """

    chip: str
    basis: Literal["rent", "buy"]
    value: float
    date: str  # ISO date or year
    source: str
    kind: SourceKind
    note: str = ""
