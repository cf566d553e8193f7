"""From the learnt point to the tables in the catalogue: values, their spans, and what is left.

The interval of a value holds what is not known about it and how much it differs from one stack of
software to the next. `scatter`, `full` and `first` then get the interval with which 80 % of the
rows that were left out fall inside their spans: among known engines by leaving out publishers, for
unknown ones by leaving out engines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eke.calibrate.cross import LeftOut
from eke.calibrate.design import Design
from eke.calibrate.fit import Fitted
from eke.calibrate.parameters import EIGHTY, PRIORS, TRAINING, Parameter
from eke.catalog.efficiencies import COLUMNS, read_efficiencies
from eke.catalog.files import read_rows
from eke.types.record import Record

BETWEEN = 0.35  # share of a prior's spread by which stacks differ, where the table is known
SAID = 0.9  # of the prior's spread: above that, the measurements say nothing of a value
SOURCE = "truth"
LEFT_OVER = ("scatter", "full", "first")
FEW = 10  # rows of a publisher that make it one of those who measured an engine


class Spreads(Record):
    """Standard deviations of what the physics leaves out, on a logarithmic scale, by table; under
    "serve" and "train" that of engines which several publishers measured, the least for those
    that one did.  experts: of `grouped`, by what engines do."""

    scatter: dict[str, float]
    full: dict[str, float]
    first: dict[str, float]
    experts: dict[str, float]


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
    queued, routed = regimes == "inference queued", regimes == "training moe"
    busy = regimes == "inference saturated"
    engines = np.array(now.names["engine"])[now.labels["engine"]]
    apart = apart_from(fitted, LEFT_OVER)
    scatter: dict[str, float] = {}
    full: dict[str, float] = {}
    first: dict[str, float] = {}
    experts: dict[str, float] = {}
    for general, does in (("any", "serve"), (TRAINING, "train")):
        kind = np.char.startswith(regimes, "inference") == (does == "serve")
        plain = kind & ~queued & ~routed & ~busy
        here = [str(name) for name in np.unique(engines[kind]) if name and name != general]
        several = [name for name in here if _several(now, engines == name)]
        scatter[general] = _filling(fitted, unknown, plain, apart**2)
        scatter[does] = _filling(fitted, known, plain & np.isin(engines, several), apart**2)
        for name in here:
            own = plain & (engines == name)
            if own.sum() >= FEW:  # one publisher says no less than what others leave over
                least = 0.0 if name in several else scatter[does]
                scatter[name] = max(_filling(fitted, known, own, apart**2), least)
        beside = apart**2 + scatter[does] ** 2
        if does == "serve":
            full[does] = _filling(fitted, known, busy, beside)
            full[general] = _filling(fitted, unknown, busy, apart**2 + scatter[general] ** 2)
            first[does] = _filling(fitted, known, queued, beside)
            first[general] = _filling(fitted, unknown, queued, apart**2 + scatter[general] ** 2)
        else:
            moves = np.abs(moves_of(fitted, "grouped"))
            few = apart_from(fitted, (*LEFT_OVER, "grouped")) ** 2 + scatter[does] ** 2
            experts[does] = _filling(fitted, known, routed, few, moves)
    return Spreads(scatter=scatter, full=full, first=first, experts=experts)


def _several(now: Design, rows: Any) -> bool:
    """Whether more than one publisher has measured these."""
    count = np.bincount(now.labels["publisher"][rows])
    return int((count >= FEW).sum()) > 1


def apart_from(fitted: Fitted, names: tuple[str, ...]) -> Any:
    """Standard deviation of each prediction from all values but these."""
    own = np.array([spread(fitted, index) for index in range(len(fitted.at))])
    for index, each in enumerate(fitted.space.parameters):
        if each.name in names:
            own[index] = 0.0
    return np.sqrt(((fitted.design.moves * own) ** 2).sum(axis=1))


def moves_of(fitted: Fitted, name: str) -> Any:
    """How each prediction moves with a value, under whichever table it rests on."""
    columns = [i for i, each in enumerate(fitted.space.parameters) if each.name == name]
    return fitted.design.moves[:, columns].sum(axis=1)


def _filling(fitted: Fitted, left: LeftOut, rows: Any, beside: Any, moves: Any = None) -> float:
    """The standard deviation that, beside the variance of what else is not known, holds 80 % of
    these rows. moves: by how much it moves each prediction; alike where None."""
    kept = rows & np.isfinite(left.predicted)
    if kept.sum() < FEW:
        return 0.5
    rest = np.abs(fitted.design.measured[kept] - left.predicted[kept])
    pull = np.ones(len(rest)) if moves is None else moves[kept]
    who = fitted.design.labels["publisher"][kept]
    weight = 1 / np.sqrt(np.bincount(who)[who])
    low, high = 0.02, 3.0
    for _ in range(40):
        middle = (low + high) / 2
        inside = rest <= EIGHTY * np.sqrt(beside[kept] + (middle * pull) ** 2)
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
        over = _left(each, left, engines)
        if over is not None or said or _trains(each, engines):
            table[each.name] = _line(fitted, index, each, over, said)
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


def _trains(each: Parameter, engines: dict[str, str]) -> bool:
    """Whether a value belongs to frameworks of training: then it is written even where no
    measurement says more than its prior, since what `any` says was learnt from serving."""
    return each.table == TRAINING or engines.get(each.table) == "train"


def _left(each: Parameter, left: Spreads, engines: dict[str, str]) -> float | None:
    """What is left over for this table; None for other values."""
    does = "train" if each.table == TRAINING else engines.get(each.table, "serve")
    if each.name == "grouped":
        return left.experts.get(does)
    if each.name not in LEFT_OVER:
        return None
    by: dict[str, float] = getattr(left, each.name)
    return by.get(each.table, by.get(does, by["any"]))


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
