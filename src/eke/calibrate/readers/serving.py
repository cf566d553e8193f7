"""Serving benchmarks: `vllm bench serve` and `benchmark_serving.py`, SGLang's `bench_serving`.

Both save one JSON object per run with the same names, and print the same block on the console.
TPOT leaves the first token out; ITL is over all gaps between tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from eke.calibrate.readers.content import Content, number, word
from eke.calibrate.readers.run import Reading, Run, load, reading, readings, text
from eke.errors import BadFile

ENGINES = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "tensorrt-llm": "TensorRT-LLM",
    "tensorrtllm": "TensorRT-LLM",
    "trt": "TensorRT-LLM",
    "tgi": "TGI",
    "lmdeploy": "LMDeploy",
    "llama.cpp": "llama.cpp",
    "deepspeed-mii": "Deepspeed-MII",
}
KINDS = ("mean", "median", "p50", "p90", "p95", "p99")  # the first one printed is taken
LATENCIES = (
    ("ttft_ms", "ttft", 1.0),
    ("tpot_ms", "tpot", 1.0),
    ("itl_ms", "itl", 1.0),
    ("e2e_latency_s", "e2el", 1e-3),  # vLLM's name
    ("e2e_latency_s", "e2e_latency", 1e-3),  # SGLang's
)
RATES = (
    ("requests_per_sec", "request_throughput"),
    ("output_tokens_per_sec_total", "output_throughput"),
    ("total_tokens_per_sec", "total_token_throughput"),
)
BLOCK = re.compile(r"Serving Benchmark Result")
LINE = re.compile(r"\W{0,9}([A-Z][\w .()/-]{0,60}): +([\w.,-]+)\s*\Z", re.I)
LABELS = {
    "successful requests": "completed",
    "failed requests": "failed",
    "benchmark duration (s)": "duration",
    "total input tokens": "total_input_tokens",
    "total generated tokens": "total_output_tokens",
    "request throughput (req/s)": "request_throughput",
    "output token throughput (tok/s)": "output_throughput",
    "total token throughput (tok/s)": "total_token_throughput",
    "maximum request concurrency": "max_concurrency",
    "max request concurrency": "max_concurrency",
    "request rate configured (rps)": "request_rate",
    "traffic request rate": "request_rate",
    "backend": "backend",
    "accept length": "accept_length",
    "acceptance length": "accept_length",
}
PERCENTILE = re.compile(r"(mean|median|p\d\d) (ttft|tpot|itl|e2el|e2e latency) \(ms\)")


def fits(content: Content) -> bool:
    """Whether every object is such a result, or the text has the block."""
    needed = {"request_throughput", "output_throughput"}
    if content.objects:
        return all(needed <= each.keys() for each in content.objects)
    return BLOCK.search(content.text) is not None


def read(content: Content) -> list[Run]:
    """One run per object or block."""
    found = content.objects or _blocks(content.text)
    return [_run(each, f"{content.path}, run {at}") for at, each in enumerate(found, start=1)]


def namespace(printed: str) -> dict[str, str]:
    """The arguments that vLLM's benchmarks print first, `Namespace(model='…', batch_size=8)`."""
    start = printed.find("Namespace(")
    line = printed[start : start + 20_000].partition("\n")[0] if start >= 0 else ""
    pairs = re.findall(r"\b(\w+)=('[^']*'|[^,()]+)", line)
    return {name: value.strip("'") for name, value in pairs if value != "None"}


def _blocks(whole: str) -> list[dict[str, Any]]:
    """Each printed block, under the names the JSON has."""
    parts = BLOCK.split(whole)
    found = []
    for before, block in pairwise(parts):
        arguments = namespace(before)
        each: dict[str, Any] = {"model_id": arguments.get("model", "")}
        each |= {k: arguments[k] for k in ("backend", "max_concurrency") if k in arguments}
        if "request_rate" in arguments:
            each["request_rate"] = arguments["request_rate"]
        for line in block.splitlines():
            match = LINE.match(line)
            label = match[1].strip().casefold() if match else ""
            kind = PERCENTILE.fullmatch(label)
            name = f"{kind[1]}_{kind[2].replace(' ', '_')}_ms" if kind else LABELS.get(label)
            if match and name:
                plain = name in ("backend", "request_rate")
                each[name] = match[2] if plain else match[2].replace(",", "")
        found.append(each)
    return found


def _run(found: Mapping[str, Any], where: str) -> Run:
    done = number(found, "completed", where)
    requests = number(found, "num_prompts", where) or done
    users, rate = number(found, "max_concurrency", where), _rate(found, where)
    backend = word(found.get("backend") or found.get("endpoint_type")).casefold()
    speculative = number(found, "accept_length", where) or number(
        found, "spec_decode_acceptance_length", where
    )
    columns = {
        "model": word(found.get("model_id") or found.get("model")),
        "engine": ENGINES.get(backend.removesuffix("-chat").removesuffix("-oai"), ""),
        "engine_version": word(found.get("version")),
        "tp": _degree(found),
        "isl": text(_share(number(found, "total_input_tokens", where), done)),
        "osl": text(_share(number(found, "total_output_tokens", where), done)),
        **load(users, rate, requests),
    }
    notes = [f"{requests:.0f} requests" if requests else "", f"rate {rate}" if rate else ""]
    if users and rate not in ("", "inf"):
        notes.append(f"at most {users:.0f} at a time")
    if failed := number(found, "failed", where):
        notes.append(f"{failed:.0f} requests failed")
    if speculative and speculative > 1:
        notes.append(f"SPECULATIVE, {speculative:.2f} tokens accepted per step")
    return Run(
        table="inference",
        columns=columns,
        readings=_readings(found, where),
        notes="; ".join(filter(None, notes)),
    )


def _readings(found: Mapping[str, Any], where: str) -> tuple[Reading, ...]:
    rates = [reading(metric, number(found, name, where)) for metric, name in RATES]
    if rates[-1] is None:  # SGLang's older files
        taken, made = (number(found, f"{way}_throughput", where) for way in ("input", "output"))
        if taken and made:
            rates[-1] = reading("total_tokens_per_sec", taken + made, "input plus output, derived")
    return readings(*rates, *(_latency(found, where, *each) for each in LATENCIES))


def _latency(
    found: Mapping[str, Any], where: str, metric: str, name: str, scale: float
) -> Reading | None:
    for kind in KINDS:
        value = number(found, f"{kind}_{name}_ms", where)
        if value is not None:
            return reading(metric, value, kind.replace("p50", "median"), scale)
    return None


def _rate(found: Mapping[str, Any], where: str) -> str:
    """The rate requests were sent at: "inf", a number, or "" where it is not said."""
    said = found.get("request_rate")
    if said is None or said == "":
        return ""
    if str(said).casefold() in ("inf", "infinity", "trace"):
        return "inf" if str(said).casefold() != "trace" else ""
    value = number(found, "request_rate", where)
    if not value:
        raise BadFile(f"{where}: request_rate is 0; expected a rate above zero, or inf.")
    return text(value)


def _degree(found: Mapping[str, Any]) -> str:
    """The tensor degree, where the user put it into the file with --metadata."""
    said = str(found.get("tensor_parallel_size") or found.get("tp") or "")
    return said if re.fullmatch(r"[1-9]\d{0,4}", said) else ""


def _share(total: float | None, parts: float | None) -> float | None:
    return total / parts if total is not None and parts else None
