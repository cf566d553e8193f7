"""One row of a sweep: what was asked, what came of it, and the figures, in base units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from eke.calibrate.measured import Measured
from eke.errors import EkeError
from eke.planning import enough, plan
from eke.report.words import plan_words
from eke.search.block import Apart
from eke.types.fleet import Fleet
from eke.types.goal import Goal, Planned
from eke.types.job import Job
from eke.types.need import Infeasible, Need, Span
from eke.types.plan import Plan
from eke.types.record import Record

DIGITS = 9  # of a figure in a row: more would only show which processor rounded it
Cell = str | float | int | None
Row = list[Cell]


class Question(Record):
    """What one cell asks of `plan`. grown: of each kind of chip there are as many as it takes."""

    job: Job
    fleet: Fleet
    goal: Goal
    choices: dict[str, Any]
    measured: tuple[Measured, ...] = ()
    disaggregate: Apart = "may"
    grown: bool = False


class Column(Record):
    """A column of the table."""

    name: str
    holds: Literal["text", "number", "whole"]


FIGURES = {  # of every job, in its base unit
    "time": "s",
    "money": "USD",
    "energy": "J",
    "carbon": "kg",
    "memory": "B",
}
LEARNT = {"tokens_per_second_per_chip": "token/s", "goodput": "1", "chip_time": "chip s"}
STEPPED = {"step_time": "s", "mfu": "1", "hfu": "1", **LEARNT}
OWN_FIGURES = {  # of each kind of job
    "serve": {
        **dict.fromkeys(("ttft", "tpot", "ttft_promised", "tpot_promised"), "s"),
        **dict.fromkeys(("cost_per_hour", "cost_per_million_tokens"), "USD"),
        "energy_per_token": "J/token",
        "rate_most": "1/s",
        "concurrency": "1",
        "utilisation": "1",
    },
    "train": STEPPED,
    "tune": STEPPED,
    "align": {"rollout": "s", "scoring": "s", "update": "s", "labels": "s", **LEARNT},
}


def figures(kind: str) -> dict[str, str]:
    """The figures in a row of that kind of job, and their units."""
    return FIGURES | OWN_FIGURES[kind]


def columns(kind: str, names: Sequence[str]) -> tuple[Column, ...]:
    """The columns of a table. names: the options that its cells give."""
    return (
        *(Column(name=name, holds="text") for name in names),
        *(Column(name=name, holds="text") for name in ("outcome", "goal", "unit")),
        *_spanned("value", "1"),
        Column(name="chips", holds="whole"),
        Column(name="chip", holds="text"),
        Column(name="plan", holds="text"),
        Column(name="plan_json", holds="text"),
        *(each for name, unit in figures(kind).items() for each in _spanned(name, unit)),
        Column(name="limit", holds="text"),
        Column(name="short_by", holds="number"),
        Column(name="limit_unit", holds="text"),
        Column(name="hint", holds="text"),
        Column(name="considered", holds="whole"),
        Column(name="message", holds="text"),
    )


def _spanned(name: str, unit: str) -> list[Column]:
    within = "" if unit == "1" else f" [{unit}]"
    ends = ("likely", "low", "high")
    return [Column(name=f"{name}_{end}{within}", holds="number") for end in ends]


def answered(kind: str, asked: Question | str) -> Row:
    """The row of a cell, without its words. asked: text says why nothing could be asked.

    What goes wrong in one cell is its row: the others go on.
    """
    if isinstance(asked, str):
        return _row(kind, {"outcome": "error", "message": asked})
    try:
        return _row(kind, _found(kind, asked))
    except EkeError as error:
        return _row(kind, {"outcome": "error", "message": str(error)})
    except Exception as error:
        message = f"a fault of eke's own: {type(error).__name__}: {error}"
        return _row(kind, {"outcome": "error", "message": message})


def _found(kind: str, asked: Question) -> dict[str, Cell]:
    job, where, choices = asked.job, asked.fleet, asked.choices
    found = plan(
        job,
        enough(job, where, choices) if asked.grown else where,
        asked.goal,
        choices=choices,
        measured=asked.measured,
        disaggregate=asked.disaggregate,
    )
    goal: dict[str, Cell] = {"goal": asked.goal.least}
    return goal | (_short(found) if isinstance(found, Infeasible) else _planned(kind, found))


def _planned(kind: str, found: Planned) -> dict[str, Cell]:
    need = found.need
    cells: dict[str, Cell] = {
        "outcome": "planned",
        "unit": found.unit,
        **_cells("value", "1", found.value),
        "chips": need.plan.chips,
        "chip": _chip(need.plan),
        "plan": plan_words(need.plan),
        "plan_json": msgspec.json.encode(need.plan).decode(),
        "considered": found.considered,
    }
    for name, unit in figures(kind).items():
        cells |= _cells(name, unit, _span(need, name))
    return cells


def _span(need: Need, name: str) -> Span | None:
    if name in need.figures:
        return need.figures[name].span
    found: Span | None = getattr(need, name, None)
    return found


def _chip(of: Plan) -> str:
    half = of.other
    return of.chip if half is None or half.chip == of.chip else f"{of.chip} + {half.chip}"


def _short(found: Infeasible) -> dict[str, Cell]:
    return {
        "outcome": "infeasible",
        "limit": found.limit,
        "short_by": number(found.by),
        "limit_unit": found.unit,
        "hint": found.hint,
    }


def _cells(name: str, unit: str, span: Span | None) -> dict[str, Cell]:
    if span is None:
        return {}
    ends = (span.likely, span.low, span.high)
    made = _spanned(name, unit)
    return {column.name: number(end) for column, end in zip(made, ends, strict=True)}


def number(value: float) -> Cell:
    """A figure as it stands in a row; "inf" as text, which JSON has no number for."""
    value = float(value)
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else str(value)


def _row(kind: str, cells: Mapping[str, Cell]) -> Row:
    return [cells.get(column.name) for column in columns(kind, ())]
