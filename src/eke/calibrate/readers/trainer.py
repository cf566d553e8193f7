"""Training logs of Hugging Face's Trainer and of DeepSpeed's timer.

The Trainer sums up a whole run, evaluations and saving included; its progress bar prints seconds
per step. DeepSpeed prints samples per second, which need the global batch to become a step time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from eke.calibrate.readers.content import Content, number
from eke.calibrate.readers.run import Run, reading, readings, text
from eke.calibrate.readers.steps import steady
from eke.errors import BadFile

NUMBER = r"(-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|inf)"
SUMMARY = re.compile(
    rf"['\"]?\b(train_(?:runtime|(?:samples|steps)_per_second))['\"]?\s*[:=]\s*['\"]?{NUMBER}"
)
BAR = re.compile(r"\b(\d+)/(\d+) \[[^\]\n]{0,80}?, +(\d+\.?\d*) ?(s/it|it/s)")
FACTS = {
    "micro_batch": re.compile(r"Instantaneous batch size per device *= *([\d,]+)"),
    "global_batch_sequences": re.compile(r"Total train batch size[^=\n]{0,80}=\s*([\d,]+)"),
}
SAMPLES = re.compile(rf"RunningAvgSamplesPerSec={NUMBER}, *CurrSamplesPerSec={NUMBER}")
BATCH = re.compile(r"\btrain_batch_size[\"']?\s*(?:\.{2,}|[:=])\s*(\d+)")
MICRO = re.compile(r"\btrain_micro_batch_size_per_gpu[\"']?\s*(?:\.{2,}|[:=])\s*(\d+)")


def deepspeed_fits(content: Content) -> bool:
    """Whether DeepSpeed's timer wrote into it."""
    return not content.objects and SAMPLES.search(content.text) is not None


def deepspeed(content: Content) -> list[Run]:
    """The run of the log."""
    rates = [float(match[2]) for match in SAMPLES.finditer(content.text)]
    found = steady("iteration_time_s", rates, content.path)
    batch, micro = BATCH.search(content.text), MICRO.search(content.text)
    sequences = float(batch[1]) if batch else float(content.given.get("batch", 0))
    if not sequences:
        raise BadFile(
            f"{content.path}: DeepSpeed's lines give samples per second, and nothing gives the "
            "sequences of a step; say it as the batch, such as 256."
        )
    time = reading("iteration_time_s", sequences / found.value if found.value else 0, found.note)
    return [
        Run(
            table="training",
            columns={
                "framework": "DeepSpeed",
                "global_batch_sequences": text(sequences),
                "micro_batch": micro[1] if micro else "",
            },
            readings=readings(time),
            notes="derived: global batch over samples per second",
        )
    ]


def trainer_fits(content: Content) -> bool:
    """Whether the Trainer summed up a run in it, or its progress bar did steps."""
    if content.objects:
        return all("train_runtime" in each for each in content.objects)
    trains = re.search(r"Running training|['\"]loss['\"]", content.text)
    bar = trains is not None and BAR.search(content.text) is not None
    return bar or SUMMARY.search(content.text) is not None


def trainer(content: Content) -> list[Run]:
    """One run per summary; of the progress bar where there is none."""
    if content.objects:
        return [_summed(each, content.path, {}) for each in content.objects]
    facts = {name: pattern.search(content.text) for name, pattern in FACTS.items()}
    columns = {name: match[1].replace(",", "") for name, match in facts.items() if match}
    summary: dict[str, Any] = dict(SUMMARY.findall(content.text))
    if "train_runtime" in summary and "train_steps_per_second" in summary:
        return [_summed(summary, content.path, columns)]
    return [_from_bar(content, columns)]


def _summed(found: Mapping[str, Any], where: str, columns: dict[str, str]) -> Run:
    samples, steps = (
        number(found, f"train_{what}_per_second", where) for what in ("samples", "steps")
    )
    if samples and steps:
        columns = {"global_batch_sequences": f"{max(samples / steps, 1):.0f}", **columns}
    return Run(
        table="training",
        columns={"framework": "HF Trainer", "task": "sft", **columns},
        readings=readings(
            reading("iteration_time_s", 1 / steps if steps else None, "mean of the whole run")
        ),
        notes="derived from steps per second; evaluations, saving and warm-up are inside; "
        "the task is assumed unless said",
    )


def _from_bar(content: Content, columns: dict[str, str]) -> Run:
    steps = {}
    for match in BAR.finditer(content.text):
        value = float(match[3])
        steps[match[1], match[2]] = value if match[4] == "s/it" else 1 / value if value else None
    totals: dict[str, int] = {}
    for _, total in steps:
        totals[total] = totals.get(total, 0) + 1
    longest = max(totals, key=lambda total: totals[total]) if totals else ""
    values = [value for (_, total), value in steps.items() if total == longest]
    return Run(
        table="training",
        columns={"framework": "HF Trainer", "task": "sft", **columns},
        readings=readings(steady("iteration_time_s", values, content.path)),
        notes="seconds per step of the progress bar, which smooths them; the task is assumed "
        "unless said",
    )
