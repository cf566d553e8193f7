"""Invented runs: queues of a few servers, with numbers drawn from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.types.run import COLUMNS, FINISHED, REFUSED, RUNNING, TIMELINE, WAITING, Run

NONE: dict[str, float] = {"replica": -1, "session": -1, "ttft": np.inf, "deadline": np.inf}


def columns(count: int, **given: Any) -> dict[str, Any]:
    """Requests of which only these columns are known."""
    found = {}
    for name, (kind, unit, _) in COLUMNS.items():
        usual = NONE.get(name, np.nan if unit == "s" else 0)
        found[name] = np.array(np.broadcast_to(given.get(name, usual), count), dtype=kind)
    return found


def run(count: int, label: str = "hand-made", end: float = 100.0, **given: Any) -> Run:
    """A run in which only these columns are known; there is one tenant and no timeline."""
    names = {"tenant": ("one",), "kind": ("chat",), "reason": ("", "too late")}
    return Run(label=label, end=end, requests=columns(count, **given), names=names)


def queue(
    count: int = 2000,
    label: str = "fcfs",
    seed: int = 7,
    tenants: int = 3,
    replicas: int = 2,
    load: float = 0.8,
    refuse: float = 0.05,
    length: float = 600.0,
    samples: int = 100,
) -> Run:
    """First come, first served at `replicas` places; some are refused, the last are in flight."""
    dice = np.random.default_rng(seed)
    work = load * replicas * length / max(count, 1)
    arrived = np.sort(dice.uniform(0, length, count))
    prompt, answer = dice.integers(20, 2000, count), dice.geometric(1 / 200, count)
    taken = work * dice.exponential(1.0, count)
    outcome = np.where(dice.random(count) < refuse, REFUSED, FINISHED)
    scheduled, replica = _served(arrived, taken, outcome, replicas)
    first, finished = scheduled + 0.2 * taken, scheduled + taken
    late = np.isfinite(scheduled) & (finished > length)
    outcome[late] = np.where(scheduled[late] > length, WAITING, RUNNING)
    finished = np.where(outcome == REFUSED, arrived + 0.01 * work, finished)
    seen = {"scheduled": scheduled, "started": scheduled, "first": first, "finished": finished}
    for name, values in seen.items():
        seen[name] = np.where(values > length, np.nan, values)
    requests = columns(
        count,
        **seen,
        arrived=arrived,
        prompt=prompt,
        answer=answer,
        tokens=np.where(np.isfinite(seen["finished"]) & (outcome == FINISHED), answer, 0),
        cached=prompt // 4,
        tenant=np.minimum(dice.geometric(0.3, count) - 1, tenants - 1),
        kind=dice.integers(0, 2, count),
        replica=replica,
        outcome=outcome,
        reason=np.where(outcome == REFUSED, dice.integers(1, 3, count), 0),
    )
    return Run(
        label=label,
        end=length,
        seed=seed,
        requests=requests,
        timeline=timeline(requests, replicas, length, samples),
        names={
            "tenant": tuple(f"tenant {i}" for i in range(tenants)),
            "kind": ("chat", "code"),
            "reason": ("", "would miss its promise", "queue is full"),
        },
        facts={"chips": 8.0 * replicas, "cost": 3.0 * replicas * length / 3600, "energy": 5e6},
        remarks=("service times are drawn, not computed",),
    )


def _served(arrived: Any, taken: Any, outcome: Any, replicas: int) -> tuple[Any, Any]:
    """When each is taken in, and where."""
    free, scheduled = np.zeros(replicas), np.full(len(arrived), np.nan)
    replica = np.full(len(arrived), -1)
    for i in np.flatnonzero(outcome != REFUSED):
        where = int(np.argmin(free))
        scheduled[i] = max(arrived[i], free[where])
        free[where], replica[i] = scheduled[i] + taken[i], where
    return scheduled, replica


def timeline(requests: dict[str, Any], replicas: int, length: float, samples: int) -> Any:
    """Samples of every replica at equal distances, as the requests have them."""
    times = np.linspace(0, length, samples)
    ended = np.where(np.isnan(requests["finished"]), length, requests["finished"])
    begun = np.where(np.isnan(requests["scheduled"]), ended, requests["scheduled"])
    waiting = np.searchsorted(requests["arrived"], times) - _before(begun, times)
    rows = []
    for each in range(replicas):
        own = requests["replica"] == each
        running = _before(requests["scheduled"][own], times) - _before(ended[own], times)
        cache = np.clip(0.1 + 0.3 * running + 0.3 * np.sin(times / length * 9 + each), 0, 1)
        rows.append((times, each, running, 0, waiting, cache, np.minimum(running, 1), 10.0, 1))
    columns = zip(*rows, strict=True)
    return {
        name: np.concatenate([np.broadcast_to(part, samples) for part in parts]).astype(kind)
        for (name, (kind, _, _)), parts in zip(TIMELINE.items(), columns, strict=True)
    }


def _before(events: Any, times: Any) -> Any:
    """How many of the events there were by each time."""
    return np.searchsorted(np.sort(events[np.isfinite(events)]), times)


LABELS = ("first come, first served", "<script>alert(1)</script>", "fair", "deadline", "shortest")
PAGES: dict[str, tuple[Run, ...]] = {
    "one run": (queue(3000, replicas=4, tenants=8, load=0.9, length=3600.0),),
    "five policies": tuple(
        queue(2000, label=name, refuse=0.02 * i, load=0.97, replicas=64, tenants=30, length=36e3)
        for i, name in enumerate(LABELS)
    ),
    "ten policies": tuple(queue(300, label=f"policy {i}", seed=i) for i in range(10)),
    "milliseconds": (queue(500, length=4e-3),),
    "one request": (run(1, arrived=1.0, scheduled=1.2, first=2.0, finished=3.0, outcome=2),),
    "all refused": (queue(50, refuse=1.0),),
    "nobody came": (run(0),),
}


def page_of(name: str) -> str:
    """One of these runs, or several side by side, as a page."""
    from eke.report.page import page
    from eke.simulation.statistics import summary

    runs = PAGES[name]
    found = [summary(each, ttft=10.0) for each in runs]
    return page(runs, found, "<b>70B</b> on 16 chips & a trace", "eke simulate --report out.html")
