"""The question of a published forecast as a forecast of eke's own."""

from __future__ import annotations

import re

from eke.allocating.forecast_file import asked_of
from eke.allocating.forecast_texts import DemandText, ForecastText
from eke.catalog.forecasts import published
from eke.errors import BadInput
from eke.types.forecast import Asked


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
