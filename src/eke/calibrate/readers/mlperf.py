"""MLPerf logs: `:::MLLOG` lines of a training run, `mlperf_log_summary.txt` of an inference run.

Time to train is from run_start to run_stop, evaluations included; step time is the median over
blocks, evaluations left out. Tokens per second of inference are of the answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from statistics import median
from typing import Any

from eke.calibrate.readers.content import Content, inside, number, word
from eke.calibrate.readers.run import Reading, Run, reading, readings, text
from eke.errors import BadFile

LINE = re.compile(r":::MLLOG\s+(\{.*)")
# What the rules of a benchmark fix: model, task, sequence length.
BENCHMARKS = {
    "gpt3": ("GPT3-175B", "pretrain", "2048"),
    "llama2_70b_lora": ("LLAMA2-70B LoRA", "lora", "8192"),
    "llama31_405b": ("LLAMA3.1-405B", "pretrain", "8192"),
    "llama31_8b": ("LLAMA3.1-8B", "pretrain", "8192"),
    "gpt_oss_20b": ("gpt-oss-20b", "pretrain", "8192"),
    "gpt-oss-20b": ("gpt-oss-20b", "pretrain", "8192"),
}
TIMES = (
    ("ttft_ms", "{} first token latency (ns)", 1e-6),
    ("tpot_ms", "{} time per output token (ns)", 1e-6),
)
LATENCY = "{} latency (ns)"
RATES = (
    ("output_tokens_per_sec_total", ("completed tokens per second", "tokens per second")),
    ("requests_per_sec", ("completed samples per second", "samples per second")),
)
SCENARIOS = {
    "offline": "mlperf_offline",
    "server": "mlperf_server",
    "interactive": "mlperf_server",
    "singlestream": "single_stream",
}


def training_fits(content: Content) -> bool:
    """Whether mllog wrote into it."""
    return not content.objects and LINE.search(content.text) is not None


def training(content: Content) -> list[Run]:
    """One run per run_start."""
    said: dict[str, Any] = {}
    runs: list[list[dict[str, Any]]] = []
    for event in _events(content):
        if event.get("key") == "run_start":
            runs.append([])
        if runs:
            runs[-1].append(event)
        if event.get("value") is not None:
            said.setdefault(str(event.get("key")), event["value"])
    if not runs:
        raise BadFile(f"{content.path}: its MLLOG lines have no run_start.")
    return [_trained(events, said, content.path) for events in runs]


def _events(content: Content) -> Iterator[dict[str, Any]]:
    for at, line in enumerate(content.lines, start=1):
        match = LINE.search(line)
        if match is None:
            continue
        try:
            event, _ = json.JSONDecoder().raw_decode(match[1])
        except (ValueError, RecursionError):
            raise BadFile(f"{content.path}, line {at}: the MLLOG line is broken JSON.") from None
        yield event


def _trained(events: list[dict[str, Any]], said: dict[str, Any], where: str) -> Run:
    benchmark = word(said.get("submission_benchmark"))
    model, task, length = BENCHMARKS.get(benchmark, (benchmark, "pretrain", ""))
    batch = number(said, "global_batch_size", where)
    logged = number(said, "max_sequence_length", where) or number(said, "sequence_length", where)
    stop = next((each for each in events if each.get("key") == "run_stop"), None)
    status = word(inside(stop, "metadata", "status"))
    hours = (_time(stop, where) - _time(events[0], where)) / 3.6e6 if stop else 0.0
    if stop and hours < 0:
        raise BadFile(f"{where}: run_stop is before run_start.")
    blocks = _blocks(events, batch, where)
    accumulated = number(said, "gradient_accumulation_steps", where)
    notes = [
        f"MLPerf {benchmark}",
        f"gradient accumulation {accumulated:.0f}" if accumulated else "",
    ]
    notes.append("" if logged else "sequence length by the rules")
    notes.append(f"run ended as {status}" if status not in ("", "success") else "")
    return Run(
        table="training",
        columns={
            "model": model,
            "task": task,
            "seq_len": text(logged) if logged else length,
            "global_batch_sequences": text(batch),
        },
        readings=readings(
            reading("time_to_train_h", hours if status == "success" else None, "one run"),
            reading(
                "iteration_time_s",
                median(blocks) if blocks else None,
                f"median of {len(blocks)} blocks, evaluations left out",
            ),
        ),
        notes="; ".join(filter(None, notes)),
    )


def _blocks(events: list[dict[str, Any]], batch: float | None, where: str) -> list[float]:
    """Seconds per step of each block whose samples are logged; the first starts cold."""
    found, start = [], None
    for event in events:
        if event.get("key") == "block_start":
            start = event
        elif event.get("key") == "block_stop" and start is not None and batch:
            seconds = (_time(event, where) - _time(start, where)) / 1e3
            samples = _samples(event, where) - _samples(start, where)
            if samples > 0 and seconds > 0:
                found.append(seconds * batch / samples)
            start = None
    if found:
        return found[1:] if len(found) > 2 else found
    rates = (inside(each, "value", "train_samples_per_sec") for each in events)
    logged = [
        number({"train_samples_per_sec": each}, "train_samples_per_sec", where) for each in rates
    ]
    return [batch / each for each in logged if each and batch]


def _samples(event: dict[str, Any], where: str) -> float:
    holder = event.get("metadata")
    return (number(holder, "samples_count", where) or 0.0) if isinstance(holder, dict) else 0.0


def _time(event: dict[str, Any], where: str) -> float:
    found = number(event, "time_ms", where)
    if found is None:
        raise BadFile(f"{where}: an MLLOG line has no time_ms.")
    return found


def inference_fits(content: Content) -> bool:
    """Whether it is LoadGen's summary."""
    return not content.objects and "MLPerf Results Summary" in content.text


