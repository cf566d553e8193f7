"""A forecast's file read and checked; every error names the file and the field."""

from __future__ import annotations

import re
from pathlib import Path as File

from eke.allocating.forecasts.demands import DemandText, demand_of
from eke.allocating.forecasts.lines import (
    Lines,
    SupplyText,
    Text,
    TrainingText,
    supply_of,
    training_of,
)
from eke.catalog.chips import chip
from eke.catalog.files import read_toml
from eke.catalog.forecasts import published
from eke.catalog.spans import quarter_of, spanned
from eke.errors import BadFile, BadInput, EkeError
from eke.types.forecast import Asked
from eke.types.need import Span
from eke.types.record import Record

MOST_QUARTERS, MOST_SAMPLES = 80, 100_000
ELECTRICITY = "0.0826 USD/kWh (0.05..0.12)"


class CapsText(Record):
    """`[caps]`."""

    power: Text = ""
    budget: Text = ""


class ForecastText(Record):
    """The file."""

    start: str
    name: str = ""
    quarters: int = 8
    count_in: str = ""
    seed: int = 1
    samples: int = 4000
    electricity: Text = ""
    demand: dict[str, DemandText] = {}
    training: dict[str, TrainingText] = {}
    supply: dict[str, SupplyText] = {}
    caps: CapsText = CapsText()


def read_forecast(path: str | File) -> Asked:
    """The question of a file. Raises BadFile."""
    return asked_of(read_toml(File(path), ForecastText), str(path))


def asked_of(text: ForecastText, file: str) -> Asked:
    """The question that the texts ask. file: named in errors."""
    start = quarter_of(text.start, f"{file}: start")
    if not 1 <= text.quarters <= MOST_QUARTERS:
        raise BadFile(f"{file}: quarters is {text.quarters}; expected 1 to {MOST_QUARTERS}.")
    if not 100 <= text.samples <= MOST_SAMPLES:
        raise BadFile(f"{file}: samples is {text.samples}; expected 100 to {MOST_SAMPLES:,}.")
    if not 0 <= text.seed < 2**32:
        raise BadFile(f"{file}: seed is {text.seed}; expected 0 to {2**32 - 1}.")
    if not text.demand and not text.training:
        raise BadFile(f"{file}: nobody wants chips; expected [demand.NAME] or [training.NAME].")
    twice = next((name for name in text.demand if name in text.training), None)
    if twice is not None:
        raise BadFile(
            f"{file}: training.{twice}: a demand has that name too; give one of them another."
        )
    lines = Lines(file, start)
    supplies = tuple(supply_of(lines, name, each) for name, each in text.supply.items())
    kinds = [each.chip for each in supplies]
    twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
    if twice is not None:
        raise BadFile(f"{file}: supply: {twice} stands twice under two names; give it once.")
    return Asked(
        name=text.name or File(file).stem,
        file=file,
        start=start,
        quarters=text.quarters,
        count_in=_count_in(text, kinds, file),
        demands=tuple(demand_of(lines, name, each) for name, each in text.demand.items()),
        trainings=tuple(training_of(lines, name, each) for name, each in text.training.items()),
        supplies=supplies,
        power=_cap(text.caps.power, "W", f"{file}: caps.power"),
        budget=_cap(text.caps.budget, "USD/s", f"{file}: caps.budget"),
        electricity=spanned(text.electricity or ELECTRICITY, "USD/J", f"{file}: electricity"),
        seed=text.seed,
        samples=text.samples,
        given=frozenset(lines.given | ({"electricity"} if text.electricity != "" else set())),
        narrowed=tuple(lines.narrowed),
    )


def _cap(text: object, unit: str, where: str) -> Span | None:
    return None if text == "" else spanned(text, unit, where)


def _count_in(text: ForecastText, kinds: list[str], file: str) -> str:
    """The kind of chip in which demand is told: as said, or the first of the supply."""
    if not text.count_in and kinds:
        return kinds[0]
    try:
        return chip(text.count_in or "h100-sxm").id
    except EkeError as error:
        raise BadFile(f"{file}: count_in: {error}") from None


def asked_like(name: str) -> Asked:
    """Who asked then how much, of which model and on which chip. Raises BadInput for a forecast
    that does not tell."""
    of = published(name)
    if of.same is None or of.of != "serving":
        raise BadInput(
            f"{of.id} names no model that is served, so eke has no question to answer; "
            "semianalysis-2023 is one that does."
        )
    month = re.match(r"\d{4}(-\d\d)?", of.when)
    text = ForecastText(
        name=of.title,
        start=month[0] if month and month[1] else f"{of.when[:4]} Q1",
        quarters=1,
        count_in=of.same.chip,
        demand={"asks": DemandText(from_=of.id)},
    )
    return asked_of(text, f"--like {of.id}")
