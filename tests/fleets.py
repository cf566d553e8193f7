"""Fleets and traffic made by hand for tests of the simulation."""

from __future__ import annotations

from functools import cache

import numpy as np

from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import fleet
from eke.catalog.models import model
from eke.physics.scenarios import likely
from eke.policy.naming import make
from eke.simulation.deployment import Deployment, Settings, deployment
from eke.simulation.engine.build import Replica
from eke.simulation.simulator import run
from eke.simulation.traffic import Skipped, Traffic
from eke.simulation.watch import Watch
from eke.types.arrivals import arrivals
from eke.types.job import Serve
from eke.types.plan import Plan
from eke.types.record import replace
from eke.types.run import Run
from tests.engines import table

LONGEST = 1 << 17
REPLICA = Replica(
    step=table(own=0.01, per_token=1e-4, per_context=1e-6, exchange=2e-5),
    most=4,
    budget=256,
    blocks=400,
)


@cache
def _ready(halves: int) -> Deployment:
    """A deployment of which only prices are kept."""
    plan = Plan(chip="h100-sxm", prefill=Plan(chip="h100-sxm") if halves == 2 else None)
    job = Serve(model=model("llama-3.1-8b"), prompt=500.0, answer=50.0)
    knobs = likely(efficiencies("hopper"))
    return deployment(job, plan, fleet("2xh100-sxm"), knobs, Settings(), 1024)


def deployed(
    *kinds: tuple[Replica, int], handover: tuple[float, float] = (0.0, 0.0), longest: int = LONGEST
) -> Deployment:
    """Replicas made by hand, so many of each; of two kinds the first takes prompts in."""
    ready = _ready(len(kinds))
    halves = tuple(
        replace(half, replica=replica, count=count)
        for half, (replica, count) in zip(ready.halves, kinds, strict=True)
    )
    return replace(ready, halves=halves, longest=longest, handover=handover)


def traffic(arrived, prompt, answer, *, users: int | None = None, seconds=None, **columns):
    """Requests of these columns, in one stretch."""
    stretch = arrivals(np.asarray(arrived, float), prompt, answer, **columns)
    return Traffic(
        name="by hand",
        chunks=lambda: iter([stretch]),
        users=users,
        seconds=seconds,
        skipped=Skipped(),
    )


def play(
    where: Deployment | Replica,
    asks: Traffic,
    policy: str = "fcfs",
    watch: Watch | None = None,
    change=lambda machine: None,
    **others,
) -> Run:
    """What happens to them. where: one replica, or several.  change: to the policy once made."""
    ready = where if isinstance(where, Deployment) else deployed((where, 1))
    watching = watch or Watch(samples=50)
    machine = make(policy)
    change(machine)
    return run(ready, asks, machine, watching, label=policy, **others)


def same(one: Run, other: Run) -> bool:
    """Whether two runs are the same, byte for byte."""
    columns = all(
        one.requests[name].tobytes() == other.requests[name].tobytes() for name in one.requests
    )
    line = all(
        one.timeline[name].tobytes() == other.timeline[name].tobytes() for name in one.timeline
    )
    return columns and line and (one.end, one.names) == (other.end, other.names)
