"""From the learnt point to the tables in the catalogue: values, their spans, and what is left.

The interval of a value holds what is not known about it and how much it differs from one stack of
software to the next. `scatter` and `first` then get the interval with which 80 % of the rows that
were left out fall inside their spans: among known engines by leaving out publishers, for unknown
ones by leaving out engines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eke.calibrate.cross import LeftOut
from eke.calibrate.fit import Fitted
from eke.calibrate.parameters import EIGHTY, PRIORS, TRAINING, Parameter
from eke.catalog.efficiencies import COLUMNS, read_efficiencies
from eke.catalog.files import read_rows
from eke.types.record import Record

BETWEEN = 0.35  # share of a prior's spread by which stacks differ, where the table is known
SAID = 0.9  # of the prior's spread: above that, the measurements say nothing of a value
SOURCE = "truth"
LEFT_OVER = ("scatter", "first")


class Spreads(Record):
    """Standard deviations of what the physics leaves out, on a logarithmic scale, by table."""

    scatter: dict[str, float]
    first: dict[str, float]


def spread(fitted: Fitted, index: int) -> float:
    """Standard deviation of one value: not known, or different between stacks."""
    each = fitted.space.parameters[index]
    known = float(np.sqrt(fitted.covariance[index, index]))
    general = each.table in ("any", TRAINING)
    return float(np.hypot(known, each.spread * (1.0 if general else BETWEEN)))


def spreads(fitted: Fitted, known: LeftOut, unknown: LeftOut) -> Spreads:
    """What is left over, so that spans hold 80 % of what was left out."""
    now = fitted.design
    regimes = np.array(now.names["regime"])[now.labels["regime"]]
    training = ~np.char.startswith(regimes, "inference")
    queued = regimes == "inference queued"
    own = np.array([spread(fitted, i) for i in range(len(fitted.at))])
    for index, each in enumerate(fitted.space.parameters):
        if each.name in LEFT_OVER:
            own[index] = 0.0
    apart = np.sqrt(((now.moves * own) ** 2).sum(axis=1))
    found: dict[str, dict[str, float]] = {"scatter": {}, "first": {}}
    engines = np.array(now.names["engine"])[now.labels["engine"]]
    for table, left, kind in (
        ("any", unknown, ~training),
        (TRAINING, unknown, training),
        ("serve", known, ~training),
        ("train", known, training),
    ):
        rows = kind & np.isfinite(left.predicted)
        found["scatter"][table] = _filling(fitted, left, rows & ~queued, apart, 0.0)
        level = found["scatter"][table]
        if kind is not training:
            found["first"][table] = _filling(fitted, left, rows & queued, apart, level)
    del engines
    return Spreads(scatter=found["scatter"], first=found["first"])


def _filling(fitted: Fitted, left: LeftOut, rows: Any, apart: Any, other: float) -> float:
    """The standard deviation that, beside what is known, holds 80 % of these rows."""
    if not rows.any():
        return 0.5
    rest = np.abs(fitted.design.measured[rows] - left.predicted[rows])
    who = fitted.design.labels["publisher"][rows]
    weight = 1 / np.sqrt(np.bincount(who)[who])
    low, high = 0.0, 3.0
    for _ in range(40):
        middle = (low + high) / 2
        inside = rest <= EIGHTY * np.sqrt(apart[rows] ** 2 + middle**2 + other**2)
        low, high = (low, middle) if np.average(inside, weights=weight) > 0.8 else (middle, high)
    return float(high)


def write_tables(
    fitted: Fitted, left: Spreads, folder: Path, engines: dict[str, str]
) -> list[Path]:
    """Every table anew: learnt values, and what the priors hold beside them."""
    made: dict[str, dict[str, str]] = {}
    for path in sorted(PRIORS.glob("*.csv")):
        made[path.stem] = {row["name"]: _joined(row) for _, row in read_rows(path, COLUMNS)}
    for index, each in enumerate(fitted.space.parameters):
        table = made.setdefault(each.table, {})
        said = float(np.sqrt(fitted.covariance[index, index])) < SAID * each.spread
        if each.name in LEFT_OVER or said:
            table[each.name] = _line(fitted, index, each, _left(each, left, engines), said)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, rows in sorted(made.items()):
        if not rows:
            continue
        path = folder / f"{name}.csv"
        path.write_text("\n".join([",".join(COLUMNS), *rows.values()]) + "\n", encoding="utf-8")
        read_efficiencies(path, name)  # refuses what it would not read
        written.append(path)
    return written


def _left(each: Parameter, left: Spreads, engines: dict[str, str]) -> float | None:
    """What is left over for this table; None for other values."""
    if each.name not in LEFT_OVER:
        return None
    by = getattr(left, each.name)
    table = each.table if each.table in by else engines.get(each.table, "serve")
    return float(by.get(table, by["any"]))


def _line(fitted: Fitted, index: int, each: Parameter, left: float | None, said: bool) -> str:
    """A row of a table; spans are bounded by what makes sense."""
    wide = spread(fitted, index) if left is None else left
    at = float(fitted.at[index])
    low, likely, high = (float(each.value(at + side * EIGHTY * wide)) for side in (-1, 0, 1))
    if not each.plain:
        low = max(low, likely / 20)
    low, high = min(low, likely), max(high, likely)
    kind, note = ("fitted", "") if said else ("assumed", "no measurement says more")
    numbers = (
        f"{value:.4g}" + ("" if each.unit == "1" else each.unit) for value in (low, likely, high)
    )
    return ",".join([each.name, *numbers, each.unit, kind, SOURCE if said else "eke", note])


def _joined(row: dict[str, str]) -> str:
    return ",".join(row[name] or "" for name in COLUMNS)
