"""The verb: demand for chips against supply, quarter by quarter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from eke.allocating.forecasts.beside import beside_published, held
from eke.allocating.forecasts.cases import Array, Cases, Uncertain
from eke.allocating.forecasts.grounds import grounds, remarks
from eke.allocating.forecasts.quarters import World, quarter_at, wanted_in
from eke.allocating.forecasts.serving import Inference
from eke.allocating.forecasts.supply import fleet_of, stocks, supply_inputs
from eke.allocating.forecasts.training import Runs
from eke.allocating.forecasts.uses import Wired
from eke.types.forecast import Asked, Forecast, Moves, Quarter

Told = Callable[[int, int, str], None]  # plans made so far, how many there may be, what is next


def forecast(asked: Asked, told: Told | None = None) -> Forecast:
    """Chips, power and money wanted in every quarter, beside what there is. Raises EkeError where
    a model cannot run on the chips it is counted in."""
    uses = _wired(asked, told)
    fleet = fleet_of(asked)
    inputs: dict[str, Uncertain] = {}
    for use in uses:
        inputs |= use.inputs()
    inputs |= supply_inputs(asked, fleet)
    cases = Cases(inputs, asked.samples, asked.seed)
    world = World(asked=asked, fleet=fleet, uses=uses, cases=cases)
    rows = stocks(asked, fleet, cases)
    wanted = [wanted_in(world, index) for index in range(asked.quarters)]
    quarters = tuple(quarter_at(world, index, wanted, rows) for index in range(asked.quarters))
    last = sum(wanted[-1].values())
    shares, together = cases.shares(last)
    return Forecast(
        name=asked.name,
        count_in=asked.count_in,
        quarters=quarters,
        first_short=_first_short(quarters),
        uses=tuple(use.described() for use in uses),
        matters=_moves(cases, last, shares),
        together=together,
        held=held(quarters),
        beside=tuple(
            each for use in asked.demands if use.like for each in beside_published(use.like)
        ),
        grounds=grounds(asked, fleet, uses, inputs),
        remarks=remarks(asked, uses),
        seed=asked.seed,
        samples=asked.samples,
    )


def _wired(asked: Asked, told: Told | None) -> list[Wired]:
    """Every use, planned on every kind of chip."""
    others = tuple(each.chip for each in asked.supplies if each.chip != asked.count_in)
    most = (len(asked.demands) + len(asked.trainings)) * (2 + len(others))
    made = 0

    def tell(words: str) -> None:
        nonlocal made
        if told is not None:
            told(min(made, most - 1), most, words)
        made += 1

    years = (asked.quarters - 1) / 4
    serving = [Inference(each, asked.count_in, others, years, tell) for each in asked.demands]
    return [
        *serving,
        *(Runs(each, asked.count_in, others, years, tell) for each in asked.trainings),
    ]


def _first_short(quarters: Sequence[Quarter]) -> str:
    """The first quarter from which on more is wanted than there is."""
    first = ""
    for quarter in reversed(quarters):
        if quarter.gap is None or quarter.gap.likely <= 0:
            break
        first = quarter.name
    return first


def _moves(cases: Cases, column: Array, shares: dict[str, float]) -> tuple[Moves, ...]:
    """What moves the chips of the last quarter, most first."""
    found = []
    for name in cases.names:
        low, high = cases.ends(column, name)
        if low != high:
            each = cases.inputs[name]
            found.append(
                Moves(
                    name=name,
                    span=each.span,
                    unit=f"{each.unit}/yr" if each.growth else each.unit,
                    low=low,
                    high=high,
                    share=shares.get(name, 0.0),
                )
            )
    return tuple(sorted(found, key=lambda each: -abs(np.log(each.high / each.low))))
