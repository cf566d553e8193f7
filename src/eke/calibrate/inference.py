"""Rows of serving as blocks: what was understood of them, priced together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from eke.calibrate import benchmarks
from eke.calibrate.blocks import Block, Skipped
from eke.calibrate.cases import Case, understand
from eke.calibrate.rows import Row
from eke.catalog.fleets import pool
from eke.physics import arrivals, latency
from eke.physics.engine import load as load_of
from eke.physics.machine import Machine, machine
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool
from eke.types.job import Serve
from eke.types.plan import Plan, Plans
from eke.types.record import Record, replace


def inference_blocks(rows: Iterable[Row]) -> tuple[list[Block], list[Skipped]]:
    """The rows of serving as blocks, and those that cannot be predicted."""
    skipped: list[Skipped] = []
    together: dict[tuple[Any, ...], list[Case]] = defaultdict(list)
    for row in rows:
        case = row.flag or _unpredicted(row) or understand(row)
        if isinstance(case, str):
            skipped.append(Skipped(row=row, reason=case))
        else:
            together[_key(case)].append(case)
    return [_block(cases) for cases in together.values()], skipped


def _key(case: Case) -> tuple[Any, ...]:
    """What rows of one block share."""
    f, half = case.formats, case.prefill
    return (
        *(case.model.id, case.chip.id, case.engine.id if case.engine else ""),
        *(f.weights, f.compute, f.cache, case.how),
        case.rules.benchmark.id if case.rules else "",
        (half.tensor, half.pipeline, half.data, half.expert, half.replicas) if half else None,
    )


def _unpredicted(row: Row) -> str:
    """Why a row is left out before anything else is looked at."""
    if row.metric not in QUANTITIES:
        return f"{row.metric} is not predicted"
    if re.search(r"\bp9\d", row.notes) and row["scenario"] != "mlperf_offline":
        return "a percentile: scored through simulate"
    return ""


def _block(cases: list[Case]) -> Block:
    """Cases that share everything but numbers as one prediction."""
    first = cases[0]
    where = pool(first.chip, max(case.layout.chips for case in cases))
    plans = _plans(cases)
    job = Serve(
        model=first.model,
        rate=column(case.asked for case in cases),
        prompt=column(case.prompt for case in cases),
        answer=column(case.answer for case in cases),
        spread=column(map(_spread, cases)) if first.how == "backlog" else _usual_spread(first),
        reuse=1 - 1 / first.beams,
    )
    load = Load(
        how=first.how,
        asked=column(case.asked for case in cases),
        served=column(_served(case.row) for case in cases),
        limits=np.array([_limits(case) for case in cases])[:, None, :],
    )
    chips = column(_counted(case) for case in cases)
    metrics = [case.row.metric for case in cases]

    def predict(knobs: Knobs) -> Any:
        seen = _seen(load, job, plans, where, knobs)
        seen = replace(seen, rate=seen.rate / first.beams)
        every = {name: QUANTITIES[name](seen, job, chips) for name in set(metrics)}
        return np.stack([every[name][index] for index, name in enumerate(metrics)])

    return Block(
        rows=tuple(case.row for case in cases),
        regimes=tuple(case.regime for case in cases),
        tables=(first.chip.family, first.engine.id if first.engine else ""),
        predict=predict,
        notes=tuple(case.note for case in cases),
        chip=first.chip.id,
        model=first.model.id,
        engine=first.engine.id if first.engine else "",
    )


def _counted(case: Case) -> float:
    """Chips that a figure per chip is divided by: the billed ones."""
    return float(case.row.whole("n_chips") or case.layout.chips)


def _served(row: Row) -> bool:
    """Whether requests came through a server rather than from the engine's own process."""
    if row["scenario"] == "mlperf_offline":
        return False
    said = re.search(r"serve\b|server|guidellm|llmperf|genai-perf|aiperf|triton", row.notes.lower())
    return bool(said) or row["scenario"] != "offline_max_throughput"


def _spread(case: Case) -> float:
    """Squared variation of answer lengths: none for fixed ones, and none where the work goes on
    for so long that its end does not count."""
    row = case.row
    if case.rules:
        return 0.0
    even = re.search(r"random|uniform|ignore.eos|synthetic|trtllm-bench|isl=osl", row.notes)
    return 0.0 if even or row["scenario"] != "offline_max_throughput" else 1.0


def _usual_spread(case: Case) -> float:
    """Squared variation where requests keep coming: the benchmark's, else that of many users."""
    return case.rules.benchmark.spread.value if case.rules else 1.0


