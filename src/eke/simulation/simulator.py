"""One run of traffic through a deployment under a policy."""

from __future__ import annotations

import gc
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from eke.policy.protocol import Policy
from eke.simulation.deployment import Deployment
from eke.simulation.driver import Driver
from eke.simulation.engine import layout as at
from eke.simulation.engine.build import world
from eke.simulation.events import Failing, Growing
from eke.simulation.ledger import Ledger
from eke.simulation.replicas import Replicas
from eke.simulation.source import Source
from eke.simulation.timeline import Timeline
from eke.simulation.traffic import Traffic
from eke.simulation.watch import Watch
from eke.types.run import COLUMNS, Run

AT_FIRST = 65_536  # requests there is room for in the beginning

Progress = Callable[[float, int], None]


def run(
    deployment: Deployment,
    traffic: Traffic,
    policy: Policy,
    watch: Watch,
    *,
    label: str = "",
    seed: int = 0,
    progress: Progress | None = None,
) -> Run:
    """What happens to every request of the traffic. Interrupted from the keyboard, what happened
    until then."""
    kinds = tuple(half.replica for half in deployment.halves)
    each = [kind for kind, half in enumerate(deployment.halves) for _ in range(half.count)]
    ledger = Ledger(world(kinds, each, AT_FIRST, deployment.longest), deployment)
    source = Source(traffic, ledger, watch.forecast)
    driver = Driver(source, ledger, policy, traffic.users, watch.patience)
    replicas = Replicas(deployment, driver, watch)
    seconds = watch.until or traffic.seconds
    timeline = Timeline(driver, replicas, watch.samples, seconds)
    extra = _beside(driver, replicas, watch, seed)
    replicas.report(None)
    timeline.sample()
    remarks = []
    collects = gc.isenabled()
    gc.disable()  # millions of records come and go, none of them in a cycle
    try:
        driver.run(watch.until or inf, progress)
    except KeyboardInterrupt:
        remarks.append(f"interrupted after {driver.now:,.1f} s of it; what follows is until then")
    finally:
        if collects:
            gc.enable()
    replicas.look()
    facts = _facts(deployment, replicas, driver) | extra()
    remarks += [*_assumed(deployment, watch), *traffic.remarks, *driver.remarks]
    if words := traffic.skipped.words():
        remarks.append(words)
    return Run(
        label=label,
        end=driver.now,
        requests=_requests(ledger, driver),
        names=_names(ledger, driver),
        timeline=timeline.columns(),
        seed=seed,
        facts=facts,
        remarks=tuple(remarks),
    )


def _assumed(deployment: Deployment, watch: Watch) -> list[str]:
    """What is taken for granted, in words."""
    found = [deployment.grounds] if deployment.grounds else []
    if watch.forecast == "mean":
        found.append(
            "policies take an answer to be as long as the mean of its kind (assumed known)"
        )
    return found


def _beside(driver: Driver, replicas: Replicas, watch: Watch, seed: int) -> Any:
    """Failures and scaling, and what they count."""
    growing = Growing(driver, replicas, watch.scaling) if watch.scaling else None
    failing = Failing(driver, replicas, watch.failures, seed) if watch.failures else None

    def counted() -> dict[str, float]:
        found = {"failures": float(failing.count)} if failing else {}
        return found | ({"starts": float(growing.starts)} if growing else {})

    return counted


def _requests(ledger: Ledger, driver: Driver) -> dict[str, Any]:
    """The table of all requests that came."""
    many = ledger.many
    times, count = ledger.world.times[:many], ledger.world.count[:many]
    reason = np.zeros(many, dtype=np.int16)
    if driver.reason_of:
        reason[list(driver.reason_of)] = list(driver.reason_of.values())
    inside = {
        "arrived": times[:, at.ARRIVED],
        "started": times[:, at.STARTED],
        "scheduled": times[:, at.SCHEDULED],
        "first": times[:, at.FIRST],
        "finished": times[:, at.FINISHED],
        "prompt": count[:, at.PROMPT],
        "answer": count[:, at.ANSWER],
        "tokens": count[:, at.TOKENS],
        "cached": count[:, at.HIT],
        "replica": count[:, at.REPLICA],
        "outcome": count[:, at.OUTCOME],
        "preempted": count[:, at.PREEMPTED],
        "reason": reason,
    }
    came = times[:, at.ARRIVED] <= driver.now
    whole = bool(came.all())
    found = {}
    for name, (kind, _, _) in COLUMNS.items():
        column = inside[name] if name in inside else ledger.column(name)
        found[name] = np.asarray(column if whole else column[came], dtype=kind)
    return found


def _names(ledger: Ledger, driver: Driver) -> dict[str, tuple[str, ...]]:
    names = {name: tuple(codes) for name, codes in ledger.names.items()}
    return names | {"reason": tuple(driver.reasons)}


def _facts(deployment: Deployment, replicas: Replicas, driver: Driver) -> dict[str, float]:
    """What the run took."""
    held = replicas.held_by(driver.now)
    busy = replicas.worked_by(driver.now)
    found = {"chips": float(deployment.chips), "seconds": driver.now}
    sums: dict[str, float | None] = {"energy": 0.0, "carbon": 0.0, "cost": 0.0}
    for replica, half in enumerate(replicas.half):
        took = deployment.costs(int(half), float(held[replica]), float(busy[replica]))
        for name, value in zip(sums, took, strict=True):
            before = sums[name]
            sums[name] = None if value is None or before is None else before + float(value)
    found |= {name: value for name, value in sums.items() if value is not None}
    hours = sum(
        held[replica] * deployment.halves[half].chips for replica, half in enumerate(replicas.half)
    )
    return found | {"chip_seconds": float(hours)}
