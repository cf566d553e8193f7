"""Which server runs which replica on which chips, and the shell script that starts them."""

from __future__ import annotations

import shlex
from collections import Counter
from functools import cache

from eke.catalog.systems import system, system_names
from eke.errors import BadInput
from eke.launch.serving import Half
from eke.launch.yaml import comments
from eke.types.fleet import Pool
from eke.types.record import Record, replace

USUAL = 8  # chips of a server of which nothing is published
PORT = 8000
VISIBLE = {"NVIDIA": "CUDA_VISIBLE_DEVICES", "AMD": "HIP_VISIBLE_DEVICES"}
VISIBLE |= {"Intel": "ZE_AFFINITY_MASK"}


class Placement(Record):
    """Replicas on servers.

    replicas: in all.  slots: replicas on one server.  nodes: servers of one replica, 1 where it
    fits one.  each: chips that a replica has on a server.  first: number of its first chip there,
    above 0 where another part has the chips before.  port: of the first replica of a server.
    """

    replicas: int
    slots: int
    nodes: int
    each: int
    first: int = 0
    port: int = PORT

    @property
    def servers(self) -> int:
        """Servers in all."""
        return -(-self.replicas // self.slots) * self.nodes


def chips_per_server(pool: Pool) -> int:
    """Chips that share one host: as in the systems of the catalogue, or 8."""
    return max(min(_usual_server(pool.chip.id) or USUAL, pool.domain), 1)


@cache
def _usual_server(chip: str) -> int:
    """Chips in one node of most systems with that chip; 0 where no system has it."""
    found = (system(name) for name in system_names())
    counts = Counter(each.per_node for each in found if each.chip == chip and each.per_node)
    return max(counts, key=lambda size: (counts[size], size)) if counts else 0


def placement(half: Half, engine: str) -> Placement:
    """Where the replicas go. Raises BadInput where a replica does not divide over whole servers."""
    server, group = chips_per_server(half.pool), half.plan.group
    if group <= server:
        slots = min(server // group, half.plan.replicas)
        return Placement(replicas=half.plan.replicas, slots=slots, nodes=1, each=group)
    nodes = -(-group // server)
    if group % nodes:
        raise BadInput(
            f"a replica of {group} chips does not divide over servers of {server}; {engine} needs "
            "as many on each. Plan with degrees that are powers of two."
        )
    return Placement(replicas=half.plan.replicas, slots=1, nodes=nodes, each=group // nodes)


def placements(parts: tuple[Half, ...], engine: str) -> list[tuple[Half, Placement]]:
    """Every part with its place; prefill and decode share a server that has room for both."""
    placed = [placement(half, engine) for half in parts]
    if len(parts) == 1:
        return [(parts[0], placed[0])]
    before, after = (replace(each, port=PORT + 100 * n) for n, each in enumerate(placed, 1))
    taken = before.slots * before.each
    same = parts[0].pool.chip.id == parts[1].pool.chip.id
    room = chips_per_server(parts[1].pool) - taken
    if same and before.servers == after.servers == 1 and after.slots * after.each <= room:
        after = replace(after, first=taken)
    return [(parts[0], before), (parts[1], after)]


def visible(half: Half, placed: Placement, engine: str) -> str:
    """The variable that shows a process its chips; "" where it takes all of a server."""
    chip = half.pool.chip
    if chip.kind == "gpu" and chip.vendor in VISIBLE:
        return VISIBLE[chip.vendor]
    if placed.slots > 1:
        raise BadInput(
            f"{engine} has no way to share a server of {chip.name} between replicas; "
            f"plan with replicas of {chips_per_server(half.pool)} chips."
        )
    return ""


def script(
    half: Half,
    placed: Placement,
    run: str,
    header: tuple[str, ...],
    *,
    environment: tuple[str, ...] = (),
    joined: str = "",
    engine: str = "",
) -> str:
    """A bash script that starts what one server runs.

    run: the command, to which the port is added.  environment: variables before it.  joined: what
    is added where a replica spans servers; $rank, $head and $nodes are set there.  $slot
    counts the replicas on a server.
    """
    shown = visible(half, placed, engine)
    devices = (f"{shown}=$devices",) if shown else ()
    start = " \\\n    ".join((*devices, *environment, run))
    body = _many(placed, start) if placed.nodes == 1 else _joined(placed, start, joined)
    return "#!/usr/bin/env bash\n" + comments((*header, _usage(placed))) + body


def _usage(placed: Placement) -> str:
    if placed.servers == 1:
        return "Run it on the server, from this folder."
    if placed.nodes == 1:
        last = placed.servers - 1
        return f"Run on every server with its number, 0 to {last}, from this folder."
    return (
        f"Run on every server with its number, 0 to {placed.servers - 1}, and the address of the "
        f"first server of its replica; {placed.nodes} servers make a replica."
    )


def _many(placed: Placement, start: str) -> str:
    """Replicas side by side on one server."""
    several = f"?number of this server, 0 to {placed.servers - 1}"
    return f"""\
set -euo pipefail
server=${{1:{several if placed.servers > 1 else "-0"}}}
for ((slot = 0; slot < {placed.slots}; slot++)); do
  ((server * {placed.slots} + slot < {placed.replicas})) || break
  first=$(({placed.first} + slot * {placed.each}))
  devices=$(seq -s, $first $((first + {placed.each - 1})))
  {start} --port $(({placed.port} + slot)) &
done
wait
"""


def _joined(placed: Placement, start: str, joined: str) -> str:
    """A replica over several servers."""
    return f"""\
set -euo pipefail
server=${{1:?number of this server, 0 to {placed.servers - 1}}}
head=${{2:?address of the first server of this replica}}
nodes={placed.nodes}
rank=$((server % nodes))
slot=0
devices=$(seq -s, 0 {placed.each - 1})
{start} --port {placed.port} {joined}
"""


def quoted(text: str) -> str:
    """A word for the shell."""
    return shlex.quote(text)
