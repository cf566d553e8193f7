"""What a design is worth: useful tokens per dollar and per joule, priced as every chip is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eke.allocating.chips.inputs import (
    fixed,
    making_at,
    making_inputs,
    program_inputs,
    site_at,
    site_inputs,
)
from eke.allocating.chips.speed import Load, Speed, moves_of, tokens_of
from eke.allocating.designs.shapes import Blueprint
from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import pool, resized
from eke.catalog.nodes import YEAR
from eke.economics.choice import MATURE
from eke.economics.laws import point
from eke.economics.owning import Site, capital, housing, server, site_power
from eke.economics.unit_cost import unit_parts
from eke.errors import BadInput
from eke.physics.answer import outcome
from eke.physics.layers import count_parameters
from eke.physics.outcome import Outcome
from eke.physics.scenarios import likely, scenarios, what_ifs
from eke.physics.silicon import fixed_share
from eke.search.base import published_width
from eke.search.place import Place
from eke.search.serving import all_layouts, fits, plans_of, shared_fields
from eke.types.chip import Chip
from eke.types.efficiency import Efficiency
from eke.types.fleet import Fleet, Pool
from eke.types.job import Serve
from eke.types.plan import Plan, Plans
from eke.types.record import Record, replace
from eke.types.silicon import Uncertain
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
IDLE = 1e-3  # requests per second at which nothing waits
STEP = 0.85
RATES = STEP ** np.arange(16)  # of what a layout can do, looked at together


class Costs(Record):
    """What chips cost beside their speed. fixed: per chip [USD]: design, masks and software."""

    site: Site
    fixed: float
    process: str


class Worth(Record):
    """A priced chip. tokens: useful ones per second at the peak.  full: memory, where it holds no
    more at once."""

    tokens: float
    per_dollar: float
    per_joule: float
    unit: dict[str, float]
    plan: Plan
    speed: Speed | None = None
    binds: dict[str, float] = {}
    full: tuple[str, ...] = ()


def costs_of(said: Mapping[str, Uncertain], process: str, pieces: float | None) -> Costs:
    """The likeliest site. pieces: chips over which the design is spread, where it is."""
    values = point(site_inputs(said))
    once = 0.0
    if pieces is not None:
        spent = point(program_inputs(said, process, _any_chip()))
        years = spent["development"] / YEAR + 4
        team = spent["software_team"] * years * YEAR
        whole = spent["nre"] + spent["respins"] * spent["masks"] + team
        once = float(fixed_share(fixed=whole, pieces=pieces))
    return Costs(site=site_at(values), fixed=once, process=process)


def _any_chip() -> Chip:
    return Chip(id="any", name="", vendor="", kind="asic", family="any", year=2026, peak={})


class Flow(Record):
    """What a chip costs and draws at the site [USD/s], [W], and to make, by part [USD]."""

    dollars: float
    watts: float
    unit: dict[str, float]


def flow_of(chip: Chip, stacks: int | None, costs: Costs) -> Flow:
    """Of a chip that its owner makes."""
    said = {} if stacks is None else {"stacks": fixed("stacks", stacks, "1", None)}
    values = point(making_inputs(chip, said))
    making = making_at(chip, values)
    unit = {name: float(part) for name, part in unit_parts(making, MATURE, 1e5).items()}
    if costs.fixed:
        unit["design"] = costs.fixed
    if chip.power is None:
        raise BadInput(f"nobody has published the power of {chip.id}, so it cannot be compared.")
    site, power = costs.site, chip.power
    paid = {**capital(site, unit), "server": server(site, power), **housing(site, power)}
    spare = 1 + site.spares
    return Flow(
        dollars=float(sum(paid.values())) * spare,
        watts=float(site_power(site, power)),
        unit=unit,
    )


def ceiling(load: Load, chip: Chip) -> float:
    """Tokens per second that no layout of a chip can exceed: each multiplies by every active weight
    once, at the chip's fastest format that the weights may have."""
    job = load.job
    assert isinstance(job, Serve)
    active = float(count_parameters(job.model).active)
    sixteen = chip.peak.get("bf16") or chip.peak.get("fp16") or max(chip.peak.values())
    narrow = "weights" in load.choices or published_width(job.model) != "bf16"
    return (max(chip.peak.values()) if narrow else sixteen) / (2 * active)