def inference(content: Content) -> list[Run]:
    """The run of the summary."""
    found: dict[str, Any] = {}
    for line in content.lines:
        name, _, value = line.partition(":")
        label = name.strip().casefold().removesuffix(" (inferred)")
        label = label.replace("time to output token", "time per output token")
        if value.strip():
            found.setdefault(label, value.strip())
    scenario = word(found.get("scenario"))
    if scenario.casefold() not in SCENARIOS:
        raise BadFile(
            f"{content.path}: scenario is {scenario[:30]!r}; expected Offline, Server, "
            "Interactive or SingleStream."
        )
    if word(found.get("mode")).casefold().startswith("accuracy"):
        raise BadFile(f"{content.path}: is of an accuracy run; give the performance run's summary.")
    kind = SCENARIOS[scenario.casefold()]
    arrivals = {"mlperf_offline": "rate=inf", "single_stream": ""}.get(kind)
    if arrivals is None:
        asked = number(found, "target_qps", content.path)
        arrivals = f"target_qps={text(asked)}" if asked else ""
    valid = word(found.get("result is"))
    alone = {"batch": "1"} if kind == "single_stream" else {}
    return [
        Run(
            table="inference",
            columns={"scenario": kind, "concurrency_or_qps": arrivals, **alone},
            readings=_summary(found, kind, content.path),
            notes=f"MLPerf {scenario}; result {valid or 'not said to be valid'}",
        )
    ]


def _summary(found: dict[str, Any], kind: str, where: str) -> tuple[Reading, ...]:
    made: list[Reading | None] = []
    for metric, names in RATES:
        values = (number(found, name, where) for name in names)
        made.append(reading(metric, next((each for each in values if each), None)))
    if kind == "mlperf_offline":  # latencies of a backlog are queueing
        return readings(*made)
    made.append(
        reading("e2e_latency_s", number(found, LATENCY.format("mean"), where), "mean", 1e-9)
    )
    for metric, pattern, scale in TIMES:
        for name, note in (("mean", "mean"), ("99.00 percentile", "p99 over requests")):
            made.append(reading(metric, number(found, pattern.format(name), where), note, scale))
    return readings(*made)
