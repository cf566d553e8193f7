"""The router in front of prefill and decode servers."""

from __future__ import annotations

from collections.abc import Callable

from eke.launch.servers import PORT, Placement
from eke.launch.serving import Half, header
from eke.launch.start import Start
from eke.launch.yaml import comments

Parts = list[tuple[Half, Placement]]


def in_parts(
    parts: Parts,
    configured: Callable[[Half], str],
    script: Callable[[Half, Placement], str],
    front: Callable[[Parts], str],
) -> dict[str, str]:
    """Files of an engine that has a configuration and a script for each part, and something in
    front where there are two."""
    found: dict[str, str] = {}
    for half, placed in parts:
        found[f"{half.name}.yaml"] = configured(half)
        found[f"start-{half.name}.sh"] = script(half, placed)
    return found | ({"start-router.sh": front(parts)} if len(parts) > 1 else {})


def router(start: Start, parts: Parts, command: str, bootstrap: int | None = None) -> str:
    """A bash script that starts a router which takes the addresses of all servers.

    bootstrap: port on which the first prefill replica of a server is met, where there is one.
    """
    told = header(
        start,
        "Run on one server, with the addresses of the prefill servers and of the decode servers,",
        "each list with commas; of a replica over several servers, the first.",
    )
    return f"""\
#!/usr/bin/env bash
{comments(told)}set -euo pipefail
prefill=${{1:?addresses of the prefill servers, a comma between}}
decode=${{2:?addresses of the decode servers, a comma between}}
servers=()
{_urls("prefill", parts[0][1], bootstrap)}{_urls("decode", parts[1][1], None)}\
{command} "${{servers[@]}}" --host 0.0.0.0 --port {PORT}
"""


def _urls(role: str, placed: Placement, bootstrap: int | None) -> str:
    """The loop over the replicas of one part."""
    meets = f' "$(({bootstrap} + slot))"' if bootstrap else ""
    return f"""\
count=0
for address in ${{{role}//,/ }}; do
  for ((slot = 0; slot < {placed.slots} && count < {placed.replicas}; slot++, count++)); do
    servers+=(--{role} "http://$address:$(({placed.port} + slot))"{meets})
  done
done
"""
