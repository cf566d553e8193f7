"""The simulation against measured serving: two runs of vLLM request by request, and the means of
published runs, beside what the closed form says of them.

Published closed loops seldom say how lengths vary. Users whose lengths are all alike come in step,
and their prompts queue together; a little spread parts them. So each is simulated both ways, with
lengths alike and spread by a tenth to either side, and the truth should lie between.

`python tests/oracles/simulated_vllm.py [FOLDER]` reads `traces/measured_vllm_*.csv.gz` and
`truth/inference.csv.gz` of a folder, ../shared where none is given, and writes what it found to
record/simulated_vllm.json.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from eke.calibrate.blocks import Block
from eke.calibrate.cases import Case, understand
from eke.calibrate.inference import inference_blocks
from eke.calibrate.layout import Degrees
from eke.calibrate.rows import Row, read_rows
from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import fleet, pool
from eke.catalog.models import model
from eke.errors import EkeError
from eke.physics.scenarios import likely
from eke.policy.direct import Direct
from eke.simulation.deployment import Deployment, Settings, deployment
from eke.simulation.simulator import run
from eke.simulation.times import tpot, ttft
from eke.simulation.traffic import Skipped, Traffic
from eke.simulation.watch import Watch
from eke.types.arrivals import arrivals
from eke.types.fleet import Fleet
from eke.types.job import Serve
from eke.types.plan import Plan
from eke.types.record import replace
from eke.types.run import Run

RECORD = Path(__file__).parent / "record" / "simulated_vllm.json"
METRICS = ("ttft_ms", "tpot_ms", "itl_ms")
MEASURED = {  # file → model, sequences in flight at most
    "llama31-8b": ("llama-3.1-8b", 128),
    "qwen3-30b-a3b": ("qwen3-30b-a3b", 256),
}
ROUNDS, MOST = 10, 5000  # requests of each user where nobody says how many, and of all at most
OPEN = 600  # requests of an open loop where nobody says how many
VARIES = re.compile(r"\+-(\d+) in / \d+\+-(\d+) out")  # notes of how lengths vary
SPREAD = 0.1  # of lengths to either side, where that is tried
SECONDS = 240.0  # of the whole comparison with published runs, which then ends with a part of them
WAYS = {"alike": "lengths alike", "spread": "lengths ±10 %", "foretold": "closed form"}


# --- request by request ---------------------------------------------------------------------------


def measured(folder: Path, name: str) -> dict[str, Any]:
    """Quantiles of a measured run and of the same requests simulated."""
    path = folder / "traces" / f"measured_vllm_rtxpro6000_{name}.csv.gz"
    with gzip.open(path, "rt") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: float(row["queued_s"]))
    queued, first, last = (
        np.array([float(row[column]) for row in rows])
        for column in ("queued_s", "first_token_s", "last_token_s")
    )
    prompt, answer = (
        np.array([int(row[column]) for row in rows]) for column in ("input_toks", "output_toks")
    )
    label, most = MEASURED[name]
    plan = Plan(chip="rtx-pro-6000", batch=most, token_budget=2048, engine="vllm-1")
    job = Serve(model=model(label), prompt=float(prompt.mean()), answer=float(answer.mean()))
    longest = int(max(prompt + answer)) + 1
    where = deployed(job, plan, fleet("1xrtx-pro-6000"), longest)
    found = play(where, queued, prompt, answer)
    pairs = {
        "ttft": (first - queued, ttft(found.requests)),
        "tpot": ((last - first) / np.maximum(answer - 1, 1), tpot(found.requests)),
    }
    return {
        f"{what} {point}": {
            "measured": round(float(np.nanquantile(real, q)), 4),
            "ratio": round(float(np.nanquantile(simulated, q) / np.nanquantile(real, q)), 3),
        }
        for what, (real, simulated) in pairs.items()
        for point, q in (("p50", 0.5), ("p90", 0.9))
    }


def play(
    where: Deployment, arrived: Any, prompt: Any, answer: Any, users: int | None = None
) -> Run:
    """These requests, straight to the engines."""
    stretch = arrivals(arrived, prompt, answer)
    asked = Traffic(name="measured", chunks=lambda: iter([stretch]), users=users, skipped=Skipped())
    return run(where, asked, Direct(), Watch(samples=20))


def deployed(job: Serve, plan: Plan, where: Fleet, longest: int) -> Deployment:
    """Replicas with the catalogue's efficiencies."""
    family = where.pools[0].chip.family
    knobs = likely(efficiencies(family, plan.engine))
    return deployment(job, plan, where, knobs, Settings(), longest)


