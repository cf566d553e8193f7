"""What the rules of MLPerf Inference, and the habits of its submitters, add to a row of results."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from eke.calibrate.formats import Formats, formats
from eke.calibrate.layout import Degrees
from eke.calibrate.rows import Row
from eke.catalog.benchmarks import Benchmark, Limits, benchmark, open_benchmark
from eke.catalog.fleets import pool
from eke.catalog.model_labels import width_in_name
from eke.physics import latency
from eke.physics.engine import fixed_bytes, load, per_sequence, resident_weights
from eke.physics.machine import Machine
from eke.types.chip import Chip
from eke.types.job import Promise, Serve
from eke.types.model import Model
from eke.types.plan import Plan, Plans, Width
from eke.types.record import Record, replace

# Submitters raise the engine's limit until memory is full: configurations have 784 to 2401
# (mlperf-nvidia, mlperf-krai).
IN_FLIGHT = 2048
# The fewest sequences one would want at once: a step reads the weights once for all of them, and
# from about here on that is no longer most of its time.
WANTED = 64
ROOM = 0.25  # and the least share of the memory that the cache should have
PER_SERVER = 8  # chips over which a layer is cut; more stand in another server
USED = 0.9  # share of the memory that weights and cache may take
KEPT = 0.99  # share of requests that must keep the limits of a benchmark
HALVINGS = 12  # of the range in which the largest rate is looked for: to 1 in 4,000


class Rules(Record):
    """The benchmark a row answers. closed: with the given model, in any number format that is as
    accurate.  interactive: under the tighter limits."""

    benchmark: Benchmark
    closed: bool
    interactive: bool

    @property
    def limits(self) -> Limits:
        """What the run had to keep, where it is a server's."""
        tight = self.benchmark.interactive if self.interactive else None
        return tight or self.benchmark.server

    @property
    def beams(self) -> int:
        """Answers that are followed at once for each sample."""
        return int(self.benchmark.beams.value) if self.benchmark.beams else 1


def rules(row: Row) -> Rules | None:
    """Those of the benchmark a row answers; None where it is no row of MLPerf, or of a benchmark
    nobody has described."""
    if not row.is_mlperf:
        return None
    opened = bool(re.search(r"\bopen/", row.notes))
    found = benchmark(row["model"]) or (open_benchmark() if opened else None)
    if found is None:
        return None
    said = f"{row['model']} {row.notes}".lower()
    interactive = bool(re.search(r"-interactive|scenario interactive", said))
    return Rules(benchmark=found, closed="closed/" in row.notes, interactive=interactive)


_ANSWERED = re.compile(r"mean output tokens/sample (\d{1,9}(?:\.\d{1,9})?)")


def lengths(row: Row, of: Rules) -> tuple[float, float]:
    """Mean tokens of prompt and answer: as the row says, else as the run for accuracy counted,
    else the benchmark's."""
    counted = _ANSWERED.search(row.notes)
    usual = float(counted[1]) if counted else of.benchmark.answer.value
    return row.number("isl") or of.benchmark.prompt.value, row.number("osl") or usual


def offline(of: Rules, chips: int) -> float:
    """Samples of an offline run: those of the data set, and so many more that all places are
    always taken, as a run takes ten minutes at least (mlcommons-inference)."""
    return max(of.benchmark.samples.value, float(chips * IN_FLIGHT))


def engine_words(row: Row) -> tuple[str, str]:
    """Name and release of the engine. Submissions name what TensorRT-LLM stands on: TensorRT, of
    which the 9th came with its releases before 0.10 (trtllm-releases), or CUDA, or the maker."""
    text = row["engine"]
    if not re.match(r"tensorrt|cuda|nvidia|jetpack", text, re.I):
        return text, row["engine_version"]
    early = re.search(r"TensorRT v?[1-9]\b", row["engine_version"])
    return "TensorRT-LLM", "0.9" if early else "0.10"


_SYSTEM = re.compile(r'system "([^"]{0,200})"')


def formats_of(row: Row, of: Rules, model: Model, chip: Chip, usual: str, chips: int) -> Formats:
    """The number formats of a row. What the label of the model or the name of the system says
    comes first, as the column may be the format in which the weights were published; a format in
    which the model does not fit is not what was run.

    usual: the engine's own choice, or "".
    """
    system = _SYSTEM.search(row.notes)
    named = width_in_name(row["model"]) or (width_in_name(system[1]) if system else None)
    precision, cache, where = "" if named else row["precision"], row["kv_precision"], pool(chip, 1)
    found = formats(precision, cache, named, _usual_width(of, chip) or usual, model, where)
    for narrower in ("fp8" if "fp8" in chip.peak else "int8", "int4"):
        if _fits(model, found, chip, chips):
            break
        note = f"weights in {narrower}: wider ones do not fit"
        found = replace(formats(narrower, cache, None, "", model, where), assumed=note)
    return _with_usual_cache(found, row, of, chip)


