"""What a design is worth: useful tokens per dollar and per joule, priced as every chip is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eke.allocating.chips.speed import Load, Moves, moves_of
from eke.allocating.designs.costs import Flow
from eke.allocating.designs.layouts import STEP, Look, finer, look
from eke.catalog.fleets import pool
from eke.physics.answer import outcome
from eke.physics.layers import count_parameters
from eke.physics.scenarios import scenarios, what_ifs
from eke.search.base import published_width
from eke.search.serving import fits
from eke.types.chip import Chip
from eke.types.fleet import Fleet
from eke.types.job import Serve
from eke.types.plan import Plan
from eke.types.record import Record, replace

Beaten = Callable[[float, float], bool]  # whether others give as much per dollar and per joule


class Worth(Record):
    """A priced chip. tokens: useful ones per second at the peak.  moves: what is not known of them.
    binds: what would make it faster.  full: memory, where it holds no more at once."""

    tokens: float
    per_dollar: float
    per_joule: float
    plan: Plan
    moves: Moves = {}
    binds: dict[str, float] = {}
    full: tuple[str, ...] = ()


def worth(
    loads: Sequence[Load], chip: Chip, flow: Flow, beaten: Beaten | None = None
) -> Worth | None:
    """Tokens per dollar and joule; None where the chip cannot do it, or is sure to be beaten."""
    found = _looks(loads, chip)
    if not found:
        return None
    most = _mixed(loads, [each.tokens / STEP for each in found])  # which no finer look exceeds
    if beaten is not None and beaten(*_over(flow, most)):
        return None
    return _worth(loads, flow, [finer(each) for each in found])


def whole_worth(loads: Sequence[Load], chip: Chip, flow: Flow) -> Worth | None:
    """The same with its span and what binds it, both of the load that takes the most chip time."""
    found = [finer(each) for each in _looks(loads, chip)]
    if not found:
        return None
    busiest = found[_busiest(loads, found)]
    at, fleet = _running(busiest), Fleet(pools=(busiest.place.pool,))
    result = outcome(at, busiest.plan, fleet, scenarios(busiest.values))["rate_most"]
    more = replace(busiest.plan, batch=2 * busiest.plan.batch)
    full = () if bool(np.all(fits(outcome(at, more, fleet, busiest.place.knobs)))) else FULL
    moves = moves_of(result, busiest.values, chip.family)
    return replace(_worth(loads, flow, found), moves=moves, binds=_binds(result), full=full)


FULL = ("memory size",)


def _looks(loads: Sequence[Load], chip: Chip) -> list[Look]:
    """The layout of every load; none where one of them cannot be served."""
    of = pool(chip, 1)
    found = [each for load in loads if (each := look(load, of)) is not None]
    return found if len(found) == len(loads) else []


def _running(found: Look) -> Serve:
    """Its job at the rate that its layout serves, but for rounding."""
    return replace(found.job, rate=found.each * found.plan.chips * (1 - 1e-12))


def _worth(loads: Sequence[Load], flow: Flow, found: Sequence[Look]) -> Worth:
    tokens = _mixed(loads, [each.tokens for each in found])
    dollar, joule = _over(flow, tokens)
    plan = found[_busiest(loads, found)].plan
    return Worth(tokens=tokens, per_dollar=dollar, per_joule=joule, plan=plan)


def _mixed(loads: Sequence[Load], speeds: Sequence[float]) -> float:
    """Tokens per second of a chip that spends its time on all loads. speeds: at each alone."""
    return 1 / sum(load.share / speed for load, speed in zip(loads, speeds, strict=True))


def _busiest(loads: Sequence[Load], found: Sequence[Look]) -> int:
    """The load that takes the most chip time."""
    pairs = zip(loads, found, strict=True)
    return int(np.argmax([load.share / each.tokens for load, each in pairs]))


def _over(flow: Flow, tokens: float) -> tuple[float, float]:
    """Per dollar and per joule."""
    used = tokens * flow.load
    return used / flow.dollars, used / flow.watts


def _binds(result: Any) -> dict[str, float]:
    """By how many percent one percent more of a resource makes it faster, the most first."""
    found = {name: (factor - 1) * 10 for name, factor in what_ifs(result).items()}
    kept = {name: value for name, value in found.items() if value > 0.02}
    return dict(sorted(kept.items(), key=lambda row: -row[1]))


def bound_of(loads: Sequence[Load], chip: Chip, flow: Flow) -> tuple[float, float]:
    """Tokens per dollar and per joule that a chip cannot exceed."""
    return _over(flow, _mixed(loads, [ceiling(load, chip) for load in loads]))


def ceiling(load: Load, chip: Chip) -> float:
    """Tokens per second that no layout of a chip can exceed: each multiplies by every active weight
    once, at the chip's fastest format that the weights may have."""
    job = load.job
    assert isinstance(job, Serve)
    active = float(count_parameters(job.model).active)
    sixteen = chip.peak.get("bf16") or chip.peak.get("fp16") or max(chip.peak.values())
    narrow = "weights" in load.choices or published_width(job.model) != "bf16"
    return (max(chip.peak.values()) if narrow else sixteen) / (2 * active)
