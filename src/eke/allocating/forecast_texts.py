"""A forecast's file as it is written: every number is a text with its unit, and may be a span."""

from __future__ import annotations

from typing import Any

import msgspec

from eke.types.record import Record

Text = str | int | float


class DemandText(Record):
    """`[demand.NAME]`. from: a published forecast, whose figures stand where none is given."""

    from_: str = msgspec.field(name="from", default="")
    users: Text = ""
    growth: Text = ""
    ceiling: Text = ""
    innovation: Text = ""
    imitation: Text = ""
    asks: Text = ""
    asks_growth: Text = ""
    prompt: Text = ""
    prompt_growth: Text = ""
    answer: Text = ""
    answer_growth: Text = ""
    images: Text = ""
    image_tokens: Text = ""
    sound: Text = ""
    sound_tokens: Text = ""
    reuse: Text = ""
    model: str = ""
    weights: str = ""
    active: Text = ""
    utilisation: Text = ""
    peak_over_mean: Text = ""
    ttft: str = ""
    tpot: str = ""
    efficiency: Text = ""
    price_fall: Text = ""
    elasticity: Text = ""


class TrainingText(Record):
    """`[training.NAME]`."""

    model: str = ""
    active: Text = ""
    utilisation: Text = ""
    tokens: Text = ""
    runs: Text = "1"
    companies: Text = "1"
    companies_growth: Text = ""
    within: Text = ""
    growth: Text = ""
    experiments: Text = ""
    efficiency: Text = ""


class SupplyText(Record):
    """`[supply.CHIP]`."""

    installed: Text = ""
    shipments: Text = ""
    growth: Text = ""
    since: str = ""
    until: str = ""
    retire: Text = ""
    share: Text = ""
    price: Text = ""
    power: Text = ""
    wafers: Text = ""
    wafers_growth: Text = ""
    per_wafer: Text = ""
    wafer_yield: Text = msgspec.field(name="yield", default="")


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


def says(record: Any, name: str) -> bool:
    """Whether the file sets a field."""
    return bool(getattr(record, name) != "")
