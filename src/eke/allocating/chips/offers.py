"""Parts of an answer about buying, renting and building: offers, grounds and remarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eke.allocating.chips.inputs import Inputs
from eke.allocating.chips.speed import Load
from eke.allocating.chips.ways import Known
from eke.catalog.efficiencies import efficiencies
from eke.economics.choice import Bill
from eke.economics.laws import ground_of
from eke.economics.risk import interval
from eke.types.job import Serve
from eke.types.need import Ground
from eke.types.silicon import Offer


def offer_of(known: Known, bill: Bill, served: float, cost: Any, cheapest: float) -> Offer:
    """One way. served: useful tokens, discounted.  cost: of one, in each case drawn.  cheapest:
    share of the cases in which none costs less."""
    million = 1e6 / served
    parts = {name: float(part) * million for name, part in bill.parts.items() if float(part) != 0}
    moved = [max(abs(low), abs(high)) for low, high in known.speed.moves.values()]
    factor = float(np.exp(np.sqrt(np.sum(np.square(moved)))))
    tokens = known.speed.tokens
    return Offer(
        name=known.named.name,
        how=known.named.how,
        chip=known.chip.id,
        cost=interval(np.asarray(cost) * 1e6, float(bill.total) * million),
        parts=dict(sorted(parts.items(), key=lambda row: -row[1])),
        speed=interval(np.array([tokens / factor, tokens * factor]), tokens),
        chips=float(bill.chips),
        unit={name: float(part) for name, part in bill.unit.items()},
        plans=tuple(found.need.plan for found in known.speed.plans),
        cheapest=cheapest,
    )


def grounds_of(inputs: Inputs, known: Sequence[Known]) -> tuple[Ground, ...]:
    """Everything the answer rests on."""
    rows = [ground_of(each) for each in inputs.values() if each.unit != "sd"]
    for each in known:
        for name in ("memory_size", "memory_speed", "power"):
            fact = each.chip.facts.get(name)
            if fact is not None:
                rows.append(
                    Ground(
                        name=f"{name} of {each.chip.id}",
                        value=fact.value,
                        unit=fact.unit,
                        kind=fact.kind,
                        source=fact.source,
                        note=fact.note,
                    )
                )
    moved = [each for each in inputs.values() if each.unit == "sd"]
    rows += [ground_of(each) for each in moved]
    return tuple({row.name: row for row in rows}.values())


def _measured(known: Known) -> bool:
    """Whether anything of the chip's family was measured running."""
    family = known.chip.family
    kinds = ("measured", "fitted")
    return any(v.family == family and v.kind in kinds for v in efficiencies(family).values())


def remarks_of(
    loads: Sequence[Load], build: bool, known: Sequence[Known], missing: bool
) -> tuple[str, ...]:
    """What the answer takes for granted. missing: whether some cannot."""
    found = ["useful tokens are those of prompts and of answers, served within what is promised"]
    jobs = [load.job for load in loads]
    if any(isinstance(job, Serve) and job.ttft is None and job.tpot is None for job in jobs):
        found.append(
            "no time is promised to users, so every chip is filled as far as memory goes; give "
            "ttft and tpot where people wait"
        )
    if build:
        found.append(
            "what is bought later is taken at the price and the power the same performance then "
            "has (price_trend, energy_trend); own: and one's own chips stay as designed"
        )
        found.append(
            "until the first chips are planned every way serves alike, which is not in it; from "
            "then on the cheapest of the others stands in for late ones (waiting)"
        )
    strangers = dict.fromkeys(each.chip.id for each in known if not _measured(each))
    if strangers:
        found.append(
            f"nobody has published measurements of {', '.join(strangers)} under load: the speed "
            "rests on what any chip reaches, and its span is wide"
        )
    if missing:
        found.append("what cannot is judged by the likeliest values; at better ones it might just")
    if any(each.named.how == "own" for each in known):
        found.append("own: is what the chip costs to make, its design paid for already")
    return tuple(found)