def worth(
    loads: Sequence[Load], chip: Chip, stacks: int | None, costs: Costs, whole: bool = False
) -> Worth | None:
    """Tokens per dollar and joule; None where the chip cannot do it. whole: with its span and what
    binds it."""
    flow = flow_of(chip, stacks, costs)
    of = pool(chip, 1)
    found = [_served(load, of, whole) for load in loads]
    if any(each is None for each in found):
        return None
    every = [each for each in found if each is not None]
    times = [load.share / each.tokens for load, each in zip(loads, every, strict=True)]
    tokens = 1 / sum(times)
    busiest = every[int(np.argmax(times))]
    used = tokens * costs.site.load
    return Worth(
        tokens=tokens,
        per_dollar=float(used / flow.dollars),
        per_joule=float(used / flow.watts),
        unit=flow.unit,
        plan=busiest.plan,
        speed=busiest.speed,
        binds=busiest.binds,
        full=busiest.full,
    )


class _Served(Record):
    """Tokens per second of one chip, and the layout; with its span and what binds it."""

    tokens: float
    plan: Plan
    speed: Speed | None = None
    binds: dict[str, float] = {}
    full: tuple[str, ...] = ()


def _served(load: Load, of: Pool, whole: bool) -> _Served | None:
    """The fastest of a few hundred layouts on a fleet of these chips, at the highest rate at which
    it keeps every limit."""
    job = load.job
    assert isinstance(job, Serve)
    here = resized(of, FLEET)
    values = handed(efficiencies(*tables_of(job, here, "")), job, of.chip)
    place = Place(pool=here, knobs=likely(values), choices={**FEW, **load.choices})
    best: tuple[float, Plan] | None = None
    for choices in shared_fields(job, place):
        found = _fastest(job, replace(place, choices=choices))
        if found is not None and (best is None or found[0] > best[0]):
            best = found
    if best is None:
        return None
    rate, plan = best[0] * (1 - 1e-12), best[1]
    tokens = rate * tokens_of(job)
    if not whole:
        return _Served(tokens=tokens, plan=plan)
    at = replace(job, rate=rate * plan.chips)
    result = outcome(at, plan, Fleet(pools=(here,)), scenarios(values))["rate_most"]
    twice = outcome(at, replace(plan, batch=2 * plan.batch), Fleet(pools=(here,)), place.knobs)
    full = () if bool(np.all(fits(twice))) else ("memory size",)
    moved = moves_of(result, values, of.chip.family)
    speed = Speed(tokens=tokens, moves=moved, chips=plan.chips, plans=())
    return _Served(tokens=tokens, plan=plan, speed=speed, binds=_binds(result), full=full)


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


def _fastest(job: Serve, place: Place) -> tuple[float, Plan] | None:
    """Requests per second and chip, and the layout."""
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
    alone = plans.take(np.arange(len(first)) == row)
    ceiling = float(most[first][row])
    share = each * float(alone.chips[0]) / ceiling
    finer = np.linspace(share, min(share / STEP, job.utilisation), 12)
    each = max(each, _highest(job, alone, place, np.array([[ceiling]]), finer)[0])
    return each, alone[0]


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


def _binds(result: Any) -> dict[str, float]:
    """By how many percent one percent more of a resource makes it faster, the most first."""
    found = {name: (factor - 1) * 10 for name, factor in what_ifs(result).items()}
    kept = {name: value for name, value in found.items() if value > 0.02}
    return dict(sorted(kept.items(), key=lambda row: -row[1]))


def bound_of(loads: Sequence[Load], of: Blueprint, costs: Costs) -> tuple[float, float]:
    """Tokens per dollar and per joule that a design cannot exceed."""
    flow = flow_of(of.chip, of.stacks, costs)
    times = [load.share / ceiling(load, of.chip) for load in loads]
    used = costs.site.load / sum(times)
    return float(used / flow.dollars), float(used / flow.watts)
