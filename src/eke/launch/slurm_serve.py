"""The servers that a plan's replicas take, as allocations of Slurm."""

from __future__ import annotations

from eke.launch.nodes import chips_per_server
from eke.launch.start import Start
from eke.physics.answer import pool_of
from eke.types.plan import Plan
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
    """The whole plan, or its prefill and its decode half."""
    if start.plan.prefill is None:
        return [_part(start, "vllm", start.plan)]
    note = "Then run start-router.sh with the servers of both halves, as it says."
    halves = (("prefill", start.plan.prefill), ("decode", start.plan))
    return [_part(start, name, plan, note) for name, plan in halves]


def _part(start: Start, name: str, plan: Plan, *notes: str) -> Part:
    """Several replicas on a server, or several servers for a replica."""
    room = chips_per_server(pool_of(start.fleet, plan.chip))
    script = f"start-{name}.sh"
    if plan.group <= room:
        slots = min(room // plan.group, plan.replicas)
        count, span, each = -(-plan.replicas // slots), 1, slots * plan.group
    else:
        span = -(-plan.group // room)
        count, each = span * plan.replicas, plan.group // span
    sizes = {"servers": count, "span": span, "each": each}
    return Part(name=name, script=script, chip=plan.chip, notes=notes, **sizes)