# --- published means ------------------------------------------------------------------------------


def published(folder: Path, seconds: float) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """What was measured, simulated and foretold of published runs, as many as there is time for;
    and how many there were, were simulated and have no room for a cache by eke's count."""
    rows = [row for row in read_rows(folder / "truth" / "inference.csv.gz") if of_use(row)]
    blocks, _ = inference_blocks(rows)
    runs: dict[Any, list[tuple[Case, float]]] = defaultdict(list)
    for block in blocks:
        for row, foretold in zip(block.rows, closed_form(block), strict=True):
            case = understand(row)
            assert isinstance(case, Case)
            runs[of_run(case)].append((case, foretold))
    found: list[dict[str, Any]] = []
    begun, counts = time.monotonic(), {"runs": len(runs), "simulated": 0, "no room": 0}
    for cases in spread(list(runs.values())):
        if time.monotonic() - begun > seconds:
            break
        rows_of_it = compared(cases)
        counts["simulated" if rows_of_it else "no room"] += 1
        found += rows_of_it
    return found, counts


def of_use(row: Row) -> bool:
    """Rows of waiting and of decoding times, at a load that is stated."""
    stated = row["concurrency_or_qps"].partition("=")[0] in ("concurrency", "qps")
    return row["scenario"] == "online" and row.metric in METRICS and stated


def closed_form(block: Block) -> Any:
    """What `eke need` would say of each row [its unit]."""
    return np.ravel(block.predict(likely(efficiencies(*block.tables))))


def of_run(case: Case) -> tuple[Any, ...]:
    """What rows of one run share."""
    row = case.row
    columns = ("source", "model", "chip", "concurrency_or_qps", "engine", "engine_version", "notes")
    return (*(row[name] for name in columns), case.layout, case.prefill, case.prompt, case.answer)


def spread(runs: list[Any]) -> list[Any]:
    """The same in an order of which every beginning is a fair sample."""
    order = np.random.default_rng(0).permutation(len(runs))
    return [runs[index] for index in order]


def compared(cases: list[tuple[Case, float]]) -> list[dict[str, Any]]:
    """Each metric of one run: measured, simulated, foretold by the closed form."""
    first = cases[0][0]
    try:
        alike = means(simulated(first, 0.0))
        spread = means(simulated(first, SPREAD)) if loose(first) else alike
    except EkeError:
        return []
    kind = {"loop": "closed loop", "rate": "open loop"}[first.how]
    return [
        {
            "engine": first.engine.id if first.engine else "other",
            "kind": kind + (", two halves" if first.prefill else ""),
            "metric": case.row.metric.removesuffix("_ms"),
            "measured": case.row.value,
            "alike": alike[case.row.metric],
            "spread": spread[case.row.metric],
            "foretold": float(foretold),
        }
        for case, foretold in cases
    ]


def loose(case: Case) -> bool:
    """Whether nobody says how lengths vary, and it matters."""
    return case.how == "loop" and VARIES.search(case.row.notes) is None


def simulated(case: Case, spread: float) -> Run:
    """A published run, with as many requests as it had or is likely to have had. spread: of lengths
    to either side, where the notes say nothing of it."""
    plan, numbers = plan_of(case), np.random.default_rng(1)
    users = round(case.asked) if case.how == "loop" else None
    many = stated(case.row) or (ROUNDS * users if users else OPEN)
    many = max(min(many, MOST), 2 * (users or 0))
    prompt, answer = lengths(case, spread, many, numbers)
    arrived = np.zeros(many)
    if users is None:
        even = "constant" in case.row.notes
        gaps = np.ones(many) if even else numbers.exponential(1.0, many)
        arrived = np.cumsum(gaps) / case.asked
    longest = int(max(prompt + answer)) + 1
    job = Serve(model=case.model, prompt=float(prompt.mean()), answer=float(answer.mean()))
    chips = case.layout.chips + (case.prefill.chips if case.prefill else 0)
    where = Fleet(pools=(pool(case.chip, chips),))
    return play(deployed(job, plan, where, longest), arrived, prompt, answer, users)


