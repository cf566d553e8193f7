"""Checking the files of a job, and putting them where its trainer finds them."""

from __future__ import annotations

from pathlib import Path

from eke.gateway.files.file import KIND as FILE
from eke.gateway.files.file import TUNE
from eke.gateway.files.lines import Lines, Mistake, example, object_of
from eke.gateway.state import blobs, documents
from eke.gateway.state.blobs import Blob
from eke.gateway.state.state import State
from eke.gateway.tuning.folder import Folder
from eke.gateway.tuning.job import Failure, Job

TOLD = 5  # mistakes of one file that are told


async def mistakes(state: State, job: Job, tenant: str, longest: int) -> Failure | None:
    """What is wrong with the files of a job. longest: of a line [B]."""
    for param, id in (("training_file", job.training), ("validation_file", job.validation)):
        if id is None:
            continue
        blob = await _blob(state, id, tenant)
        if blob is None:
            return Failure(code="invalid_file", message=f"The file {id} is gone.", param=param)
        lines = Lines(_pair if job.method == "dpo" else example, longest)
        async for piece in state.pieces(blob):
            lines.feed(piece)
        if found := lines.end():
            words = [f"line {each.line}: {each.message}" for each in found[:TOLD]]
            return Failure(code=f"invalid_{param}", message=" ".join(words), param=param)
    return None


async def exported(state: State, job: Job, tenant: str, folder: Folder) -> tuple[str, str] | None:
    """Paths of training and validation file, "" for none; None where a file is gone."""
    folder.make()
    found = []
    for name, id in (("train", job.training), ("validation", job.validation)):
        path: Path | str = ""
        if id is not None:
            blob = await _blob(state, id, tenant)
            if blob is None:
                return None
            path = await folder.write(name, state.pieces(blob))
        found.append(str(path))
    return found[0], found[1]


async def _blob(state: State, id: str, tenant: str) -> Blob | None:
    file = await state.read(documents.get, FILE, id, tenant)
    if file is None or file.label != TUNE:
        return None
    return await state.read(blobs.get, id, tenant)


def _pair(number: int, line: bytes) -> Mistake | None:
    """What is wrong with two answers of which one is better."""
    found = object_of(number, line)
    if isinstance(found, Mistake) or "preferred_output" in found:
        return example(number, line)
    words = "'dpo' learns from 'preferred_output' and 'non_preferred_output'."
    return Mistake("invalid_example", number, words, "preferred_output")