def _limits(case: Case) -> tuple[float, float, float]:
    """What a server must keep: first token, each after it, the whole request [s]."""
    return case.rules.limits.seconds if case.rules else (np.inf, np.inf, np.inf)


def column(values: Iterable[float]) -> Any:
    """One row per value."""
    return np.array([[float(value)] for value in values])


def _plans(cases: list[Case]) -> Plans:
    first = cases[0]
    base = Plan(
        chip=first.chip.id,
        weights=first.formats.weights,
        compute=first.formats.compute,
        cache=first.formats.cache,
        engine=first.engine.id if first.engine else "",
        padded=first.engine.padded if first.engine else False,
        token_budget=max(case.budget for case in cases),
        batch=max(case.most for case in cases),
    )
    if first.prefill is not None:
        half = first.prefill
        other = replace(
            base,
            tensor=half.tensor,
            pipeline=half.pipeline,
            data=half.data,
            expert=half.expert,
            replicas=half.replicas,
        )
        base = replace(base, prefill=other)
    names = ("tensor", "pipeline", "data", "expert", "replicas")
    return Plans(
        base=base,
        **{name: column(getattr(case.layout, name) for case in cases) for name in names},
        batch=column(case.most for case in cases),
        token_budget=column(case.budget for case in cases),
    )


class Found(Record):
    """Predictions of the whole deployment. Durations in seconds; rate in requests per second."""

    ttft: Any
    tpot: Any
    time: Any
    rate: Any
    at_once: Any


class Load(Record):
    """How requests come to the whole deployment and how many, as in a case. served: whether
    through a server.  limits: of times, last axis [s]."""

    how: str
    asked: Any
    served: Any
    limits: Any


def _seen(load: Load, job: Serve, plans: Plans, where: Pool, knobs: Knobs) -> Found:
    """What is seen of the deployment, requests spread evenly over its replicas."""
    here = machine(where, plans, knobs)
    there = machine(where, plans.prefill, knobs) if plans.prefill is not None else None
    if load.how == "limits":
        rate = benchmarks.largest_rate(job, plans, here, load.limits)
        return _at_rate(replace(job, rate=rate), plans, here, there)
    if load.how == "rate":
        return _at_rate(job, plans, here, there)
    busy = np.minimum(plans.replicas, load.asked)  # replicas that have anything to do
    each = load.asked / busy
    if load.how == "static":
        seen = arrivals.together(job, plans, here, each)
    elif load.how == "loop":
        seen = arrivals.closed_loop(job, plans, here, each, there)
    else:
        seen = arrivals.backlog(job, plans, here, each, load.served)
    return Found(
        ttft=seen.ttft,
        tpot=seen.tpot,
        time=seen.time,
        rate=seen.rate * busy,
        at_once=seen.concurrency * busy,
    )


def _at_rate(job: Serve, plans: Plans, here: Machine, there: Machine | None) -> Found:
    """An open loop at a rate; where it is more than the deployment can do, what it can do."""
    state = load_of(job, plans, here)
    seen = latency.seen(job, plans, here, state, there)
    return Found(
        ttft=seen.ttft,
        tpot=seen.tpot,
        time=seen.ttft + (job.answer - 1) * seen.tpot,
        rate=np.minimum(job.rate, state.ceiling * plans.replicas),
        at_once=state.concurrency * plans.replicas,
    )


# What each metric of the table is, in its unit: from what is seen, the job and the billed chips.
QUANTITIES: dict[str, Callable[[Found, Serve, Any], Any]] = {
    "ttft_ms": lambda seen, job, chips: 1e3 * seen.ttft,
    "tpot_ms": lambda seen, job, chips: 1e3 * seen.tpot,
    "itl_ms": lambda seen, job, chips: 1e3 * seen.tpot,
    "e2e_latency_s": lambda seen, job, chips: seen.time,
    "requests_per_sec": lambda seen, job, chips: seen.rate,
    "output_tokens_per_sec_total": lambda seen, job, chips: seen.rate * job.answer,
    "tokens_per_sec_per_chip": lambda seen, job, chips: seen.rate * job.answer / chips,
    "total_tokens_per_sec": lambda seen, job, chips: seen.rate * (job.prompt + job.answer),
    "decode_tokens_per_sec": lambda seen, job, chips: seen.at_once / seen.tpot,
    "prefill_tokens_per_sec": lambda seen, job, chips: seen.at_once * job.prompt / seen.ttft,
    "output_tokens_per_sec_per_user": lambda seen, job, chips: job.answer / seen.time,
}
