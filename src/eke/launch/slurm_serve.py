"""The servers that a plan's replicas take, as allocations of Slurm."""

from __future__ import annotations

from eke.launch.servers import Placement, placements
from eke.launch.serving import Half, halves
from eke.launch.start import Start
from eke.types.record import Record


class Part(Record):
    """What one allocation runs.

    script: run on every server with its number and the first server of its replica.  servers: of
    the part.  span: servers of one replica.  each: chips used on a server.
    """

    name: str
    script: str
    chip: str
    servers: int
    span: int
    each: int
    notes: tuple[str, ...] = ()


def parts(start: Start) -> list[Part]:
    """The whole plan, or its prefill and its decode half; each on servers of its own."""
    found = placements(halves(start, "vllm"), "vllm")
    note = "Then run start-router.sh with the servers of both halves, as it says."
    return [_part(half, placed, *([note] if len(found) > 1 else [])) for half, placed in found]


def _part(half: Half, placed: Placement, *notes: str) -> Part:
    return Part(
        name=half.name,
        script=f"start-{half.name}.sh",
        chip=half.plan.chip,
        servers=placed.servers,
        span=placed.nodes,
        each=placed.first + placed.slots * placed.each,
        notes=notes,
    )
