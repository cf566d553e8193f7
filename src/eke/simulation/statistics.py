"""The numbers of a run: times, promises kept, throughput, cost, fairness, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.simulation import fairness
from eke.simulation.groups import Group, Told, groups, named, rows_of, told
from eke.simulation.numbers import Number, engines, evenness, seconds, spent, throughput
from eke.simulation.series import windows
from eke.simulation.times import Promise, promised
from eke.types.record import Record
from eke.types.run import FAILED, OUTCOMES, REFUSED, STOPPED, Run

POINTS = (0.1, 0.5, 0.9, 0.95, 0.99)
WINDOWS = 2048  # of a run, for the gap between tenants
GROUPS = 64  # tenants or kinds told one by one; between these tenants gaps are looked for


class Percentiles(Record):
    """How some durations are spread. count: how many there are."""

    unit: str
    count: int
    mean: float
    p10: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float


class Refusal(Record):
    """How many requests ended badly in one way, for one reason."""

    outcome: str
    reason: str
    count: int


class Summary(Record):
    """The numbers of a run.

    counts: of requests by outcome, which add up to `arrived`.  seconds: watched [s].
    promised: whether anything was promised to anybody; else to be answered is all there is to it.
    kept, undecided: of requests, see `eke.simulation.times.kept`.
    times: "ttft", "tpot", "end_to_end", "queueing", those of which there is any.
    numbers: by name, those that can be said.  tenants, kinds: the largest, at most GROUPS; nothing
    where there is only one, whose numbers are those of the run.
    all_tenants: how many have asked anything.  ahead, behind: the tenants of the service gap.
    """

    label: str
    seconds: float
    arrived: int
    counts: dict[str, int]
    promise: Promise
    promised: bool
    kept: int
    undecided: int
    times: dict[str, Percentiles]
    numbers: dict[str, Number]
    tenants: tuple[Group, ...]
    kinds: tuple[Group, ...]
    refusals: tuple[Refusal, ...]
    all_tenants: int
    ahead: str = ""
    behind: str = ""


def summary(run: Run, ttft: float | None = None, tpot: float | None = None) -> Summary:
    """The numbers of a run. ttft, tpot: promised to requests that carry no promise [s]."""
    promise = Promise(ttft=ttft, tpot=tpot)
    each = told(run, promise)
    good, undecided = int(each.good.sum()), int(each.undecided.sum())
    rows = rows_of(run.requests["tenant"], GROUPS, each.wanted)
    kinds = rows_of(run.requests["kind"], GROUPS)
    gap = fairness.gap(run, windows(run, WINDOWS), rows)
    counts = np.bincount(run.requests["outcome"], minlength=len(OUTCOMES))
    names = run.names.get("tenant", ())
    decided = len(run) - undecided
    return Summary(
        label=run.label,
        seconds=seconds(run),
        arrived=len(run),
        counts=dict(zip(OUTCOMES, map(int, counts), strict=True)),
        promise=promise,
        promised=promised(run.requests, promise),
        kept=good,
        undecided=undecided,
        times=_times(each),
        numbers={
            **throughput(run, good, decided),
            **engines(run),
            **spent(run),
            **evenness(run, each, gap),
        },
        tenants=groups(run, "tenant", rows, each) if len(rows) > 1 else (),
        kinds=groups(run, "kind", kinds, each) if len(kinds) > 1 else (),
        refusals=_refusals(run),
        all_tenants=len(np.unique(run.requests["tenant"])),
        ahead=named(names, gap.ahead) if gap else "",
        behind=named(names, gap.behind) if gap else "",
    )


def _times(each: Told) -> dict[str, Percentiles]:
    found = {name: percentiles(values) for name, values in each.times.items()}
    return {name: each for name, each in found.items() if each is not None}


def percentiles(values: Any, unit: str = "s") -> Percentiles | None:
    """How these values are spread, None where there are none; NaN is no value."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    p10, p50, p90, p95, p99 = map(float, np.quantile(known, POINTS))
    ends = {"mean": float(known.mean()), "max": float(known.max())}
    five = {"p10": p10, "p50": p50, "p90": p90, "p95": p95, "p99": p99}
    return Percentiles(unit=unit, count=len(known), **five, **ends)


def _refusals(run: Run) -> tuple[Refusal, ...]:
    """Who was not answered and why, the most frequent first."""
    outcome, reason = run.requests["outcome"], run.requests["reason"]
    names, found = run.names.get("reason", ()), []
    for code in (REFUSED, STOPPED, FAILED):
        reasons, counts = np.unique(reason[outcome == code], return_counts=True)
        for each, count in zip(reasons.tolist(), counts.tolist(), strict=True):
            words = names[each] if 0 <= each < len(names) else ""
            found.append(Refusal(outcome=OUTCOMES[code], reason=words, count=count))
    return tuple(sorted(found, key=lambda each: -each.count))
