"""The workload that chips are compared on: what options say, else what a chip's file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eke.allocating.chips.build_file import BuildFile
from eke.allocating.chips.speed import Load
from eke.asking import FIELD_UNITS, choices, make_job
from eke.catalog.models import model
from eke.errors import BadFile, BadInput, BadQuantity
from eke.types.job import Serve, Train
from eke.units import quantity

RATE = 100.0  # requests per second, where nobody says; chips are then as many as round well
UNITS = {**FIELD_UNITS, "share": "1", "chips": "1"}


def loads(given: Mapping[str, Any], file: BuildFile | None = None) -> tuple[Load, ...]:
    """One load for serving, and one for training where the file has one. Raises EkeError.

    given: options, whose quantities are numbers already.
    """
    path = file.path if file else ""
    said = {**read_words(file.workload if file else {}, path, "workload"), **given}
    training = read_words(file.training if file else {}, path, "workload.train")
    if "model" not in said and not training:
        where = f"{file.path}: " if file else ""
        raise BadInput(f"{where}no workload; name a model, such as --model llama-3.1-70b.")
    found = []
    share = float(said.pop("share", 1.0 - training.get("share", 0.0) if said else 0.0))
    if "model" in said:
        found.append(_serving(said, share))
    if training:
        found.append(_training(training, file))
    return tuple(found)


def read_words(words: Mapping[str, str], path: str, part: str) -> dict[str, Any]:
    """Texts of a file as numbers. Raises BadFile naming file and field."""
    found: dict[str, Any] = dict(words)
    for name in set(words) & set(UNITS):
        try:
            found[name] = quantity(words[name], UNITS[name])
        except BadQuantity as error:
            raise BadFile(f"{path}: {part}.{name}: {error}") from None
    if not 0 <= found.get("share", 0.5) <= 1:
        raise BadFile(f"{path}: {part}.share: between 0 and 100 %.")
    return found


def _serving(said: Mapping[str, Any], share: float) -> Load:
    decided = {name: said[name] for name in ("weights",) if name in said}
    fields = {name: value for name, value in said.items() if name not in ("model", "weights")}
    fields.setdefault("rate", RATE)
    job = make_job("serve", model(said["model"]), fields)
    assert isinstance(job, Serve)
    return Load(job=job, share=share, choices=choices(decided))


def _training(said: Mapping[str, Any], file: BuildFile | None) -> Load:
    for name in ("model", "tokens"):
        if name not in said:
            raise BadFile(f"{file.path if file else ''}: workload.train.{name} is missing.")
    decided = {name: said[name] for name in ("weights",) if name in said}
    fields: dict[str, Any] = {"tokens": said["tokens"]}
    if "sequence" in said:
        fields["sequence"] = int(said["sequence"])
    job = make_job("train", model(said["model"]), fields)
    assert isinstance(job, Train)
    return Load(
        job=job,
        share=float(said.get("share", 1.0)),
        chips=int(said.get("chips", 256)),
        choices=choices(decided, "train"),
    )


def job_words(loads: Sequence[Load]) -> str:
    """The workload in a line."""
    words = []
    for load in loads:
        job = load.job
        if isinstance(job, Serve):
            said = f"serve {job.model.name}, prompts of {job.prompt:,.0f} and answers of "
            said += f"{job.answer:,.0f} tokens"
        else:
            said = f"train {job.model.name} on {load.chips:,} chips"
        words.append(f"{load.share:.0%} {said}" if len(loads) > 1 else said)
    return "; ".join(words)
