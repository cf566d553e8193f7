"""What a use of chips is once it is wired: what its inputs are and what it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from eke.allocating.forecasts.cases import Array, Cases, Uncertain
from eke.allocating.forecasts.plans import Taken, active, peak
from eke.catalog.chips import chip
from eke.errors import BadInput
from eke.physics.demand import grown
from eke.types.forecast import Use, Work
from eke.types.need import Span
from eke.types.plan import Plan

Told = Callable[[str], None]  # what is planned next


class Wired(Protocol):
    """A use, wired: its inputs, and what it takes after so many years."""

    name: str
    busy: float  # share of the time that its chips work

    def inputs(self) -> dict[str, Uncertain]: ...
    def chips(self, cases: Cases, years: float) -> Array: ...
    def asks(self, cases: Cases, years: float) -> Array: ...
    def tokens(self, cases: Cases, years: float) -> Array: ...
    def described(self) -> Use: ...


def rule_inputs(name: str, work: Work) -> dict[str, Uncertain]:
    """What the rule of thumb rests on, where no model is named."""
    said = {"active": work.active, "utilisation": work.utilisation}
    return {f"{name} {part}": Uncertain(span=span) for part, span in said.items() if span}


def by_rule(work: Work, time: Callable[[float, float], float]) -> Span:
    """Chip time by the rule of thumb, slowest where parameters are many and little is reached.
    time: of parameters and utilisation."""
    size, share = work.active, work.utilisation
    assert size is not None and share is not None, "checked when read"
    return Span(
        low=time(size.low, share.high),
        likely=time(size.likely, share.likely),
        high=time(size.high, share.low),
    )


def where_it_runs(kind: str, counted_in: str, planned: Callable[[], Taken]) -> Taken | None:
    """What it takes of a kind; None where it cannot run, of any but the kind counted in."""
    try:
        return planned()
    except BadInput:
        if kind == counted_in:
            raise
        return None


def gained(cases: Cases, name: str, years: float) -> Array:
    """By how much the same chip does more, for better models and software."""
    if f"{name} efficiency" not in cases:
        return np.ones(1)
    return grown(now=1.0, growth=cases[f"{name} efficiency"], years=years)


def use_of(
    name: str,
    what: str,
    work: Work,
    *,
    times: dict[str, Span | None],
    on: str,
    plan: Plan | None,
    flop: Callable[[float], float],
    notes: tuple[str, ...] = (),
) -> Use:
    """How the chips of a use were found. flop: of an ask or a run, of parameters at work."""
    time, of = times[on], work.model
    assert time is not None, "it runs on the kind it is counted in"
    likely = work.active.likely if work.active is not None else 0.0
    width = plan.compute if plan is not None else "bf16"
    done = flop(active(of) if of is not None else likely)
    return Use(
        name=name,
        what=what,
        model=of.name if of is not None else "",
        chip_time=times,
        plan=plan,
        peak_share=done / time.likely / peak(chip(on), width),
        notes=notes,
    )
