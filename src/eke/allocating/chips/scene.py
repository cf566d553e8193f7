"""The scene of a choice: all uncertain numbers, and what every way serves where they are so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eke.allocating.chips.inputs import (
    Inputs,
    fixed,
    market_at,
    program_at,
    program_inputs,
    site_at,
    site_inputs,
)
from eke.allocating.chips.question import Question
from eke.allocating.chips.speed import Load, efficiency_inputs, tokens_of
from eke.allocating.chips.ways import Known, way_at, way_inputs
from eke.catalog.nodes import YEAR
from eke.economics.choice import Demand, Scene
from eke.economics.laws import likely, point
from eke.economics.risk import Staged
from eke.errors import BadInput
from eke.physics.ownership import mean_maturity
from eke.types.job import Serve
from eke.types.record import replace

PRODUCED = 4 * YEAR  # for which one's own chips are made, where nobody says


def inputs_of(question: Question, known: Sequence[Known]) -> Inputs:
    """Every number that is not certain, and those that might change. Raises BadInput."""
    file, chip = question.file, question.chip
    found = site_inputs(question.said)
    for each in known:
        found |= way_inputs(each)
    if file is not None and chip is not None:
        found |= program_inputs(file.said, file.node, chip)
        volume = question.volume or file.volume
        if volume is None:
            raise BadInput(
                f"how many chips a year? Give --volume 200k/yr, or build.volume in {file.path}."
            )
        found["volume"] = fixed("volume", volume, "1/s", None)
        found["own_speed"] = fixed("own_speed", 1.0, "1", None)
    return found | efficiency_inputs([each.speed for each in known])


def years_of(question: Question, inputs: Inputs) -> float:
    """Of production of one's own chips, else of serving [s]."""
    said = question.years or (question.file.years if question.file is not None else None)
    if said is not None:
        return said
    return PRODUCED if question.chip is not None else likely(inputs["life"].law)


def staged(question: Question, known: Sequence[Known], inputs: Inputs) -> Staged:
    """The scene where the inputs have some values, or for arrays of cases."""
    return (_serving if question.chip is None else _producing)(question, known, inputs)


def _serving(question: Question, known: Sequence[Known], inputs: Inputs) -> Staged:
    """Every way serves the rate that is asked for."""
    years = years_of(question, inputs)
    rate = _asked(question.loads) * likely(inputs["load"].law)

    def scene(values: Mapping[str, Any]) -> Scene:
        length = years * np.ones_like(values["life"])
        return Scene(
            site=site_at(values),
            market=market_at(values),
            demand=Demand(due=(0.0,), rates=(rate,), length=length),
            volume=1.0,
            against=tuple(way_at(each, values) for each in known),
        )

    return scene


def _producing(question: Question, known: Sequence[Known], inputs: Inputs) -> Staged:
    """Every way serves what a year's volume of one's own chips is planned to, year after year."""
    usual = point(inputs)
    due = tuple(year * YEAR for year in range(max(1, round(years_of(question, inputs) / YEAR))))
    planned = known[0].speed.tokens * usual["load"]
    first, *later = (planned * _maturity(usual, start, usual["life"]) for start in due)

    def scene(values: Mapping[str, Any]) -> Scene:
        build, *others = (way_at(each, values) for each in known)
        rates = (first * values["ramp"], *later)
        return Scene(
            site=site_at(values),
            market=market_at(values),
            demand=Demand(due=due, rates=rates, length=values["life"]),
            volume=values["volume"] * YEAR,
            against=tuple(others),
            build=replace(build, speed=build.speed * values["own_speed"]),
            program=program_at(values),
        )

    return scene


def _asked(loads: Sequence[Load]) -> float:
    """Useful tokens per second at the peak, where chips are whole."""
    job = loads[0].job
    if len(loads) > 1 or not isinstance(job, Serve):
        raise BadInput(
            "a mix of workloads has no rate; it goes with --build, where the volume of chips says "
            "how many tokens there are."
        )
    return job.rate * tokens_of(job)


def _maturity(usual: Mapping[str, float], start: float, length: float) -> float:
    """Share of the speed that software is planned to reach while a cohort is served."""
    return float(
        mean_maturity(
            first=min(usual["software_start"], usual["software"]),
            mature=usual["software"],
            pace=usual["software_time"],
            start=start,
            stop=start + length,
        )
    )


def tokens_at_once(scene: Scene) -> float:
    """Per second in full swing: of all cohorts that are served at once [1/s]."""
    demand, length = scene.demand, float(np.mean(scene.demand.length))
    volume = float(np.mean(scene.volume))
    return max(
        volume
        * sum(
            float(np.mean(rate))
            for due, rate in zip(demand.due, demand.rates, strict=True)
            if due <= at < due + length
        )
        for at in demand.due
    )
