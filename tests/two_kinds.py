"""Two kinds of chips, and plans over both with the values of their own chips."""

from __future__ import annotations

from typing import Any

from eke.catalog.efficiencies import efficiencies
from eke.physics.answer import outcome
from eke.physics.outcome import Outcome
from eke.physics.scenarios import likely
from eke.types.fleet import Fleet
from eke.types.job import Train, Tune
from eke.types.record import replace
from tests.conftest import pool_of

FAST, SLOW = "h100-sxm", "a100-sxm-80"
FLEET = Fleet(pools=(pool_of(FAST), pool_of(SLOW)))
VALUES = {FAST: efficiencies("hopper", "training"), SLOW: efficiencies("ampere", "training")}
ALONE = {chip: likely(values) for chip, values in VALUES.items()}


def priced(job: Train | Tune, plan: Any) -> Outcome:
    """What the physics says of a plan over either kind, or both."""
    knobs, rear = ALONE[plan.chip], plan.rear
    if rear is not None and rear.chip != plan.chip:
        knobs = replace(knobs, other=ALONE[rear.chip])
    return outcome(job, plan, FLEET, knobs)
