"""Rows of serving as jobs, plans and quantities, without looking at what was measured."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np

from eke.calibrate.blocks import Block, Regime, Skipped, priceable
from eke.calibrate.formats import Formats, formats
from eke.calibrate.layout import Degrees, degrees, halves
from eke.calibrate.rows import Row
from eke.catalog.chips import chip as find_chip
from eke.catalog.chips import chip_names
from eke.catalog.engines import Engine, engine
from eke.catalog.fleets import pool
from eke.catalog.model_labels import width_in_name
from eke.catalog.models import known_model
from eke.catalog.standins import model_of_size
from eke.errors import EkeError, UnknownModel
from eke.physics import arrivals, latency
from eke.physics.engine import load
from eke.physics.layers import count_parameters
from eke.physics.machine import Machine, machine
from eke.types.chip import Chip
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool
from eke.types.job import Serve
from eke.types.model import Model
from eke.types.plan import Plan, Plans
from eke.types.record import Record, replace

USUAL_ANSWER = 128.0  # tokens, where a row of one prompt states no answer
BACKLOG = 1000  # requests of a saturated run, where none are stated


class Case(Record):
    """A row understood. how: "static", "backlog", "loop" or "rate"; asked: sequences, requests,
    users or requests per second of the whole deployment."""

    row: Row
    model: Model
    chip: Chip
    engine: Engine | None
    formats: Formats
    layout: Degrees
    prefill: Degrees | None
    how: str
    asked: float
    prompt: float
    answer: float
    most: int
    regime: Regime
    note: str


def inference_blocks(rows: Iterable[Row]) -> tuple[list[Block], list[Skipped]]:
    """The rows of serving as blocks, and those that cannot be predicted."""
    skipped: list[Skipped] = []
    together: dict[tuple[Any, ...], list[Case]] = defaultdict(list)
    for row in rows:
        case = row.flag or understand(row)
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
        (half.tensor, half.pipeline, half.data, half.expert, half.replicas) if half else None,
    )


def understand(row: Row) -> Case | str:
    """A row as a case, or the reason why it cannot be predicted."""
    reason = _unpredicted(row)
    if reason:
        return reason
    try:
        model = model_named(row["model"], row.number("n_params"))
        chip = variant(chip_named(row["chip"]), row, model)
    except EkeError as error:
        return str(error)
    runs = _engine(row, model, chip)
    split = halves(row)
    layout = split[1] if split else degrees(row, chip, runs)
    if layout is None:
        return "the number of chips is not stated"
    load_words = _load(row, layout)
    if isinstance(load_words, str):
        return load_words
    how, asked = load_words
    lengths = _lengths(row)
    if isinstance(lengths, str):
        return lengths
    try:
        kept = _formats(row, model, chip, runs)
        priceable(chip, kept.compute)
    except EkeError as error:
        return str(error)
    in_flight = row.whole("batch") if _limits_batch(row, how, runs) else None
    notes = (kept.assumed, layout.assumed, "" if runs else f"engine {row['engine']!r} unknown")
    return Case(
        row=row,
        model=model,
        chip=chip,
        engine=runs,
        formats=kept,
        layout=layout,
        prefill=split[0] if split else None,
        how=how,
        asked=asked,
        prompt=lengths[0],
        answer=lengths[1],
        most=in_flight or (runs.in_flight if runs else 256),
        regime=Regime(task="inference", scenario=_scenario(row, how), metric=row.metric),
        note="; ".join(filter(None, notes)),
    )


_DATE = re.compile(r"\b(20[12]\d)-\d\d")


def _limits_batch(row: Row, how: str, runs: Engine | None) -> bool:
    """Whether the column `batch` is the engine's limit: not that of a static batch, and not in a
    closed loop, where tables write the users there; always where batches are compiled."""
    if runs is not None and runs.padded:
        return True
    return row["scenario"] != "static_batch" and how != "loop"


def _engine(row: Row, model: Model, chip: Chip) -> Engine | None:
    """The engine's generation: by its release, else by the date of the run, else by the year in
    which the newer of model and chip came out."""
    found = _DATE.search(row.notes)
    year = int(found[1]) if found else max(model.year or 0, chip.year + 1)
    return engine(row["engine"], row["engine_version"], vendor=chip.vendor, year=year)


def _formats(row: Row, model: Model, chip: Chip, runs: Engine | None) -> Formats:
    named, usual = width_in_name(row["model"]), runs.weights if runs else ""
    return formats(row["precision"], row["kv_precision"], named, usual, model, pool(chip, 1))


_QUEUED = {"loop": ("ttft_ms",), "rate": ("ttft_ms",), "backlog": ("ttft_ms", "tpot_ms", "itl_ms")}


def _scenario(row: Row, how: str) -> str:
    """The regime whose error a row belongs to; what users wait for in a queue is one of its own."""
    if row["scenario"].startswith("mlperf"):
        return "mlperf"
    if how == "static":
        return "static"
    if row.metric in _QUEUED[how]:
        return "queued"
    return "saturated" if how == "backlog" else "online"


def _unpredicted(row: Row) -> str:
    """Why a row is left out before anything else is looked at."""
    if row.metric not in QUANTITIES:
        return f"{row.metric} is not predicted"
    if re.search(r"\bp9\d", row.notes) and row["scenario"] != "mlperf_offline":
        return "a percentile: scored through simulate"
    return ""


@cache
def model_named(name: str, parameters: float | None) -> Model:
    """The catalogue's model of a label, else a stand-in of the size that is stated.

    Raises UnknownModel when neither is known, BadInput when the shape is not published.
    """
    try:
        return known_model(name)
    except UnknownModel:
        if parameters is None:
            raise
        return model_of_size(parameters)


@cache
def chip_named(name: str) -> Chip:
    """The catalogue's chip of a label. Raises UnknownChip."""
    return find_chip(name)


