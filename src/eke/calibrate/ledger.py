"""The accuracy ledger: every row predicted, scored or skipped with the reason."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eke.calibrate.blocks import Block, Skipped
from eke.calibrate.design import publisher
from eke.calibrate.inference import inference_blocks
from eke.calibrate.readers import read_measurements
from eke.calibrate.rows import Row
from eke.calibrate.spans import Learnt, Priced, learn, priced, spans
from eke.calibrate.training import training_blocks
from eke.types.record import Record

Tell = Callable[[float], None]


class Entry(Record):
    """One row of the ledger. low, likely, high: in the unit of the metric; None where skipped.
    labels: source, publisher, chip, engine, model, metric, regime."""

    id: str
    metric: str
    measured: float
    status: str  # "scored" or "skipped"
    note: str
    labels: dict[str, str]
    low: float | None = None
    likely: float | None = None
    high: float | None = None

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return (self.likely or math.nan) / self.measured - 1


class Summary(Record):
    """What the ledger says of one group. median, ninetieth: of the absolute error.  bias: median of
    predicted over measured.  coverage: share of measurements inside the 80 % span.  width: median
    of high over low."""

    name: str
    scored: int
    skipped: int
    median: float
    ninetieth: float
    bias: float
    coverage: float
    width: float


def read_all(paths: Iterable[Path], given: Mapping[str, str]) -> list[Row]:
    """The measurements of tables and of benchmark files and logs. Raises BadFile."""
    return [row for path in paths for row in read_measurements(path, given)]


def check(rows: list[Row], own: Iterable[Row] = (), tell: Tell = lambda _: None) -> list[Entry]:
    """Every row predicted without looking at what was measured, in the order given.

    own: measurements that predictions for the same engine and chips are conditioned on; a row
    that is among them is not conditioned on itself.  tell: told the share that is done.
    """
    blocks, skipped = blocks_of(rows)
    known = _priced_own(list(own))
    found: dict[int, Entry] = {}
    places: dict[int, list[int]] = defaultdict(list)  # the same row may be given twice
    for index, row in enumerate(rows):
        places[id(row)].append(index)
    for index, block in enumerate(blocks):
        ends = _spans(block, known.get((block.tables, block.chip), []))
        for at, (row, low, likely, high) in enumerate(zip(block.rows, *ends, strict=True)):
            found[places[id(row)].pop()] = _entry(
                block, at, row, float(low), float(likely), float(high)
            )
        tell((index + 1) / len(blocks))
    for each in skipped:
        found[places[id(each.row)].pop()] = Entry(
            id=each.row.id,
            metric=each.row.metric,
            measured=each.row.value,
            status="skipped",
            note=each.reason,
            labels=_labels(each.row),
        )
    return [found[index] for index in range(len(rows))]


def blocks_of(rows: list[Row]) -> tuple[list[Block], list[Skipped]]:
    """Rows of both kinds as blocks."""
    serving, left = inference_blocks(row for row in rows if row.table == "inference")
    learning, also = training_blocks(row for row in rows if row.table == "training")
    return [*serving, *learning], [*left, *also]


Own = tuple[Priced, int, Row]  # a measurement of one's own: what is predicted of it, and where


def _priced_own(own: list[Row]) -> dict[tuple[tuple[str, ...], str], list[Own]]:
    """Own measurements that can be predicted, by efficiency tables and chip."""
    blocks, _ = blocks_of(own)
    by: dict[tuple[tuple[str, ...], str], list[Own]] = defaultdict(list)
    for block in blocks:
        made = priced(block)
        by[block.tables, block.chip] += [
            (made, i, row) for i, row in enumerate(block.rows) if np.isfinite(made.likely[i])
        ]
    return by


def _spans(block: Block, known: list[Own]) -> tuple[Any, Any, Any]:
    """Low, likely and high of a block's rows after own measurements; a row that is among them is
    predicted from the others."""
    made = priced(block)
    low, likely, high = spans(made, _learnt(known))
    for at, row in enumerate(block.rows if known else ()):
        others = [each for each in known if each[2] != row]
        if len(others) < len(known):
            ends = spans(made, _learnt(others))
            low[at], likely[at], high[at] = (each[at] for each in ends)
    return low, likely, high


def _learnt(known: list[Own]) -> Learnt | None:
    return learn([(made, at, row.value) for made, at, row in known]) if known else None


def _entry(block: Block, at: int, row: Row, low: float, likely: float, high: float) -> Entry:
    regime = block.regimes[at]
    labels = _labels(row) | {
        "chip": block.chip,
        "model": block.model,
        "engine": block.tables[1] if len(block.tables) > 1 else "",
        "regime": f"{regime.task} {regime.scenario}",
    }
    if not (math.isfinite(likely) and 0 < likely < 1e200):
        return Entry(
            id=row.id,
            metric=row.metric,
            measured=row.value,
            status="skipped",
            note="does not fit or cannot run as it is laid out",
            labels=labels,
        )
    return Entry(
        id=row.id,
        metric=row.metric,
        measured=row.value,
        status="scored",
        note=block.notes[at],
        labels=labels,
        low=low,
        likely=likely,
        high=high,
    )


def _labels(row: Row) -> dict[str, str]:
    return {
        "source": row.source,
        "publisher": publisher(row),
        "chip": row["chip"],
        "model": row["model"],
        "engine": row["engine"] or row["framework"],
        "metric": row.metric,
        "regime": row["scenario"] or "training",
    }


def summarise(entries: Iterable[Entry], by: str = "") -> list[Summary]:
    """Errors and coverage by one label, largest groups first; without a label, of all."""
    groups: dict[str, list[Entry]] = defaultdict(list, {} if by else {"all": []})
    for entry in entries:
        groups[entry.labels.get(by, "all") if by else "all"].append(entry)
    found = [_summary(name, group) for name, group in groups.items()]
    return sorted(found, key=lambda each: (-each.scored, each.name))


def _summary(name: str, entries: list[Entry]) -> Summary:
    scored = [entry for entry in entries if entry.status == "scored"]
    errors = np.array([entry.error for entry in scored] or [math.nan])
    inside = [(e.low or 0.0) <= e.measured <= (e.high or 0.0) for e in scored]
    widths = [(e.high or 1.0) / (e.low or 1.0) for e in scored]
    return Summary(
        name=name,
        scored=len(scored),
        skipped=len(entries) - len(scored),
        median=float(np.median(np.abs(errors))),
        ninetieth=float(np.quantile(np.abs(errors), 0.9)),
        bias=float(np.median(errors) + 1),
        coverage=float(np.mean(inside)) if inside else math.nan,
        width=float(np.median(widths)) if widths else math.nan,
    )


COLUMNS = ("id", "metric", "measured", "low", "likely", "high", "status", "note")


def rows_csv(entries: Iterable[Entry]) -> str:
    """One line per row, in the units of the table."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for e in entries:
        ends: tuple[Any, ...] = (e.low, e.likely, e.high)
        numbers = ["" if value is None else f"{value:.6g}" for value in ends]
        writer.writerow([e.id, e.metric, f"{e.measured:.10g}", *numbers, e.status, e.note])
    return out.getvalue()
