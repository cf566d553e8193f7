"""What is learnt from measurements: which value, for which chip family or engine, from which prior.

A prior is a table of the shape of an efficiency table, in `data/priors`: what physics, datasheets
and microbenchmarks say before any of the measurements. A family or an engine without a prior of
its own starts from that of any, and is drawn to it as far as the prior's interval is narrow.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eke.catalog.efficiencies import ABOVE_ONE, read_efficiencies
from eke.catalog.files import DATA
from eke.types.efficiency import Efficiency, Knobs
from eke.types.record import Record

PRIORS = DATA / "priors"
Level = Literal["chip", "engine", "any"]
LEVELS: dict[str, Level] = {
    **dict.fromkeys(("matmul", "matmul_low", "memory", "link", "network"), "chip"),
    **dict.fromkeys(("attention", "attention_backward", "link_latency"), "chip"),
    **dict.fromkeys(("launch", "step", "sequence", "collective", "scatter", "first"), "engine"),
    **dict.fromkeys(("matmul_kernel", "request", "full"), "engine"),
    **dict.fromkeys(("dispatch", "turn", "routing", "passes", "scores", "handover"), "engine"),
    **dict.fromkeys(("attention_kernel", "straggle", "imbalance", "grouped"), "engine"),
    **dict.fromkeys(("stage_imbalance", "logits_alone", "fragmentation"), "engine"),
    **dict.fromkeys(("overlap_tensor", "overlap_context", "overlap_expert"), "engine"),
    **dict.fromkeys(("overlap_data", "overlap_stage"), "engine"),
    **dict.fromkeys(("matmul_rows", "matmul_columns", "overlap_memory"), "engine"),
    **dict.fromkeys(("attention_tokens", "host_link"), "any"),
}
# How far measurements may move a value, as a share of its prior's spread. What one framework's
# publishers measured fits well and does not transfer, so frameworks of training keep near physics.
# Engines that serve differ in what their host does more than in their kernels.
TRUST = {"train": 0.3, "serve": 0.5, "chip": 0.7, "any": 1.0}
HOST = (
    *("launch", "step", "sequence", "request", "collective"),
    *("first", "full", "scatter"),
)
TRAINING = "training"  # the table of a training framework nobody knows
EIGHTY = 1.2816  # standard deviations on each side of an 80 % interval


class Parameter(Record):
    """One value to learn. Moves on a logarithmic scale, or on a plain one where it may be 0.

    centre, spread: of the prior, on that scale.  linked: the table to whose value it is drawn, or
    "".  lowest, highest: between which a value makes sense.
    """

    table: str
    name: str
    centre: float
    spread: float
    plain: bool
    linked: str
    lowest: float
    highest: float
    unit: str

    def value(self, at: Any) -> Any:
        """The value itself at a point of the scale."""
        found = np.maximum(at, 0.0) if self.plain else np.exp(at)
        return np.clip(found, self.lowest, self.highest)


class Space(Record):
    """All parameters in order, and where each stands."""

    parameters: tuple[Parameter, ...]
    places: dict[tuple[str, str], int]
    fixed: dict[str, Efficiency]  # values of any that are not learnt

    @property
    def centres(self) -> Any:
        """Where the search begins."""
        return np.array([each.centre for each in self.parameters])

    def place(self, name: str, tables: tuple[str, ...]) -> int:
        """Which parameter says what a value is under these tables."""
        for table in (*reversed(tables), "any"):
            if (table, name) in self.places:
                return self.places[table, name]
        raise KeyError(name)

    def knobs(self, at: Any, tables: tuple[str, ...]) -> Knobs:
        """The values under these tables at a point of the space."""
        values: dict[str, Any] = {name: each.likely for name, each in self.fixed.items()}
        for name in LEVELS:
            place = self.place(name, tables)
            values[name] = float(self.parameters[place].value(at[place]))
        return Knobs(**values)


def space(chips: set[str], engines: dict[str, str], folder: Path = PRIORS) -> Space:
    """The parameters for measurements on these chip families and engines.

    engines: by id, what each does. Those that train are drawn to `training`, what any framework
    reaches; those that serve, like chips, to `any`.
    """
    every = read_efficiencies(folder / "any.csv", "any")
    found: list[Parameter] = []
    for name, level in LEVELS.items():
        found.append(_parameter("any", name, every[name], "", TRUST["any"]))
        if level == "engine":
            own = _own(folder, TRAINING).get(name)
            found.append(_parameter(TRAINING, name, own or every[name], "", TRUST["train"]))
        for table in sorted({"chip": chips, "engine": set(engines), "any": set()}[level]):
            own = _own(folder, table).get(name)
            general = TRAINING if engines.get(table) == "train" else "any"
            trust = TRUST["chip" if level == "chip" else engines.get(table, "any")]
            if name in HOST and engines.get(table) != "train":
                trust = 1.0
            linked = "" if own else general
            found.append(_parameter(table, name, own or every[name], linked, trust))
    places = {(each.table, each.name): index for index, each in enumerate(found)}
    fixed = {name: each for name, each in every.items() if name not in LEVELS}
    return Space(parameters=tuple(found), places=places, fixed=fixed)


def _own(folder: Path, table: str) -> dict[str, Efficiency]:
    path = folder / f"{table}.csv"
    return read_efficiencies(path, table) if path.is_file() else {}


def _parameter(table: str, name: str, prior: Efficiency, linked: str, trust: float) -> Parameter:
    plain = prior.low <= 0
    share = prior.unit == "1" and name not in ABOVE_ONE
    if plain:
        centre, spread = prior.likely, (prior.high - prior.low) / (2 * EIGHTY)
    else:
        centre = math.log(prior.likely)
        spread = math.log(prior.high / prior.low) / (2 * EIGHTY)
    return Parameter(
        table=table,
        name=name,
        centre=centre,
        spread=max(spread * trust, 1e-3),
        plain=plain,
        linked=linked,
        lowest=1.0 if name in ("imbalance", "stage_imbalance") else 0.0 if plain else 1e-12,
        highest=0.0 if prior.high == 0 else (1 + prior.high) / 2 if share else math.inf,
        unit=prior.unit,
    )
