"""Single numbers of a run: throughput, how full the engines were, what it took, how even it was."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.simulation import fairness
from eke.simulation.groups import Told
from eke.simulation.series import windows
from eke.types.record import Record
from eke.types.run import FINISHED, Run


class Number(Record):
    """One number of a run. unit: its base unit, "1" for a plain number.  means: in plain words."""

    value: float
    unit: str
    means: str


def seconds(run: Run) -> float:
    """How long was watched [s]."""
    at = windows(run, 1)
    return float(run.facts.get("seconds", run.end - at.start))


def throughput(run: Run, good: int, decided: int) -> dict[str, Number]:
    """Requests and tokens per second, and the share that got what was promised."""
    requests, length = run.requests, seconds(run)
    found = {}
    if decided:
        share = good / decided
        found["share_kept"] = Number(
            value=share, unit="1", means="of requests got all that was promised"
        )
    if length > 0:
        done = int(np.sum(requests["outcome"] == FINISHED))
        read = np.isfinite(requests["first"])
        rates = {
            "goodput": (good, "1/s", "requests that got all that was promised"),
            "requests": (done, "1/s", "requests answered"),
            "tokens": (_sum(requests["tokens"]), "token/s", "of answers"),
            "prompt_tokens": (_sum(requests["prompt"][read]), "token/s", "of prompts taken in"),
        }
        for name, (count, unit, means) in rates.items():
            found[name] = Number(value=count / length, unit=unit, means=means)
    if prompts := _sum(requests["prompt"]):
        reused = _sum(requests["cached"]) / prompts
        found["reuse"] = Number(value=reused, unit="1", means="of prompts was in the cache already")
    if len(run):
        lost = _sum(requests["preempted"]) / len(run)
        found["preempted"] = Number(value=lost, unit="1", means="times a request lost its place")
    return found


def _sum(values: Any) -> float:
    """A sum of whole numbers that does not run over."""
    return float(np.sum(values, dtype=np.int64))


def engines(run: Run) -> dict[str, Number]:
    """How busy and how full the replicas in service were, over time: those alive or busy."""
    line = run.timeline
    if not len(line.get("time", ())):
        return {}
    serving = (line["alive"] > 0) | (line["busy"] > 0)
    weight = _lengths(line) * serving
    if weight.sum() <= 0:
        return {}
    busy, cache = (float(np.average(line[name], weights=weight)) for name in ("busy", "cache"))
    most = float(np.max(line["cache"][serving]))
    means = "of the time the replicas had work to do"
    return {
        "utilisation": Number(value=busy, unit="1", means=means),
        "cache_mean": Number(value=cache, unit="1", means="of the cache held by what runs, mean"),
        "cache_most": Number(value=most, unit="1", means="of the cache held by what runs, at most"),
    }


def _lengths(line: dict[str, Any]) -> Any:
    """Time each sample stands for [s]: since the sample before of its replica."""
    order = np.lexsort((line["time"], line["replica"]))
    time, replica = line["time"][order], line["replica"][order]
    since = np.diff(time, prepend=time[:1])
    first = np.append(True, replica[1:] != replica[:-1])
    since[first] = time[first] - np.min(time)
    found = np.empty(len(time))
    found[order] = since
    return found


def spent(run: Run) -> dict[str, Number]:
    """Money, energy and carbon: of the whole run, per request answered, per token."""
    requests = run.requests
    answers = _sum(requests["tokens"])
    both = answers + _sum(requests["prompt"][np.isfinite(requests["first"])])
    answered = int(np.sum(requests["outcome"] == FINISHED))
    per_million = "USD per million tokens"
    rows = (
        ("cost", "cost", 1.0, "USD", "of the whole run"),
        ("cost_per_request", "cost", answered, "USD", "per request answered"),
        ("cost_per_million_tokens", "cost", both / 1e6, per_million, "of prompt and answer"),
        ("cost_per_million_answer_tokens", "cost", answers / 1e6, per_million, "of answer"),
        ("energy", "energy", 1.0, "J", "of the whole run"),
        ("energy_per_request", "energy", answered, "J", "per request answered"),
        ("energy_per_token", "energy", answers, "J/token", "per token of answer"),
        ("carbon", "carbon", 1.0, "kg", "of the whole run, by the grid"),
    )
    return {
        name: Number(value=run.facts[fact] / count, unit=unit, means=means)
        for name, fact, count, unit, means in rows
        if fact in run.facts and count
    }


def evenness(run: Run, each: Told, gap: fairness.Gap | None) -> dict[str, Number]:
    """How evenly tenants were served; nothing where there is only one."""
    tenant = run.requests["tenant"]
    asked = np.bincount(tenant, each.wanted)
    given = np.bincount(tenant, each.got)[asked > 0]
    if len(given) < 2:
        return {}
    found = {
        "jain": (fairness.jain(given), "1", "Jain's index of the service tenants got"),
        "jain_of_asked": (
            fairness.jain(given / asked[asked > 0]),
            "1",
            "Jain's index of service got over service asked",
        ),
        "service_gap": (
            gap.tokens if gap else None,
            "token",
            "weighted, most one tenant got over another while both waited",
        ),
    }
    return {
        name: Number(value=value, unit=unit, means=means)
        for name, (value, unit, means) in found.items()
        if value is not None
    }
