"""Measurements of the user's own: what benchmarks and training runs write, as rows.

The format is told from the content. What a file does not say comes from what the user says of the
run; what nobody says stays empty, and the row is skipped for that reason.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

from eke.calibrate.readers import (
    aiperf,
    guidellm,
    llama_bench,
    megatron,
    mlperf,
    offline,
    serving,
    torchtitan,
    trainer,
)
from eke.calibrate.readers.content import Content, take_in
from eke.calibrate.readers.run import Run, checked, rows
from eke.calibrate.rows import NEEDED, Row, read_rows
from eke.errors import BadFile
from eke.types.record import Record


class Format(Record):
    """A kind of file. fits: whether a content is of it.  read: its runs."""

    name: str
    fits: Callable[[Content], bool]
    read: Callable[[Content], list[Run]]


# The first that fits reads the file: narrow ones stand before those that others' logs contain.
FORMATS = (
    Format(
        name="vllm bench serve or SGLang bench_serving (JSON or console)",
        fits=serving.fits,
        read=serving.read,
    ),
    Format(
        name="vllm bench throughput (JSON or console)",
        fits=offline.throughput_fits,
        read=offline.throughput,
    ),
    Format(
        name="vllm bench latency (JSON or console)",
        fits=offline.latency_fits,
        read=offline.latency,
    ),
    Format(name="GuideLLM (JSON or YAML)", fits=guidellm.fits, read=guidellm.read),
    Format(name="AIPerf or genai-perf (JSON or CSV)", fits=aiperf.fits, read=aiperf.read),
    Format(
        name="llama-bench (json, jsonl, csv or md)", fits=llama_bench.fits, read=llama_bench.read
    ),
    Format(name="MLPerf training (mllog)", fits=mlperf.training_fits, read=mlperf.training),
    Format(
        name="MLPerf inference (mlperf_log_summary.txt)",
        fits=mlperf.inference_fits,
        read=mlperf.inference,
    ),
    Format(name="Megatron-LM or NeMo log", fits=megatron.fits, read=megatron.read),
    Format(name="torchtitan log", fits=torchtitan.fits, read=torchtitan.read),
    Format(name="DeepSpeed log", fits=trainer.deepspeed_fits, read=trainer.deepspeed),
    Format(name="HF Trainer log or results", fits=trainer.trainer_fits, read=trainer.trainer),
)


def read_measurements(path: Path, given: Mapping[str, str]) -> list[Row]:
    """Every row of a file of any format known, a table of the shared format among them.

    given: what the user says of the run, such as model, on (8xh100-sxm), tensor, engine, release,
    precision. Raises BadFile naming the file and what is wrong, BadInput for `given`.
    """
    said = checked(given)
    content = take_in(path, said)
    if _is_table(content.text):
        return read_rows(path)
    for each in FORMATS:
        if each.fits(content):
            return rows(str(path), path.name, each.read(content), said)
    if content.broken:
        raise BadFile(f"{path}: begins as JSON, but {content.broken}.")
    known = "; ".join(each.name for each in FORMATS)
    raise BadFile(
        f"{path}: is of no format known here. Known: a table with the columns of the truth "
        f"tables; {known}."
    )


def _is_table(text: str) -> bool:
    head = text.lstrip().partition("\n")[0][:10_000]
    try:
        return set(NEEDED) <= {each.strip() for each in next(csv.reader([head]), [])}
    except csv.Error:
        return False
