"""Rows that eke can predict, gathered so that one pass of the physics prices many of them.

A row becomes a job, a plan and a pool without looking at what was measured. Rows that differ only
in numbers (lengths, batch, degrees) share a block: their plan is a `Plans` of arrays with one row
per element, shape (rows, 1), and the values that decide what arrives of a published figure are
arrays of shape (cases,), so a prediction has shape (rows, cases).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eke.calibrate.rows import Row
from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import pool
from eke.physics.machine import machine
from eke.physics.scenarios import likely
from eke.types.chip import Chip
from eke.types.efficiency import Knobs
from eke.types.plan import Plan, Width
from eke.types.record import Record


class Regime(Record):
    """What kind of prediction a row is; errors are reported and spans are set per regime."""

    task: str  # "training", "tuning", "alignment", "inference"
    scenario: str  # "static", "saturated", "online", … or "dense", "moe"
    metric: str


class Block(Record):
    """Rows priced together.

    tables: names of the efficiency tables they rest on, chip family first, then engine.
    predict: values of the efficiencies → what each row's metric would be, in the unit of the
    table, shape (rows, cases).  notes: per row, what was assumed.
    """

    rows: tuple[Row, ...]
    regimes: tuple[Regime, ...]
    tables: tuple[str, ...]
    predict: Callable[[Knobs], Any]
    notes: tuple[str, ...]
    chip: str
    model: str
    engine: str  # as the table says it


class Skipped(Record):
    """A row that is not predicted, and why."""

    row: Row
    reason: str


def priceable(chip: Chip, compute: Width) -> None:
    """Refuse a chip without the figures that predictions rest on, so that its rows are skipped and
    stop no others. Raises BadInput."""
    if not (
        chip.memory_size and chip.memory_speed and compute in chip.peak and "bf16" in chip.peak
    ):
        machine(pool(chip, 1), Plan(chip=chip.id, compute=compute), likely(efficiencies()))
