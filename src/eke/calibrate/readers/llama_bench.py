"""llama.cpp's `llama-bench`: `-o json`, `jsonl`, `csv` and the `md` table.

"pp512" takes in 512 tokens, "tg128" makes 128, "pp512+tg128" does both and counts both; "@ d4096"
starts with 4,096 tokens in the cache. One sequence at a time; sampling is not in the time.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from eke.calibrate.readers.content import Content, number, word
from eke.calibrate.readers.run import Run, chip_name, reading, readings, text
from eke.errors import BadFile

NEEDED = {"model_type", "n_prompt", "n_gen", "avg_ts"}
TEST = re.compile(r"(?:pp ?(\d{1,9}))?\+?(?:tg ?(\d{1,9}))?(?: *@ *d ?(\d{1,9}))?")
FORMATS = re.compile(
    r"(?<![A-Za-z0-9])"
    r"(IQ\d\w*|Q\d_K(?:[ _-]+(?:Small|Medium|Large|[SML]))?|T?Q\d_\d|BF16|F16|F32|MXFP4)"
    r"(?![A-Za-z0-9])",
    re.I,
)
PARTS = re.compile(r"-\d{5}-of-\d{5}|\.gguf$|\bmostly\b|- \d\.\d+ bpw|\bMoE$")
PLAIN = {"f16": "fp16", "f32": "fp32", "bf16": "bf16"}
DEVICE = re.compile(r"^ *Device \d+: ([^,\n]{1,80}),? compute capability", re.M)
BUILD = re.compile(r"^build: *(\w+) *\((\d+)\)", re.M)


def fits(content: Content) -> bool:
    """Whether every object is a test, or the text is its CSV or its table."""
    if content.objects:
        return all(each.keys() >= NEEDED for each in content.objects)
    head = content.text.lstrip().partition("\n")[0]
    return set(_cells(head)) >= NEEDED or any(_is_head(line) for line in content.lines)


def read(content: Content) -> list[Run]:
    """One run per test."""
    if content.objects:
        found: Iterator[dict[str, Any]] = iter(content.objects)
    elif any(_is_head(line) for line in content.lines):
        found = _table(content.text, content.path)
    else:
        found = _csv(content.text, content.path)
    return [_run(each, f"{content.path}, test {at}") for at, each in enumerate(found, start=1)]


def _cells(head: str) -> list[str]:
    return [each.strip().strip('"') for each in head.split(",")]


def _parts(line: str) -> list[str]:
    return [each.strip() for each in line.strip().strip("|").split("|")]


def _is_head(line: str) -> bool:
    """Whether a line is the head of llama-bench's table."""
    return line.lstrip().startswith("| model") and {"model", "test", "t/s"} <= set(_parts(line))


def _csv(written: str, where: str) -> Iterator[dict[str, Any]]:
    try:
        for line in csv.DictReader(io.StringIO(written.lstrip(), newline="")):
            yield {name: value for name, value in line.items() if name and value is not None}
    except csv.Error as error:
        raise BadFile(f"{where}: {error}.") from None


def _table(written: str, where: str) -> Iterator[dict[str, Any]]:
    """The lines of the table, under the names the JSON has."""
    build, devices = BUILD.search(written), DEVICE.findall(written)
    names: list[str] = []
    for line in written.splitlines():
        if _is_head(line):
            names = _parts(line)
        elif names and line.lstrip().startswith("|") and not re.match(r"\s*\|[\s:|-]*$", line):
            cells = _parts(line)
            each = dict(zip(names, cells, strict=False))
            test = TEST.fullmatch(each.get("test", ""))
            if len(cells) != len(names) or test is None or not (test[1] or test[2]):
                raise BadFile(f"{where}: a line of the table has no test and t/s: {line[:60]!r}.")
            yield {
                "model_type": each["model"],
                "backends": each.get("backend", ""),
                "gpu_info": ", ".join(devices),
                "n_gpu_layers": each.get("ngl", ""),
                "n_threads": each.get("threads", ""),
                "type_k": each.get("type_k", "f16"),
                "n_prompt": test[1] or "0",
                "n_gen": test[2] or "0",
                "n_depth": test[3] or "0",
                "avg_ts": each["t/s"].partition("±")[0].strip(),
                "build_number": build[2] if build else "",
            }


def _run(found: Mapping[str, Any], where: str) -> Run:
    prompt, answer, depth = (
        number(found, name, where) or 0.0 for name in ("n_prompt", "n_gen", "n_depth")
    )
    rate = number(found, "avg_ts", where)
    if not (prompt or answer):
        raise BadFile(f"{where}: n_prompt and n_gen are both 0; one must be above zero.")
    kind, metric = "pp", "prefill_tokens_per_sec"
    if answer:
        kind, metric = "tg", "decode_tokens_per_sec"
    if prompt and answer:
        kind, metric = "pp+tg", "total_tokens_per_sec"
    if kind == "tg":
        prompt = depth
    notes = [f"llama-bench {kind}, mean of its repetitions", *_setup(found, where)]
    if depth and kind == "tg":
        notes.append("isl is what the cache held before")
    elif depth:
        notes.append(f"SUSPECT: starts with {depth:.0f} tokens in the cache, no column says so")
    return Run(
        table="inference",
        columns={
            **_columns(found),
            "isl": text(prompt),
            "osl": text(answer),
            "batch": "1",
            "scenario": "single_stream",
        },
        readings=readings(reading(metric, rate)),
        notes="; ".join(notes),
    )


def _columns(found: Mapping[str, Any]) -> dict[str, str]:
    kind = word(found.get("model_type"))
    file = PurePath(word(found.get("model_filename")).replace("\\", "/")).name
    backend = word(found.get("backends") or found.get("backend"))
    on_chip = word(found.get("cpu_info" if backend in ("CPU", "BLAS") else "gpu_info"))
    chips = [chip_name(each) for each in on_chip.split(",") if each.strip()]
    build = str(found.get("build_number") or "")
    cache = word(found.get("type_k")).casefold()
    named = FORMATS.search(kind) or FORMATS.search(file)
    return {
        "model": FORMATS.sub("", PARTS.sub("", file or kind)).strip("-_. "),
        "precision": _format(named[1]) if named else "",
        "kv_precision": PLAIN.get(cache, cache) if cache else "",
        "engine": f"llama.cpp ({backend})" if backend else "llama.cpp",
        "engine_version": f"b{build}" if re.fullmatch(r"\d{1,7}", build) else "",
        "chip": chips[0] if chips else "",
        "n_chips": str(len(chips)) if chips else "",
    }


def _format(written: str) -> str:
    """ "Q4_K - Medium" → "q4_k_m"."""
    lower = written.casefold()
    short = re.sub(r"[ _-]+(s|m|l)(mall|edium|arge)?$", r"_\1", lower)
    return PLAIN.get(lower, short)


def _setup(found: Mapping[str, Any], where: str) -> list[str]:
    """Where the layers ran; a part of them on the CPU is nothing eke predicts."""
    layers, moved = found.get("n_gpu_layers"), number(found, "n_cpu_moe", where)
    words = [f"{found['n_threads']} threads"[:40]] if found.get("n_threads") else []
    if layers not in (None, ""):
        words.append(f"{layers} layers on the GPU"[:60])
    if str(layers) == "0" and word(found.get("backends")) not in ("CPU", "BLAS", ""):
        words.append("SUSPECT: a GPU was there and held no layer")
    if moved:
        words.append(f"SUSPECT: experts of {moved:.0f} layers on the CPU")
    return words
