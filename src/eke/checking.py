"""Plans that the closed form chose, put before real traffic: where it was too kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eke.calibrate.measured import Measured
from eke.errors import BadInput
from eke.physics.answer import outcome
from eke.physics.scenarios import likely
from eke.simulating import MakePolicy, deployed, job_of, policy_of
from eke.simulation.simulator import Progress, run
from eke.simulation.survey import survey
from eke.simulation.traffic import Traffic
from eke.simulation.traffic import traffic as traffic_of
from eke.simulation.traffic.changes import promised
from eke.simulation.watch import Watch
from eke.types.fleet import Fleet
from eke.types.goal import Planned
from eke.types.job import Promise, Serve
from eke.types.plan import Plan
from eke.types.record import Record, replace
from eke.types.run import FINISHED, Run
from eke.verbs import values_of

LEAST = 100  # requests, for a percentile to say anything


class Seen(Record):
    """One figure of a finalist. closed, simulated: by the closed form at the traffic's mean lengths
    and peak rate, and with every request of it [s].  limit: promised, None where nothing is."""

    name: str
    percentile: float  # the promised one; 0 for a mean
    closed: float
    simulated: float
    limit: float | None = None

    @property
    def factor(self) -> float:
        """Simulated over closed form; above 1 the closed form was too kind."""
        return self.simulated / self.closed if self.closed > 0 else float("inf")

    @property
    def kept(self) -> bool:
        """Whether the simulation keeps the promise."""
        return self.limit is None or self.simulated <= self.limit


class Checked(Record):
    """A finalist before the traffic. answered: share of the requests that were answered.
    reused: share of the prompts that was in the cache when it was simulated, which the closed form
    is told.  load: of what it can do at the peak, by the closed form.  busy: share of the time that
    its replicas had anything to do, simulated."""

    plan: Plan
    answered: float
    reused: float
    load: float
    busy: float
    seen: tuple[Seen, ...]

    @property
    def kept(self) -> bool:
        """Whether every promise is kept and everybody answered."""
        return self.answered == 1.0 and all(seen.kept for seen in self.seen)


class Check(Record):
    """The finalists, the chosen plan first. traffic: its name.  rate, prompt, answer: what it asks
    at its peak, and on average.  policy: who decided."""

    traffic: str
    policy: str
    requests: int
    rate: float
    prompt: float
    answer: float
    finalists: tuple[Checked, ...]
    remarks: tuple[str, ...] = ()


def check(
    found: Planned,
    fleet: Fleet,
    traffic: Traffic | str,
    policy: str | MakePolicy = "fcfs",
    *,
    seed: int = 0,
    measured: Sequence[Measured] = (),
    progress: Progress | None = None,
) -> Check:
    """Simulate the chosen plan and its rivals under a traffic. Raises EkeError."""
    if not isinstance(found.job, Serve):
        raise BadInput("only plans for serving are checked against traffic.")
    coming = traffic if isinstance(traffic, Traffic) else traffic_of(traffic, seed=seed)
    coming = promised(coming, found.job.ttft.limit if found.job.ttft else None)
    seen = survey(coming)
    asked = job_of(found.job, seen)
    plans = [found.need.plan, *(rival.plan for rival in found.rivals)]
    checked, remarks = [], coming.remarks
    for plan in plans:
        ready = deployed(asked, plan, fleet, seen, measured=measured)
        one = run(ready, coming, policy_of(policy), Watch(), seed=seed, progress=progress)
        same = replace(asked, reuse=_reused(one))
        checked.append(_compared(same, plan, _closed(same, plan, fleet, measured), one))
    return Check(
        traffic=coming.name,
        policy=policy if isinstance(policy, str) else getattr(policy, "__name__", "policy"),
        requests=seen.requests,
        rate=seen.peak,
        prompt=seen.prompt,
        answer=seen.answer,
        finalists=tuple(checked),
        remarks=remarks,
    )


def _closed(job: Serve, plan: Plan, fleet: Fleet, measured: Sequence[Measured]) -> dict[str, float]:
    """What the closed form says, whether that keeps the promises or not."""
    found = outcome(job, plan, fleet, likely(values_of(job, plan, fleet, measured)))
    said = {amount.name: amount.value for amount in found.amounts}
    return {name: float(np.ravel(value)[0]) for name, value in said.items() if value is not None}


def _reused(one: Run) -> float:
    """Share of all prompts that was in the cache."""
    prompts = float(one.requests["prompt"].sum(dtype=np.float64))
    return float(one.requests["cached"].sum(dtype=np.float64)) / prompts if prompts else 0.0


def _compared(job: Serve, plan: Plan, closed: dict[str, float], one: Run) -> Checked:
    requests = one.requests
    done = requests["outcome"] == FINISHED
    ttft = (requests["first"] - requests["arrived"])[done]
    several = done & (requests["tokens"] > 1)
    spent = (requests["finished"] - requests["first"])[several]
    tpot = spent / (requests["tokens"][several] - 1)
    rows: list[Seen] = []
    for name, times, promise in (("ttft", ttft, job.ttft), ("tpot", tpot, job.tpot)):
        rows += _rows(name, times, promise, closed)
    return Checked(
        plan=plan,
        answered=float(done.mean()) if len(done) else 0.0,
        reused=job.reuse,
        load=closed["utilisation"],
        busy=_busy(one),
        seen=tuple(rows),
    )


def _rows(name: str, times: Any, promise: Promise | None, closed: dict[str, float]) -> list[Seen]:
    if not len(times):
        return []
    found = [Seen(name=name, percentile=0.0, closed=closed[name], simulated=float(times.mean()))]
    if promise is not None and len(times) >= LEAST:
        share = promise.percentile
        found.append(
            Seen(
                name=name,
                percentile=share,
                closed=closed[f"{name}_promised"],
                simulated=float(np.quantile(times, share)),
                limit=promise.limit,
            )
        )
    return found


def _busy(one: Run) -> float:
    """Share of the time up to the last arrival that replicas worked."""
    line = one.timeline
    inside = (line["time"] <= np.max(one.requests["arrived"], initial=0.0)) & (line["time"] > 0)
    return float(line["busy"][inside].mean()) if inside.any() else float(line["busy"].mean())
