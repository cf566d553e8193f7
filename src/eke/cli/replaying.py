"""A run as what `eke simulate` plays: its requests, and its engines where no others are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def who_comes(given: dict[str, Any]) -> tuple[Any, Any]:
    """The run that is replayed, None for none, and the traffic. Raises EkeError."""
    from eke.errors import BadInput
    from eke.observing.replaying import replay
    from eke.simulation.files import read_run
    from eke.simulation.traffic import traffic

    if not given["replay"]:
        return None, traffic(given["traffic"], seed=given["seed"], skip_bad=given["skip_bad"])
    alone = next((name for name in ("traffic", "shards", "skip_bad") if given[name]), None)
    if alone:
        raise BadInput(
            f"--replay has its own requests and is played whole; drop --{alone.replace('_', '-')}."
        )
    found = replay(read_run(Path(given["replay"])))
    return found, found.traffic


def on_its_engines(
    given: dict[str, Any], coming: Any, watch: Any, settings: Any, replayed: Any
) -> Callable[[str, Any], Any]:
    """A simulation on the engines of a run that only lacks its policy. Raises BadInput."""
    from eke.asking import choices
    from eke.errors import BadInput
    from eke.observing.replaying import again, play
    from eke.simulating import policy_of

    if said := [*choices(given), *(["prefill_on"] if given["prefill_on"] else [])]:
        raise BadInput(
            f"--{said[0].replace('_', '-')} lays out a model; say which and on what: serve MODEL "
            "--on CHIPS. Without, the engines are those of the run."
        )
    ready = again(replayed, settings)

    def simulated(policy: str, progress: Any) -> Any:
        machine, seed = policy_of(policy), given["seed"]
        return play(ready, machine, watch, coming, label=policy, seed=seed, progress=progress)

    return simulated
