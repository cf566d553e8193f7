"""A number of the user's own, and what it says of every other prediction for the same stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eke.calibrate.inference import QUANTITIES, Found
from eke.calibrate.measured import METRICS, Measured, parse_measured
from eke.calibrate.readers import read_measurements
from eke.calibrate.rows import Row
from eke.calibrate.spans import learn, narrowed, priced_values
from eke.errors import BadInput
from eke.physics import arrivals
from eke.physics.answer import outcome, pool_of
from eke.physics.machine import machine, peak_format
from eke.physics.scenarios import scenarios
from eke.types.efficiency import Efficiency, Knobs
from eke.types.fleet import Fleet
from eke.types.job import Job, Serve
from eke.types.plan import Plan
from eke.types.record import replace

SERVING = (
    *("ttft", "tpot", "itl", "latency", "throughput", "total throughput"),
    *("prefill", "decode", "requests"),
)
LEARNING = ("step", "tokens per chip", "flops", "mfu", "time to train")
CONDITIONS = {"isl": "prompt", "osl": "answer", "seq_len": "sequence"}


def measurements(texts: Sequence[str], given: Mapping[str, str]) -> list[Measured]:
    """Each text as a measurement, or a file of them as many. Raises BadInput, BadFile."""
    found: list[Measured] = []
    for text in texts:
        path = Path(text)
        if "@" not in text and len(text) < 200 and path.is_file():
            rows = read_measurements(path, given)
            found += [each for each in map(_of_row, rows) if each is not None]
        else:
            found.append(parse_measured(text))
    return found


def _of_row(row: Row) -> Measured | None:
    """A row of a benchmark file as a measurement under its conditions; None for other metrics."""
    name = next((name for name, each in METRICS.items() if each.column == row.metric), None)
    if name is None or row.flag:
        return None
    conditions = {
        word: value
        for column, word in CONDITIONS.items()
        if (value := row.number(column)) is not None
    }
    kind, _, number = row["concurrency_or_qps"].partition("=")
    word = {"concurrency": "users", "qps": "rate"}.get(kind)
    if word and number.replace(".", "").isdigit():
        conditions[word] = float(number)
    elif row.whole("batch"):
        conditions["batch"] = float(row.whole("batch") or 1)
    return Measured(metric=name, value=row.value / METRICS[name].scale, conditions=conditions)


def conditioned(
    job: Job,
    plan: Plan,
    fleet: Fleet,
    values: dict[str, Efficiency],
    own: Sequence[Measured],
) -> dict[str, Efficiency]:
    """The efficiencies after own measurements of this plan. Raises BadInput for a measurement that
    the job cannot have."""
    cases = scenarios(values)
    made = []
    for said in own:
        if "percentile" in said.conditions:
            raise BadInput("a percentile says little of the mean; give a mean or a median.")
        predicted = _predicted(job, plan, fleet, cases, said)
        made.append((priced_values(values, np.atleast_2d(predicted)), 0, said.value))
    return narrowed(values, learn(made))


def _predicted(job: Job, plan: Plan, fleet: Fleet, knobs: Knobs, said: Measured) -> Any:
    """What the physics says of a measured quantity, in SI, in every case."""
    allowed = SERVING if isinstance(job, Serve) else LEARNING
    if said.metric not in allowed:
        raise BadInput(f"{said.metric} is nothing this job has; it has {', '.join(allowed)}.")
    if isinstance(job, Serve):
        return _served(job, plan, fleet, knobs, said)
    result = outcome(job, plan, fleet, knobs)
    if said.metric == "flops":
        return result["mfu"] * _peak(plan, fleet)
    names = {"step": "step_time", "tokens per chip": "tokens_per_second_per_chip"}
    names |= {"mfu": "mfu", "time to train": "time"}
    return result[names[said.metric]]


def _peak(plan: Plan, fleet: Fleet) -> float:
    """Published for the mean chip of a plan [FLOP/s]."""
    pool, other = pool_of(fleet, plan.chip), plan.other
    peak = pool.chip.peak[peak_format(pool, plan.compute)]  # type: ignore[index]
    if other is None:
        return peak
    return (plan.own_chips * peak + other.chips * _peak(other, fleet)) / plan.chips


def _served(job: Serve, plan: Plan, fleet: Fleet, knobs: Knobs, said: Measured) -> Any:
    at = said.conditions
    here = machine(pool_of(fleet, plan.chip), plan, knobs)
    same = replace(job, prompt=at.get("prompt", job.prompt), answer=at.get("answer", job.answer))
    if "batch" in at:
        seen = arrivals.together(same, plan, here, at["batch"] / plan.replicas)
    elif "users" in at:
        seen = arrivals.closed_loop(same, plan, here, at["users"] / plan.replicas)
    else:
        same = replace(same, rate=at.get("rate", job.rate))
        result = outcome(same, plan, fleet, knobs)
        seen = arrivals.Seen(
            ttft=result["ttft"],
            tpot=result["tpot"],
            time=result["time"],
            rate=np.minimum(same.rate, result["rate_most"]) / plan.replicas,
            concurrency=result["concurrency"] / plan.replicas,
        )
    whole = Found(
        ttft=seen.ttft,
        tpot=seen.tpot,
        time=seen.time,
        rate=seen.rate * plan.replicas,
        at_once=seen.concurrency * plan.replicas,
    )
    column = METRICS[said.metric]
    return QUANTITIES[column.column](whole, same, float(plan.chips)) / column.scale
