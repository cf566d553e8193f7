"""How engines stood, as gateways sampled it, as the timeline of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eke.gateway.state.rows import Sample
from eke.types.run import TIMELINE

ADDED = ("running", "queued", "tokens")  # each gateway tells of its own; the rest is the engine's


def timeline(samples: Sequence[Sequence[Sample]], engines: list[str], began: float) -> Any:
    """The timeline, as `eke.types.run.TIMELINE` says; nothing where no samples were kept.

    samples: of each gateway.  engines: names of replicas.  began: zero of the run, UTC [s].
    Where several gateways saw an engine, samples of one stretch of time are taken together.
    """
    known = {name: place for place, name in enumerate(engines)}
    parts = [[each for each in part if each.engine in known] for part in samples]
    parts = [part for part in parts if part]
    if not parts:
        return {}
    tables = [_table(part, known, began) for part in parts]
    return _merged(tables) if len(tables) > 1 else tables[0]


def _table(samples: list[Sample], known: dict[str, int], began: float) -> dict[str, Any]:
    """What one gateway saw, in the order of time and replica."""
    cells: dict[str, Any] = dict(zip(Sample._fields, zip(*samples, strict=True), strict=True))
    cells["replica"] = [known[name] for name in cells.pop("engine")]
    table = {name: np.array(cells[name], kind) for name, (kind, _, _) in TIMELINE.items()}
    table["time"] = table["time"] - began
    order = np.lexsort((table["replica"], table["time"]))
    return {name: column[order] for name, column in table.items()}


def _merged(tables: list[dict[str, Any]]) -> dict[str, Any]:
    """One row per stretch of time and replica: what gateways did adds up, what an engine says of
    itself is the most that any of them heard."""
    width = max(_interval(table) for table in tables)
    kept = [_latest(table, width) for table in tables]
    joined = {name: np.concatenate([table[name] for table in kept]) for name in TIMELINE}
    place = np.lexsort((joined["replica"], joined["time"]))
    joined = {name: column[place] for name, column in joined.items()}
    starts = np.flatnonzero(_begins(joined))
    return {
        name: (np.add if name in ADDED else np.maximum)
        .reduceat(column, starts)
        .astype(column.dtype)
        for name, column in joined.items()
    }


def _interval(table: dict[str, Any]) -> float:
    """Time between two samples of an engine, the median [s]."""
    times = np.unique(table["time"])
    return float(np.median(np.diff(times))) if len(times) > 1 else 1.0


def _latest(table: dict[str, Any], width: float) -> dict[str, Any]:
    """One sample per stretch and replica: the last, with the tokens of all; its time is the end of
    the stretch."""
    stretch = (np.floor(table["time"] / width) + 1) * width
    table = {**table, "time": stretch}
    order = np.lexsort((table["replica"], table["time"]))
    table = {name: column[order] for name, column in table.items()}
    starts = np.flatnonzero(_begins(table))
    ends = np.append(starts[1:], len(order)) - 1
    found = {name: column[ends] for name, column in table.items()}
    found["tokens"] = np.add.reduceat(table["tokens"], starts)
    return found


def _begins(table: dict[str, Any]) -> Any:
    """Where another stretch or replica begins."""
    fresh = (np.diff(table["time"]) != 0) | (np.diff(table["replica"]) != 0)
    return np.append(True, fresh)
