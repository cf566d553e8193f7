"""`vllm bench throughput` and `vllm bench latency`: their JSON, and what they print.

The JSON says little: model, chip, lengths and batch must come from the user or the printed
arguments. Throughput counts prompt and answer; latency is of a whole batch, prefill included.
"""

from __future__ import annotations

import re

from eke.calibrate.readers.content import Content, number
from eke.calibrate.readers.run import Run, load, reading, readings, text
from eke.calibrate.readers.serving import namespace

THROUGHPUT = re.compile(
    r"Throughput: *(\d+\.?\d*) requests/s, *(\d+\.?\d*)(?: total)? tokens/s"
    r"(?:, *(\d+\.?\d*) output)?"
)
LATENCY = re.compile(r"Avg latency: *(\d+\.?\d*) *seconds")
BATCHES = {"input_len": "isl", "output_len": "osl", "batch_size": "batch"}


def throughput_fits(content: Content) -> bool:
    """Whether it is a result of `vllm bench throughput`."""
    needed = {"elapsed_time", "num_requests", "tokens_per_second"}
    if content.objects:
        return all(needed <= each.keys() for each in content.objects)
    return THROUGHPUT.search(content.text) is not None


def throughput(content: Content) -> list[Run]:
    """Every request at once, one run per result."""
    runs = []
    for each in content.objects:
        requests = number(each, "num_requests", content.path)
        made = readings(
            reading("requests_per_sec", number(each, "requests_per_second", content.path)),
            reading("total_tokens_per_sec", number(each, "tokens_per_second", content.path)),
        )
        notes = f"{requests:.0f} requests at once" if requests else ""
        runs.append(Run(table="inference", columns=_all_at_once(""), readings=made, notes=notes))
    if content.objects:
        return runs
    for match in THROUGHPUT.finditer(content.text):
        asked, total, output = (float(each) if each else None for each in match.groups())
        columns = _all_at_once(content.text)
        if asked and total and output:
            columns |= {"isl": text((total - output) / asked), "osl": text(output / asked)}
        made = readings(
            reading("requests_per_sec", asked),
            reading("total_tokens_per_sec", total),
            reading("output_tokens_per_sec_total", output),
        )
        notes = "isl and osl are means, from the printed rates" if output else ""
        runs.append(Run(table="inference", columns=columns, readings=made, notes=notes))
    return runs


def latency_fits(content: Content) -> bool:
    """Whether it is a result of `vllm bench latency`."""
    if content.objects:
        return all({"avg_latency", "latencies"} <= each.keys() for each in content.objects)
    return LATENCY.search(content.text) is not None


def latency(content: Content) -> list[Run]:
    """A static batch, end to end."""
    if content.objects:
        values = [
            (number(each, "avg_latency", content.path), each["latencies"])
            for each in content.objects
        ]
    else:
        values = [(float(match[1]), None) for match in LATENCY.finditer(content.text)]
    arguments = {} if content.objects else namespace(content.text)
    columns = _setup(arguments)
    columns |= {BATCHES[name]: arguments[name] for name in BATCHES if name in arguments}
    batch = columns.get("batch") or content.given.get("batch", "")
    columns["scenario"] = "single_stream" if batch == "1" else "static_batch"
    return [
        Run(
            table="inference",
            columns=columns,
            readings=readings(reading("e2e_latency_s", value, "mean, whole batch")),
            notes=f"{len(each)} iterations" if isinstance(each, list) else "",
        )
        for value, each in values
    ]


def _all_at_once(printed: str) -> dict[str, str]:
    return {**_setup(namespace(printed)), **load(None, "inf")}


def _setup(arguments: dict[str, str]) -> dict[str, str]:
    kinds = {"float16": "fp16", "half": "fp16", "bfloat16": "bf16", "float32": "fp32"}
    return {
        "engine": "vLLM",
        "model": arguments.get("model", ""),
        "tp": arguments.get("tensor_parallel_size", ""),
        "pp": arguments.get("pipeline_parallel_size", ""),
        "precision": arguments.get("quantization") or kinds.get(arguments.get("dtype", ""), ""),
    }