def variant(chip: Chip, row: Row, model: Model) -> Chip:
    """Where a label does not say which of two memory sizes, the first one sold if the weights fit
    it in 16 bits: "A100" is 40 GB unless the model needs 80."""
    stem, _, size = chip.id.rpartition("-")
    if not size.isdigit() or size in row["chip"]:
        return chip
    others = [each for each in chip_names() if re.fullmatch(re.escape(stem) + r"-\d+", each)]
    chips = row.whole("n_chips") or 1
    weights = 2.0 * count_parameters(model).total / chips
    fitting = [
        found
        for found in map(chip_named, others)
        if found.memory_size and 0.9 * found.memory_size > weights
    ]
    return min(fitting, key=lambda each: each.memory_size or 0.0, default=chip)


_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,12})?")


def _load(row: Row, layout: Degrees) -> tuple[str, float] | str:
    """How requests came, and how many."""
    words, scenario = row["concurrency_or_qps"], row["scenario"]
    if scenario == "single_stream":
        return "static", 1.0
    if scenario == "static_batch":
        batch = row.whole("batch")
        return ("static", float(batch)) if batch else "the batch is not stated"
    name, _, text = words.partition("=")
    if name in ("concurrency", "qps", "target_qps"):
        how = "loop" if name == "concurrency" else "rate"
        many = _NUMBER.findall(text) if how == "rate" else _NUMBER.findall(text)[:1]
        found = [float(each) for each in many]
        asked = sum(found) / max(len(found), 1)
        return (how, asked) if asked > 0 else f"load {words[:40]!r} is not understood"
    if words == "rate=inf" or scenario == "offline_max_throughput":
        return "backlog", float(_requests(row) or BACKLOG)
    return "how requests came is not stated"


_REQUESTS = re.compile(r"\b(\d[\d,]{0,14})(?:-(\d[\d,]{0,14}))? (?:\w+ )?(?:requests|prompts)")


def _requests(row: Row) -> int | None:
    """How many requests a run had, from its notes."""
    found = _REQUESTS.search(row.notes)
    if found is None:
        return None
    bounds = [int(each.replace(",", "")) for each in found.groups() if each]
    return int(np.prod(bounds) ** (1 / len(bounds)))  # of a range, the middle in logarithms


def _lengths(row: Row) -> tuple[float, float] | str:
    """Prompt and answer in tokens; llama-bench measures one without the other."""
    stated = (row.number("isl"), row.number("osl"))  # means, so not always whole
    prompt, answer = (each if each and each >= 1 else None for each in stated)
    if row.metric == "decode_tokens_per_sec":
        return prompt or 1.0, answer or USUAL_ANSWER
    if row.metric in ("ttft_ms", "prefill_tokens_per_sec"):
        return (prompt, answer or 1.0) if prompt else "the length of prompts is not stated"
    if prompt is None or answer is None:
        return "the lengths of prompts and answers are not stated"
    return prompt, answer


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
        spread=column(_spread(case.row) for case in cases) if first.how == "backlog" else 1.0,
    )
    asked = column(case.asked for case in cases)
    chips = column(_counted(case) for case in cases)

    metrics = [case.row.metric for case in cases]

    def predict(knobs: Knobs) -> Any:
        seen = _seen(first.how, job, plans, where, knobs, asked)
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


def _spread(row: Row) -> float:
    """Squared variation of answer lengths: none for fixed ones."""
    even = re.search(r"random|uniform|ignore.eos|synthetic|trtllm-bench|isl=osl", row.notes)
    return 0.0 if even or row["scenario"] != "offline_max_throughput" else 1.0


def column(values: Iterable[float]) -> Any:
    """One row per value."""
    return np.array([[float(value)] for value in values])


def _plans(cases: list[Case]) -> Plans:
    first = cases[0]
    budget = first.engine.token_budget if first.engine else 8192
    base = Plan(
        chip=first.chip.id,
        weights=first.formats.weights,
        compute=first.formats.compute,
        cache=first.formats.cache,
        engine=first.engine.id if first.engine else "",
        padded=first.engine.padded if first.engine else False,
        token_budget=budget,
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
        token_budget=float(budget),
    )


class Found(Record):
    """Predictions of the whole deployment. Durations in seconds; rate in requests per second."""

    ttft: Any
    tpot: Any
    time: Any
    rate: Any
    at_once: Any


def _seen(how: str, job: Serve, plans: Plans, where: Pool, knobs: Knobs, asked: Any) -> Found:
    """What is seen of the deployment, requests spread evenly over its replicas."""
    here = machine(where, plans, knobs)
    there = machine(where, plans.prefill, knobs) if plans.prefill is not None else None
    if how == "rate":
        return _at_rate(job, plans, here, there)
    busy = np.minimum(plans.replicas, asked)  # replicas that have anything to do
    each = asked / busy
    if how == "static":
        seen = arrivals.together(job, plans, here, each)
    elif how == "loop":
        seen = arrivals.closed_loop(job, plans, here, each, there)
    else:
        seen = arrivals.backlog(job, plans, here, each)
    return Found(
        ttft=seen.ttft,
        tpot=seen.tpot,
        time=seen.time,
        rate=seen.rate * busy,
        at_once=seen.concurrency * busy,
    )


def _at_rate(job: Serve, plans: Plans, here: Machine, there: Machine | None) -> Found:
    """An open loop at a rate; where it is more than the deployment can do, what it can do."""
    state = load(job, plans, here)
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
