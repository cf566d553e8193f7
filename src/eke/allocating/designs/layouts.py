"""How fast a chip serves a load: the best of a few hundred layouts on a fleet of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocating.chips.speed import IDLE, Load, tokens_of
from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import resized
from eke.physics.answer import outcome
from eke.physics.outcome import Outcome
from eke.physics.scenarios import likely
from eke.search.place import Place
from eke.search.serving import all_layouts, fits, plans_of, shared_fields
from eke.types.chip import Chip
from eke.types.efficiency import Efficiency
from eke.types.fleet import Fleet, Pool
from eke.types.job import Serve
from eke.types.plan import Plan, Plans
from eke.types.record import Record, replace
from eke.verbs import tables_of

FLEET = 128  # chips on which layouts are looked at
HANDED = 8192  # tokens of a step, whose numbers one operator hands to the next
USUAL_STORE = 50e6  # on the die of the chips that efficiencies were fitted on [B]
MOST_KEPT = 0.95  # of what operators hand on: some always passes
FEW = {  # layouts looked at, of those that `plan` looks at
    "batch": (32, 64, 128, 256, 512, 1024),
    "token_budget": (1024, 8192),
    "pipeline": (1, 2, 3, 4, 6, 8, 12, 16, 32),
}
KEPT = 96  # layouts whose latencies are looked at, those that can do most
STEP = 0.85
RATES = STEP ** np.arange(16)  # of what a layout can do, looked at together


class Look(Record):
    """The layout that serves most. plans: it alone.  each: requests per second of one chip, at
    which every limit is kept.  most: of all chips, at which none would be.  values: what arrives of
    published figures."""

    job: Serve
    place: Place
    plans: Plans
    each: float
    most: float
    values: dict[str, Efficiency]

    @property
    def plan(self) -> Plan:
        """The layout."""
        return self.plans[0]

    @property
    def tokens(self) -> float:
        """Useful ones per second of one chip."""
        return self.each * tokens_of(self.job)


def look(load: Load, of: Pool) -> Look | None:
    """The fastest of a few hundred layouts on a fleet of these chips, by rates a step apart."""
    job = load.job
    assert isinstance(job, Serve)
    here = resized(of, FLEET)
    values = handed(efficiencies(*tables_of(job, here, "")), job, of.chip)
    place = Place(pool=here, knobs=likely(values), choices={**FEW, **load.choices})
    found = [_best(job, replace(place, choices=c), values) for c in shared_fields(job, place)]
    return max((each for each in found if each), key=lambda each: each.each, default=None)


def finer(of: Look) -> Look:
    """The same layout at the highest rate at which it keeps every limit."""
    share = of.each * of.plan.own_chips / of.most
    shares = np.linspace(share, min(share / STEP, of.job.utilisation), 12)
    each, _ = _highest(of.job, of.plans, of.place, np.array([[of.most]]), shares)
    return replace(of, each=max(of.each, each))


def handed(values: dict[str, Efficiency], job: Serve, chip: Chip) -> dict[str, Efficiency]:
    """The values with memory traffic between operators as memory on the die leaves it.

    What fits on the die need not pass through the memory beside it. The value was fitted on chips
    that keep `USUAL_STORE`, so it is scaled by what passes here over what passes there.
    """
    if chip.kind == "wafer" or chip.sram_size is None:
        return values
    whole = HANDED * job.model.hidden * 2.0 * 2.0  # in and out of an operator, 16 bits
    passing = 1 - min(chip.sram_size / whole, MOST_KEPT)
    usual = 1 - min(USUAL_STORE / whole, MOST_KEPT)
    times, found = passing / usual, values["passes"]
    scaled = replace(
        found, low=found.low * times, likely=found.likely * times, high=found.high * times
    )
    return {**values, "passes": scaled}


def _best(job: Serve, place: Place, values: dict[str, Efficiency]) -> Look | None:
    """Of the layouts that share some fields."""
    every = all_layouts(job, place.pool, place.choices)
    if not len(every):
        return None
    plans = plans_of(job, place.pool, place.choices, every.columns, every.most[:, None])
    result = _outcome(replace(job, rate=IDLE), plans, place)
    most = np.broadcast_to(result["rate_most"], plans.shape).ravel()
    most = np.where(np.broadcast_to(fits(result), plans.shape).ravel(), most, 0.0)
    first = np.argsort(-most, kind="stable")[:KEPT]
    first = first[most[first] > 0]
    if not len(first):
        return None
    some = every.some(first)
    plans = plans_of(job, place.pool, place.choices, some.columns, some.most[:, None])
    each, row = _highest(job, plans, place, most[first][:, None], job.utilisation * RATES)
    if each <= 0:
        return None
    alone, ceiling = plans.take(np.arange(len(first)) == row), float(most[first][row])
    return Look(job=job, place=place, plans=alone, each=each, most=ceiling, values=values)


def _highest(job: Serve, plans: Plans, place: Place, most: Any, shares: Any) -> tuple[float, int]:
    """The highest rate per chip that keeps every limit, and of which plan. most: of each plan.
    shares: of that to look at."""
    rates = most * shares[None, :]
    result = _outcome(replace(job, rate=rates), plans, place)
    kept = np.broadcast_to(np.asarray(result.feasible), rates.shape)
    chips = np.broadcast_to(np.asarray(plans.chips), (len(rates), 1))
    each = np.where(kept, rates / chips, 0.0)
    row, column = np.unravel_index(int(np.argmax(each)), each.shape)
    return float(each[row, column]), int(row)


def _outcome(job: Serve, plans: Plans, place: Place) -> Outcome:
    return outcome(job, plans, Fleet(pools=(place.pool,)), place.knobs)
