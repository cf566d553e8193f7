"""AIPerf and genai-perf: the summed-up JSON export and the CSV beside it.

Their inter-token latency is (latency of the request − first token) / (tokens − 1), averaged over
requests: what others call time per output token.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any

from eke.calibrate.readers.content import Content, inside, number, word
from eke.calibrate.readers.run import Reading, Run, load, reading, readings, text
from eke.calibrate.readers.serving import ENGINES
from eke.errors import BadFile

METRICS = (
    ("ttft_ms", "time_to_first_token", 1e3),
    ("tpot_ms", "inter_token_latency", 1e3),
    ("itl_ms", "inter_chunk_latency", 1e3),
    ("e2e_latency_s", "request_latency", 1.0),
    ("requests_per_sec", "request_throughput", 1.0),
    ("output_tokens_per_sec_total", "output_token_throughput", 1.0),
    ("total_tokens_per_sec", "total_token_throughput", 1.0),
)
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0}
KINDS = (("avg", "mean"), ("p50", "median"), ("p90", "p90"), ("p99", "p99"))
USERS = (
    ("input_config", "loadgen", "concurrency"),
    ("input_config", "perf_analyzer", "stimulus", "concurrency"),
    ("input_config", "concurrency"),
)
ASKED = (
    ("input_config", "loadgen", "request_rate"),
    ("input_config", "perf_analyzer", "stimulus", "request_rate"),
    ("input_config", "request_rate"),
)
MODELS = (
    ("input_config", "endpoint", "model_names"),
    ("input_config", "model_names"),
    ("input_config", "model"),
    ("input_config", "formatted_model_name"),
)


def fits(content: Content) -> bool:
    """Whether every object is such an export, or the text is its CSV."""
    if content.objects:
        return all(_export(each) for each in content.objects)
    return re.match(r'\ufeff?\s*"?Metric"?,"?(avg|value)"?\b', content.text, re.I) is not None


def read(content: Content) -> list[Run]:
    """One run per export."""
    found = content.objects or (_table(content.text, content.path),)
    return [_run(each, f"{content.path}, run {at}") for at, each in enumerate(found, start=1)]


def _export(found: Mapping[str, Any]) -> bool:
    latency, rate = found.get("request_latency"), found.get("request_throughput")
    return any(isinstance(each, dict) and "unit" in each for each in (latency, rate))


def _table(written: str, where: str) -> dict[str, Any]:
    """The CSV under the names the JSON has: a part with percentiles, a part with single values."""
    found: dict[str, Any] = {}
    head: list[str] = []
    try:
        for line in csv.reader(io.StringIO(written, newline="")):
            if line and line[0].strip().casefold() == "metric":
                head = ["avg" if each.strip().casefold() == "value" else each for each in line]
            elif len(line) > 1 and head:
                label, _, unit = line[0].strip().partition(" (")
                name = label.casefold().replace(" ", "_")
                values = dict(
                    zip(head[1:], (each.replace(",", "") for each in line[1:]), strict=False)
                )
                found[name] = {"unit": unit.rstrip(")"), **values}
    except csv.Error as error:
        raise BadFile(f"{where}: {error}.") from None
    return found


def _run(found: Mapping[str, Any], where: str) -> Run:
    users, rate = _first(found, USERS, where), _first(found, ASKED, where)
    backend = word(inside(found, "input_config", "backend")).casefold()
    failed = _value(found, "error_request_count", where)[0]
    count = _value(found, "request_count", where)[0]
    notes = [f"{count:.0f} requests" if count else ""]
    notes.append(f"{failed:.0f} requests failed" if failed else "")
    notes.append(f"at most {users:.0f} at a time" if users and rate else "")
    names = (word(inside(found, *path)) for path in MODELS)
    return Run(
        table="inference",
        columns={
            "model": next(filter(None, names), ""),
            "engine": ENGINES.get(backend, ""),
            "isl": text(_value(found, "input_sequence_length", where)[0]),
            "osl": text(_value(found, "output_sequence_length", where)[0]),
            **load(users, text(rate)),
        },
        readings=readings(*(_reading(found, *each, where) for each in METRICS)),
        notes="; ".join(filter(None, notes)),
    )


def _reading(
    found: Mapping[str, Any], metric: str, name: str, scale: float, where: str
) -> Reading | None:
    value, kind = _value(found, name, where)
    if name.endswith("throughput"):
        return reading(metric, value)
    unit = word(inside(found, name, "unit")).casefold() or "ms"
    if value is not None and unit not in SECONDS:
        raise BadFile(f"{where}: {name} is in {unit[:20]!r}; expected {', '.join(SECONDS)}.")
    note = f"{kind}; per request, first token left out" if metric == "tpot_ms" else kind
    return reading(metric, value, note, scale * SECONDS.get(unit, 1.0))


def _value(found: Mapping[str, Any], name: str, where: str) -> tuple[float | None, str]:
    """The mean of a metric, or else its median or percentile, and which of these it is."""
    one = found.get(name)
    if isinstance(one, dict):
        for key, kind in KINDS:
            value = number(one, key, f"{where}, {name}")
            if value is not None:
                return value, kind
    return None, ""


def _first(
    found: Mapping[str, Any], paths: tuple[tuple[str, ...], ...], where: str
) -> float | None:
    for path in paths:
        holder = inside(found, *path[:-1])
        if isinstance(holder, dict):
            value = number(holder, path[-1], where)
            if value:
                return value
    return None