def _fits(model: Model, found: Formats, chip: Chip, chips: int) -> bool:
    """Whether all chips together hold the weights."""
    plan = Plan(chip=chip.id, weights=found.weights, compute=found.compute)
    held = resident_weights(Serve(model=model), plan)
    return bool(held <= USED * chips * (chip.memory_size or 0.0))


def _usual_width(of: Rules, chip: Chip) -> Width | None:
    """The narrowest format that submitters of the closed division keep accurate: 4 bits on chips
    by NVIDIA that compute in them, else 8, as a floating-point number if there is a choice."""
    if not of.closed:
        return None
    if chip.vendor == "NVIDIA" and "fp4" in chip.peak:
        return "fp4"
    eight: tuple[Width, ...] = ("fp8", "int8")
    return next((width for width in eight if width in chip.peak), None)


def _with_usual_cache(found: Formats, row: Row, of: Rules, chip: Chip) -> Formats:
    """Keys and values in 8 bits where the weights have no more and the chip has such a format, as
    configurations of the closed division do (mlperf-nvidia)."""
    narrow = found.weights in ("fp8", "fp4") and "fp8" in chip.peak
    if row["kv_precision"] or not (of.closed and narrow):
        return found
    notes = (found.assumed, "cache in fp8: not stated")
    return replace(found, cache="fp8", assumed="; ".join(filter(None, notes)))


def chips_of(row: Row, chips: int) -> int:
    """Chips, where the row counts cards that carry two."""
    return 2 * chips if re.search(r"\bDual\b", row["chip"]) else chips


def copies(chips: int, job: Serve, plan: Plan, chip: Chip) -> Degrees:
    """As many copies as there can be: each on the fewest chips, a power of two of one server,
    that hold the weights and leave enough room; where no number does, all of one server.

    That is what published configurations come to (mlperf-nvidia, mlperf-krai): Llama 2 70B in
    8 bits on two chips of 80 or 94 GB but on one of 141 GB, Llama 3.1 405B on eight of those.
    """
    most = min(chips, PER_SERVER)
    powers = [2**n for n in range(most.bit_length())]
    cut = [(each, _cut(job, plan, each)) for each in powers]
    ways, found = next((one for one in cut if _roomy(job, one[1], chip)), cut[-1])
    note = f"{chips // ways} x {ways} chips: not stated"
    return Degrees(
        tensor=found.tensor,
        data=found.data,
        expert=found.expert,
        replicas=chips // ways,
        assumed=note if chips > 1 else "",
    )


def _cut(job: Serve, plan: Plan, ways: int) -> Plan:
    """One copy over so many chips: layers cut, or where every chip would keep the whole cache all
    the same (latent attention), sequences shared out and experts spread."""
    layers = replace(plan, tensor=ways)
    if ways > 1 and per_sequence(job, layers) == per_sequence(job, plan):
        return replace(plan, data=ways, expert=ways)
    return layers


def _roomy(job: Serve, plan: Plan, chip: Chip) -> bool:
    """Whether the chips of a copy hold weights, the wanted sequences, and some more."""
    size = chip.memory_size or 0.0
    left = USED * size - fixed_bytes(job, plan)
    return bool(left >= WANTED * per_sequence(job, plan) / plan.data and left >= ROOM * size)


def job_of(model: Model, asked: tuple[float, float], of: Rules) -> Serve:
    """One sample of the benchmark as a job; every beam is a request that finds the prompt read."""
    prompt, answer = asked
    return Serve(model=model, prompt=prompt, answer=answer, reuse=1 - 1 / of.beams)


def largest_rate(job: Serve, plans: Plans, here: Machine, limits: Any) -> Any:
    """The largest rate that keeps the limits, of the whole deployment [1/s].

    limits: of the first token, of each after it, and of the whole request, last axis [s].
    """
    promise = Promise(limit=1.0, percentile=KEPT)  # only the share counts here
    asked = replace(job, ttft=promise, tpot=promise)
    high = load(asked, plans, here).ceiling * plans.replicas
    low = 1e-3 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        kept = _keeps(replace(asked, rate=middle), plans, here, limits)
        low, high = np.where(kept, middle, low), np.where(kept, high, middle)
    return low


def _keeps(job: Serve, plans: Plans, here: Machine, limits: Any) -> Any:
    """Whether all limits are kept at a rate."""
    seen = latency.seen(job, plans, here, load(job, plans, here))
    whole = seen.ttft_promised + (job.answer - 1) * seen.tpot_promised
    first, each, last = (limits[..., index] for index in range(3))
    return (seen.ttft_promised <= first) & (seen.tpot_promised <= each) & (whole <= last)