def plan_of(case: Case) -> Plan:
    """The layout of a case."""
    base = Plan(
        chip=case.chip.id,
        weights=case.formats.weights,
        compute=case.formats.compute,
        cache=case.formats.cache,
        engine=case.engine.id if case.engine else "",
        padded=case.engine.padded if case.engine else False,
        token_budget=case.budget,
        batch=case.most,
    )
    whole = laid_out(base, case.layout)
    return replace(whole, prefill=laid_out(base, case.prefill)) if case.prefill else whole


def laid_out(plan: Plan, by: Degrees) -> Plan:
    """The plan with these degrees."""
    return replace(
        plan,
        tensor=by.tensor,
        pipeline=by.pipeline,
        data=by.data,
        expert=by.expert,
        replicas=by.replicas,
    )


def stated(row: Row) -> int | None:
    """How many requests a run had, from its notes."""
    found = re.search(r"\b(\d[\d,]{0,14}) (?:\w+ )?(?:requests|prompts)", row.notes)
    return int(found[1].replace(",", "")) if found else None


def lengths(case: Case, spread: float, many: int, numbers: np.random.Generator) -> tuple[Any, Any]:
    """Prompts and answers, normal as the notes say, else even over the spread."""
    found = VARIES.search(case.row.notes)
    drawn = []
    for place, mean in enumerate((case.prompt, case.answer)):
        if found:
            each = numbers.normal(mean, float(found[place + 1]), many)
        else:
            each = numbers.uniform(mean * (1 - spread), mean * (1 + spread), many)
        drawn.append(np.maximum(np.round(each), 1).astype(int))
    return drawn[0], drawn[1]


def means(found: Run) -> dict[str, float]:
    """What benchmarks print [ms]."""
    requests = found.requests
    gaps = np.sum(requests["finished"] - requests["first"]) / np.sum(requests["tokens"] - 1)
    return {
        "ttft_ms": 1e3 * float(np.nanmean(ttft(requests))),
        "tpot_ms": 1e3 * float(np.nanmean(tpot(requests))),
        "itl_ms": 1e3 * float(gaps),
    }


# --- what is told ---------------------------------------------------------------------------------


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By engine, kind of load and metric: how many, and how far off each way of foretelling is."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row["engine"], row["kind"], row["metric"]].append(row)
        groups["all", "all", row["metric"]].append(row)
    found = []
    for (engine, kind, metric), each in sorted(groups.items()):
        line: dict[str, Any] = {
            "engine": engine,
            "kind": kind,
            "metric": metric,
            "count": len(each),
        }
        for way in WAYS:
            ratio = np.array([row[way] / row["measured"] for row in each])
            error = np.abs(ratio - 1)
            line[way] = {
                "median": round(float(np.median(error)), 3),
                "p90": round(float(np.quantile(error, 0.9)), 3),
                "ratio": round(float(np.median(ratio)), 3),
            }
        found.append(line)
    return found


def told(lines: list[dict[str, Any]]) -> str:
    """For people: median and 90th percentile of the error, and the median of said over measured."""
    rows = [f"{'':42}" + "".join(f"{words:^26}" for words in WAYS.values())]
    rows.append(
        f"{'engine, load, metric':36} {'count':>5}" + f"{'median':>11} {'p90':>7} {'×':>6}" * 3
    )
    for line in lines:
        name = f"{line['engine']}, {line['kind']}, {line['metric']}"
        parts = [
            f"{line[way]['median']:11.1%} {line[way]['p90']:7.1%} {line[way]['ratio']:6.2f}"
            for way in WAYS
        ]
        rows.append(f"{name:36} {line['count']:5}" + "".join(parts))
    return "\n".join(rows)


def main() -> None:
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[3] / "shared"
    if not (given / "truth" / "inference.csv.gz").is_file():
        print(f"{given}: no truth/inference.csv.gz there; nothing is compared.")
        return
    each = {name: measured(given, name) for name in MEASURED}
    for name, numbers in each.items():
        print(name, {what: number["ratio"] for what, number in numbers.items()})
    rows, counts = published(given, SECONDS)
    lines = table(rows)
    print(told(lines))
    print(", ".join(f"{count:,} {what}" for what, count in counts.items()))
    record = {"requests": each, "counts": counts, "means": lines}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
