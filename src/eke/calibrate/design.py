"""All measurements as one linear problem around a point: what is predicted, and how it moves."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from eke.calibrate.blocks import Block
from eke.calibrate.parameters import LEVELS, Space
from eke.calibrate.rows import Row
from eke.types.efficiency import Knobs
from eke.types.record import Record

QUEUED = "queued"  # the scenario of what users wait for in a queue
STEP = 0.25  # of a prior's standard deviation: how far a value is moved to see what follows


class Design(Record):
    """measured, predicted: logarithms, shape (rows,).  moves: change of the prediction per unit of
    each parameter, shape (rows, parameters).  stacks, publishers, engines, chips: labels of each
    row as numbers; regimes likewise.  names: of those labels."""

    measured: Any
    predicted: Any
    moves: Any
    labels: dict[str, Any]
    names: dict[str, list[str]]


def publisher(row: Row) -> str:
    """Who published a row: the organisation of its repository, else the first words of its
    source."""
    place = re.search(r"github(?:\.com)?[:/]([\w.-]+)/", row["source_url_or_repo_path"])
    who = place[1].lower() if place else row.source.lower().split("(")[0].strip()
    return re.split(r"[-_ ]", who)[0] if who.startswith(("nvidia", "mlcommons")) else who


def design(
    blocks: list[Block], space: Space, at: Any, tick: Callable[[], None] = lambda: None
) -> Design:
    """Predictions at a point of the space, and how they move around it."""
    count = sum(len(block.rows) for block in blocks)
    measured, predicted = np.empty(count), np.empty(count)
    moves = np.zeros((count, len(space.parameters)))
    start = 0
    for block in blocks:
        end = start + len(block.rows)
        values, slopes = priced(block, space, at)
        measured[start:end] = np.log([row.value for row in block.rows])
        predicted[start:end] = values
        for place, slope in slopes.items():
            moves[start:end, place] = slope
        start = end
        tick()
    return Design(measured=measured, predicted=predicted, moves=moves, **_labels(blocks))


def base_values(block: Block, space: Space, at: Any) -> Any:
    """Logarithms of a block's predictions at a point of the space, shape (rows,)."""
    with np.errstate(all="ignore"):
        found = np.asarray(block.predict(space.knobs(at, block.tables)), dtype=float)
    found = np.broadcast_to(found.reshape(len(found), -1), (len(block.rows), 1))[:, 0]
    logs = np.log(np.maximum(found, 1e-300))
    return np.where(np.isfinite(logs), logs, 700.0)


def priced(block: Block, space: Space, at: Any) -> tuple[Any, dict[int, Any]]:
    """Logarithms of a block's predictions, and their slopes by parameter."""
    places = [space.place(name, block.tables) for name in LEVELS]
    columns: dict[str, Any] = {}
    cases = 1 + len(places)
    shifts = []
    for index, (name, place) in enumerate(zip(LEVELS, places, strict=True)):
        each = space.parameters[place]
        here = float(at[place])
        shift = STEP * each.spread
        if each.value(here + shift) <= each.value(here) * (1 + 1e-12):
            shift = -shift  # at the upper end: look below
        column = np.full(cases, float(each.value(here)))
        column[1 + index] = float(each.value(here + shift))
        columns[name] = column
        shifts.append(shift)
    fixed: dict[str, Any] = {name: each.likely for name, each in space.fixed.items()}
    with np.errstate(all="ignore"):
        found = np.asarray(block.predict(Knobs(**fixed, **columns)), dtype=float)
        found = np.broadcast_to(found, (len(block.rows), cases))
        logs = np.log(np.maximum(found, 1e-300))
    logs = np.where(np.isfinite(logs), logs, 700.0)
    slopes: dict[int, Any] = {}
    for index, (place, shift) in enumerate(zip(places, shifts, strict=True)):
        slope = (logs[:, 1 + index] - logs[:, 0]) / shift
        if np.any(slope):
            slopes[place] = slopes.get(place, 0.0) + slope
    return logs[:, 0], slopes


def _labels(blocks: list[Block]) -> dict[str, Any]:
    """Labels of every row as numbers."""
    words: dict[str, list[str]] = {
        name: [] for name in ("stack", "publisher", "engine", "chip", "regime", "run", "model")
    }
    for block in blocks:
        for row, regime in zip(block.rows, block.regimes, strict=True):
            who = publisher(row)
            engine = block.tables[1] if len(block.tables) > 1 else ""
            words["publisher"].append(who)
            words["engine"].append(engine)
            words["chip"].append(block.chip)
            words["model"].append(block.model)
            words["regime"].append(f"{regime.task} {regime.scenario}")
            software = f"{engine}|{row['engine_version']}"
            kind = regime.scenario if regime.scenario == QUEUED else regime.task
            words["stack"].append(f"{who}|{software}|{block.tables[0]}|{kind}")
            words["run"].append("|".join(v for k, v in row.columns.items() if k not in _OWN))
    labels, names = {}, {}
    for name, texts in words.items():
        known = sorted(set(texts))
        index = {text: number for number, text in enumerate(known)}
        labels[name] = np.array([index[text] for text in texts])
        names[name] = known
    return {"labels": labels, "names": names}


_OWN = ("id", "metric", "measured_value", "unit", "notes")
