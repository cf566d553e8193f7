"""Result files of benchmarks as traffic: `vllm bench serve`, SGLang and GuideLLM.

They are one JSON document each, so they are read whole; what is kept of a request is four numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from eke.errors import BadFile
from eke.simulation.traffic.readers.source import CutOff, blocks

LARGEST = 256_000_000  # bytes, unpacked
SERVING = "vllm bench serve or SGLang with details (input_lens, output_lens)"
GUIDELLM = "GuideLLM (benchmarks with requests)"
KINDS = ("successful", "errored", "incomplete")

Columns = dict[str, Any]


def results(path: Path, first: bytes) -> Columns | None:
    """The columns of every request of a result file; None for another file. Raises BadFile."""
    if not first.lstrip().startswith((b"{", b"[")):
        return None
    found = [each for each in _documents(path) if isinstance(each, dict)]
    if found and all("input_lens" in each for each in found):
        return _together(path, [_serving(path, each) for each in found])
    if found and all(isinstance(each.get("benchmarks"), list) for each in found):
        return _together(path, [_guidellm(path, each) for each in found])
    if any("total_input_tokens" in each for each in found):
        raise BadFile(
            f"{path}: holds sums and no single requests; run the benchmark with --save-detailed."
        )
    return None


def _documents(path: Path) -> list[Any]:
    text = b""
    try:
        for block in blocks(path):
            text += block
            if len(text) > LARGEST:
                raise BadFile(f"{path}: larger than {LARGEST:,} bytes; such results are smaller.")
    except CutOff as cut:
        raise BadFile(f"{path}: {cut}; a result file can only be read whole.") from None
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _by_line(text)
    return found if isinstance(found, list) else [found]


def _by_line(text: bytes) -> list[Any]:
    """Several documents, one a line, as `--append-result` writes them; nothing for other text."""
    try:
        return [msgspec.json.decode(line) for line in text.splitlines() if line.strip()]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def _together(path: Path, parts: list[Columns]) -> Columns:
    """The requests of all runs of a file; without times if one has none."""
    names = [name for name in parts[0] if all(name in part for part in parts)]
    found = {name: np.concatenate([part[name] for part in parts]) for name in names}
    if not len(found["prompt"]):
        raise BadFile(f"{path}: holds no requests.")
    return found


def _serving(path: Path, found: Mapping[str, Any]) -> Columns:
    names = {"prompt": "input_lens", "answer": "output_lens", "arrived": "start_times"}
    columns = {
        what: _numbers(path, found.get(name), name)
        for what, name in names.items()
        if found.get(name) or what != "arrived"
    }
    if len({len(column) for column in columns.values()}) > 1:
        sizes = ", ".join(f"{names[what]} {len(c):,}" for what, c in columns.items())
        raise BadFile(f"{path}: lists of different length: {sizes}.")
    return columns


def _numbers(path: Path, values: Any, name: str) -> Any:
    if not isinstance(values, list):
        raise BadFile(f"{path}: {name} must be a list of numbers, one for each request.")
    return np.array([_number(value) for value in values], np.float64)


def _number(value: Any) -> float:
    """A number; NaN, which is refused later with its row, for anything else."""
    return float(value) if isinstance(value, int | float) else math.nan


def _guidellm(path: Path, found: Mapping[str, Any]) -> Columns:
    rows = list(_asked(found["benchmarks"]))
    return {
        "arrived": np.array([_first(row, *_STARTS) for row in rows], np.float64),
        "prompt": np.array([_first(row, *_PROMPTS) for row in rows], np.float64),
        "answer": np.array([_first(row, *_ANSWERS) for row in rows], np.float64),
    }


# Where the releases keep a request's start, its prompt and its answer.
_STARTS = (("request_start_time",), ("start_time",), ("info", "timings", "request_start"))
_PROMPTS = (("prompt_tokens",), ("input_metrics", "text_tokens"))
_ANSWERS = (("output_tokens",), ("output_metrics", "text_tokens"))


def _asked(benchmarks: list[Any]) -> Iterator[dict[str, Any]]:
    """Every request of every benchmark, those that failed among them."""
    for each in benchmarks:
        requests = each.get("requests") if isinstance(each, dict) else None
        for kind in KINDS:
            some = requests.get(kind) if isinstance(requests, dict) else None
            yield from (row for row in some or () if isinstance(row, dict))


def _first(row: Mapping[str, Any], *paths: tuple[str, ...]) -> float:
    for path in paths:
        found: Any = row
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            return _number(found)
    return math.nan
