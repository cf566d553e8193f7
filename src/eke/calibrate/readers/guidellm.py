"""GuideLLM reports, JSON or YAML, of every schema so far: 0.1, 0.2 to 0.3, and from 0.4 on.

Its time per output token counts the first token in, so it is left out; its inter-token latency is
weighted by tokens.  Only requests that succeeded count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from eke.calibrate.readers.content import Content, inside, number, word
from eke.calibrate.readers.run import Reading, Run, load, reading, readings, text
from eke.calibrate.readers.yaml import read_yaml
from eke.errors import BadFile

METRICS = (
    ("ttft_ms", "time_to_first_token_ms", 1.0),
    ("itl_ms", "inter_token_latency_ms", 1.0),
    ("e2e_latency_s", "request_latency", 1.0),
)
RATES = (
    ("requests_per_sec", "requests_per_second"),
    ("output_tokens_per_sec_total", "output_tokens_per_second"),
    ("total_tokens_per_sec", "tokens_per_second"),
)
MODELS = (
    ("worker", "backend_model"),
    ("config", "backend", "model"),
    ("args", "model"),
    ("config", "spec", "backend", "model"),
    ("config", "model"),
)


def fits(content: Content) -> bool:
    """Whether it is a report: `benchmarks` with metrics, or with the results of 0.1."""
    if content.objects:
        return all(isinstance(each.get("benchmarks"), list) for each in content.objects)
    return re.search(r"^benchmarks:\s*$", content.text, re.M) is not None


def read(content: Content) -> list[Run]:
    """One run per benchmark of the report."""
    reports = content.objects or (_yaml(content),)
    runs: list[Run] = []
    for report in reports:
        for each in _benchmarks(report.get("benchmarks"), content.path):
            where = f"{content.path}, benchmark {len(runs) + 1}"
            if "results" in each:
                runs.append(_first(each, report, where))
            elif isinstance(each.get("metrics"), dict):
                runs.append(_run(each, report, where))
            else:
                raise BadFile(f"{where}: has neither metrics nor results, as GuideLLM writes them.")
    return runs


def _yaml(content: Content) -> dict[str, Any]:
    found = read_yaml(content.text, content.path)
    if not isinstance(found, dict):
        raise BadFile(f"{content.path}: the YAML holds no object with benchmarks.")
    return found


def _benchmarks(found: Any, where: str, inner: bool = False) -> list[dict[str, Any]]:
    """The benchmarks; 0.1 nests them once more, with the arguments beside them."""
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise BadFile(f"{where}: benchmarks must be a list of objects, as GuideLLM writes them.")
    flat = []
    for each in found:
        if isinstance(each.get("benchmarks"), list) and not inner:
            below = _benchmarks(each["benchmarks"], where, inner=True)
            flat += [{"args": each.get("args"), **one} for one in below]
        else:
            flat.append(each)
    return flat


def _run(found: Mapping[str, Any], report: Mapping[str, Any], where: str) -> Run:
    metrics = found["metrics"]
    strategy = inside(found, "config", "strategy") or inside(found, "args", "strategy")
    made = _count(found, metrics)
    tokens = {
        column: _mean(metrics, name, where)[0]
        for column, name in (("isl", "prompt_token_count"), ("osl", "output_token_count"))
    }
    return Run(
        table="inference",
        columns={
            "model": _model(found, report),
            **{column: text(value) for column, value in tokens.items()},
            **_arrivals(strategy if isinstance(strategy, dict) else {}, where),
        },
        readings=_readings(metrics, where),
        notes="; ".join(filter(None, ("GuideLLM", made))),
    )


def _readings(metrics: Mapping[str, Any], where: str) -> tuple[Reading, ...]:
    rates = (
        reading(metric, _mean(metrics, name, where)[0], "mean over the run")
        for metric, name in RATES
    )
    times = (
        reading(metric, *_mean(metrics, name, where), scale=scale)
        for metric, name, scale in METRICS
    )
    return readings(*rates, *times)


def _mean(metrics: Mapping[str, Any], name: str, where: str) -> tuple[float | None, str]:
    """Mean, or else median, of the successful requests, and which of the two it is."""
    found = inside(metrics, name, "successful")
    if not isinstance(found, dict):
        return None, ""
    for kind in ("mean", "median"):
        value = number(found, kind, f"{where}, {name}")
        if value is not None:
            return value, kind
    return None, ""


def _arrivals(strategy: Mapping[str, Any], where: str) -> dict[str, str]:
    kind = word(strategy.get("type_") or strategy.get("kind"))
    if kind == "synchronous":
        return load(1, "")
    if kind == "concurrent":
        return load(number(strategy, "streams", where), "")
    if kind == "throughput":
        return load(None, "inf")
    rate = number(strategy, "rate", where)
    return load(None, text(rate)) if rate else {}


def _model(found: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    said = (word(inside(each, *path)) for each in (found, report) for path in MODELS)
    return next(filter(None, said), "")


def _count(found: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    totals = metrics.get("request_totals") or found.get("request_totals")
    good, bad = inside(totals, "successful"), inside(totals, "errored")
    words = f"{good} requests" if isinstance(good, int) else ""
    return words + (f", {bad} requests failed" if isinstance(bad, int) and bad else "")


def _first(found: Mapping[str, Any], report: Mapping[str, Any], where: str) -> Run:
    """A benchmark of 0.1: single requests with their times, nothing summed up."""
    results = found["results"] if isinstance(found["results"], list) else []
    done = [_request(each, where) for each in results if isinstance(each, dict)]
    if not done:
        raise BadFile(f"{where}: no request of it was successful.")
    span = max(each["end"] for each in done) - min(each["start"] for each in done)
    prompt, answer = (fmean(each[name] for each in done) for name in ("prompt", "answer"))
    gaps = [
        (each["last"] - each["first"]) / (each["answer"] - 1)
        for each in done
        if each["answer"] > 1 and each["last"] > each["first"] > 0
    ]
    first = [each["first"] - each["start"] for each in done if each["first"] > each["start"]]
    mode = word(found.get("mode"))
    rate = number(found, "rate", where)
    arrivals = {"synchronous": load(1, ""), "throughput": load(None, "inf")}
    per_second = len(done) / span if span > 0 else None
    return Run(
        table="inference",
        columns={
            "model": _model(found, report),
            "isl": text(prompt),
            "osl": text(answer),
            **(arrivals.get(mode) or (load(None, text(rate)) if rate else {})),
        },
        readings=readings(
            reading("requests_per_sec", per_second),
            reading("output_tokens_per_sec_total", answer * per_second if per_second else None),
            reading("ttft_ms", 1e3 * fmean(first) if first else None, "mean"),
            reading("itl_ms", 1e3 * fmean(gaps) if gaps else None, "mean over requests"),
            reading("e2e_latency_s", fmean(each["end"] - each["start"] for each in done), "mean"),
        ),
        notes=f"GuideLLM 0.1; {len(done)} requests",
    )


def _request(found: Mapping[str, Any], where: str) -> dict[str, float]:
    names = {
        "prompt": "prompt_token_count",
        "answer": "output_token_count",
        "start": "start_time",
        "end": "end_time",
        "first": "first_token_time",
        "last": "last_token_time",
    }
    read = {short: number(found, name, where) for short, name in names.items()}
    if read["start"] is None or read["end"] is None:
        raise BadFile(f"{where}: a result has no start_time or end_time.")
    if read["last"] is None:
        read["last"] = read["end"]
    return {short: value or 0.0 for short, value in read.items()}
