"""A run as traffic again: the same requests at the same times, and what their prompts shared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from eke.errors import BadInput
from eke.simulation.traffic.noun import STRETCH, Skipped, Traffic
from eke.simulation.traffic.readers.reuse import Reuse, reuse, reuse_words
from eke.types.arrivals import Arrivals, arrivals
from eke.types.run import Run

SAME = ("priority", "ttft", "deadline")
WHEN = "replayed: requests come when they came, also those that followed another"


def replayed(run: Run, rows: Any = None) -> Traffic:
    """The traffic of a run, in the order in which requests came.

    rows: places of those that are to come again, in that order; None for all. A length of 0 is
    taken as 1. Raises BadInput where nobody came.
    """
    rows = in_order(run) if rows is None else rows
    if not len(rows):
        raise BadInput(f"nobody came in the run {run.label!r:.60}; there is nothing to replay.")
    columns = {name: column[rows] for name, column in run.requests.items()}
    found = reuse(columns)
    made, names = _columns(columns, found), {}
    for name in ("tenant", "kind"):
        names[f"{name}s"], codes = named(run, name)
        made[name] = codes[rows]
    skipped = Skipped()

    def chunks() -> Iterator[Arrivals]:
        skipped.clear()
        skipped.lifted = int(np.sum((columns["prompt"] < 1) | (columns["answer"] < 1)))
        for first in range(0, len(rows), STRETCH):
            part = {name: column[first : first + STRETCH] for name, column in made.items()}
            yield arrivals(**part, **names)

    return Traffic(
        name=run.label,
        chunks=chunks,
        seconds=max(float(made["arrived"][-1]), 1e-3),
        remarks=(WHEN, reuse_words(found, columns["cached"])),
        skipped=skipped,
    )


def in_order(run: Run) -> Any:
    """Places of the requests that came, the first first."""
    order = np.argsort(run.requests["arrived"], kind="stable")
    return order[np.isfinite(run.requests["arrived"][order])]


def _columns(columns: dict[str, Any], found: Reuse) -> dict[str, Any]:
    """What arrivals are made of."""
    answer = np.maximum(columns["answer"], 1).astype(np.int64)
    return {
        "arrived": columns["arrived"].astype(np.float64),
        "prompt": np.maximum(columns["prompt"], 1).astype(np.int64),
        "answer": answer,
        "most": np.maximum(columns["most"], answer),
        "session": found.session,
        "stem": found.stem,
        "stem_tokens": found.stem_tokens,
        **{name: columns[name] for name in SAME},
    }


def named(run: Run, name: str) -> tuple[tuple[str, ...], Any]:
    """The words of a column of codes and a code for each request: codes without a word are called
    by their number, and no code by nothing."""
    codes, words = run.requests[name], run.names.get(name, ())
    words += tuple(str(code) for code in range(len(words), int(codes.max(initial=-1)) + 1))
    nobody = codes < 0
    return ((*words, "") if nobody.any() else words), np.where(nobody, len(words), codes)
