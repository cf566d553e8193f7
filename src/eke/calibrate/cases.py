"""Rows of serving understood: which model, chips, engine, layout, load and lengths they state."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from eke.calibrate import benchmarks
from eke.calibrate.benchmarks import Rules, rules
from eke.calibrate.blocks import Regime, priceable
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
from eke.physics.layers import count_parameters
from eke.types.chip import Chip
from eke.types.job import Serve
from eke.types.model import Model
from eke.types.plan import Plan
from eke.types.record import Record

USUAL_ANSWER = 128.0  # tokens, where a row of one prompt states no answer
BACKLOG = 1000  # requests of a saturated run, where none are stated


class Case(Record):
    """A row understood. how: "static", "backlog", "loop", "rate" or "limits", the largest rate
    that keeps those of a benchmark; asked: sequences, requests, users or requests per second of
    the whole deployment.  most, budget: sequences in flight and tokens of a step that a replica
    is limited to.  rules: of the benchmark, if the row is of one."""

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
    budget: int
    regime: Regime
    note: str
    rules: Rules | None = None

    @property
    def beams(self) -> int:
        """Answers followed at once for each request."""
        return self.rules.beams if self.rules else 1


def understand(row: Row) -> Case | str:
    """A row as a case, or the reason why it cannot be predicted."""
    try:
        model = model_named(row["model"], row.number("n_params"))
        chip = variant(chip_named(row["chip"]), row, model)
    except EkeError as error:
        return str(error)
    of = rules(row)
    runs = _engine(row, model, chip, of)
    split = halves(row)
    layout = split[1] if split else degrees(row, chip, runs)
    if layout is None:
        return "the number of chips is not stated"
    chips = benchmarks.chips_of(row, layout.chips)
    load_words = _load(row, of, chips)
    if isinstance(load_words, str):
        return load_words
    how, asked = load_words
    lengths = benchmarks.lengths(row, of) if of else _lengths(row)
    if isinstance(lengths, str):
        return lengths
    try:
        kept = _formats(row, model, chip, runs, of, chips)
        priceable(chip, kept.compute)
    except EkeError as error:
        return str(error)
    limits = runs.limits(chip) if runs else (256, 8192)
    if of:
        limits = max(limits[0], benchmarks.IN_FLIGHT), limits[1]
        job = benchmarks.job_of(model, lengths, of)
        layout = layout if row["tp"] or split else _copies(job, chip, kept, chips, limits)
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
        most=in_flight or limits[0],
        budget=_budget(row) or limits[1],
        regime=Regime(task="inference", scenario=_scenario(row, how), metric=row.metric),
        note="; ".join(filter(None, notes)),
        rules=of,
    )


_DATE = re.compile(r"\b(20[12]\d)-\d\d")


def _limits_batch(row: Row, how: str, runs: Engine | None) -> bool:
    """Whether the column `batch` is the engine's limit: not that of a static batch, and not in a
    closed loop, where tables write the users there; always where batches are compiled."""
    if runs is not None and runs.padded:
        return True
    return row["scenario"] != "static_batch" and how != "loop"


_BUDGET = re.compile(r"max[-_]num[-_](?:batched[-_])?tokens[ =]{1,3}(\d{2,6})\b")


def _budget(row: Row) -> int | None:
    """Tokens of a step that the command of a run sets, from its notes."""
    found = _BUDGET.search(row.notes)
    return int(found[1]) if found else None


def _engine(row: Row, model: Model, chip: Chip, of: Rules | None) -> Engine | None:
    """The engine's generation: by its release, else by the date of the run, else by the year in
    which the newer of model and chip came out."""
    found = _DATE.search(row.notes)
    year = int(found[1]) if found else max(model.year or 0, chip.year + 1)
    words = benchmarks.engine_words(row) if of else (row["engine"], row["engine_version"])
    return engine(*words, vendor=chip.vendor, year=year)


def _formats(
    row: Row, model: Model, chip: Chip, runs: Engine | None, of: Rules | None, chips: int
) -> Formats:
    usual = runs.weights if runs else ""
    if of:
        return benchmarks.formats_of(row, of, model, chip, usual, chips)
    named = width_in_name(row["model"])
    return formats(row["precision"], row["kv_precision"], named, usual, model, pool(chip, 1))


def _copies(job: Serve, chip: Chip, kept: Formats, chips: int, limits: tuple[int, int]) -> Degrees:
    """The layout of a benchmark's row that states none."""
    plan = Plan(
        chip=chip.id,
        weights=kept.weights,
        compute=kept.compute,
        cache=kept.cache,
        batch=limits[0],
        token_budget=limits[1],
    )
    return benchmarks.copies(chips, job, plan, chip)


_QUEUED = {"loop": ("ttft_ms",), "rate": ("ttft_ms",), "backlog": ("ttft_ms", "tpot_ms", "itl_ms")}


def _scenario(row: Row, how: str) -> str:
    """The regime whose error a row belongs to; what users wait for in a queue is one of its own."""
    if row.is_mlperf:
        return "mlperf at a given rate" if how == "rate" else "mlperf"
    if how == "static":
        return "static"
    if row.metric in _QUEUED[how]:
        return "queued"
    return "saturated" if how == "backlog" else "online"


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


def _load(row: Row, of: Rules | None, chips: int) -> tuple[str, float] | str:
    """How requests came, and how many."""
    words, scenario = row["concurrency_or_qps"], row["scenario"]
    if of and scenario == "mlperf_offline":
        return "backlog", of.beams * benchmarks.offline(of, chips)
    if of and not words:
        return "limits", 1.0
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
        asked = (of.beams if of else 1) * sum(found) / max(len(found), 1)
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
