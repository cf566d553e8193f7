"""Axes of dates, and values that hold for a period."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np

from eke.errors import BadInput
from eke.report.axes import Axis, Tick
from eke.report.charts import LEFT, LETTER, RIGHT, WIDE, Across

MOST = 5  # ticks of an axis of dates, about
MONTH = 365.25 / 12  # [days]
STEPS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)  # between ticks [months]
DAYS = (1, 2, 7, 14)  # between ticks of shorter axes [days]


def days(edges: Sequence[date | str]) -> Any:
    """Dates, or ISO texts of them, in days since the year 1, rising. Raises BadInput."""
    try:
        found = [date.fromisoformat(e) if isinstance(e, str) else e for e in edges]
    except ValueError as error:
        raise BadInput(f"periods are bounded by ISO dates such as 2027-01-31: {error}.") from None
    places = np.array([each.toordinal() for each in found], dtype=float)
    if len(places) < 2 or not (np.diff(places) > 0).all():
        raise BadInput(f"{len(places)} dates bound no periods; expected two or more that rise.")
    return places


def over_dates(edges: Sequence[date | str], right: float = RIGHT) -> Across:
    """The axis of dates along the bottom. edges: beginnings of all periods, and the last one's
    end."""
    places = days(edges)
    low, high = float(places[0]), float(places[-1])
    axis = Axis(low=low, high=high, start=LEFT, end=WIDE - right, unit="date")
    told: list[Tick] = []
    for each in _ticks(low, high):
        if _has_room(axis, each, told[-1] if told else None):
            told.append(each)
    return Across(axis=axis, ticks=tuple(told), name=_name(low, high, told), unit="date")


def _has_room(axis: Axis, tick: Tick, before: Tick | None) -> bool:
    """Whether its words fit in the middle below it: not beyond the end, nor into those before."""
    place, half = float(axis.at(tick.value)), LETTER * len(tick.words) / 2
    if before is not None:
        end = float(axis.at(before.value)) + LETTER * len(before.words) / 2
        return end < place - half and place + half <= WIDE
    return place + half <= WIDE


def _ticks(low: float, high: float) -> Iterator[Tick]:
    months = (high - low) / MONTH / MOST
    step = next((each for each in STEPS if each >= months), STEPS[-1])
    if months > 0.6:
        yield from _month_ticks(low, high, step)
        return
    every = next((each for each in DAYS if each >= (high - low) / MOST), DAYS[-1])
    for day in range(int(low), int(high) + 1, every):
        yield Tick(value=day, words=date.fromordinal(day).strftime("%-d %b"))


def _month_ticks(low: float, high: float, step: int) -> Iterator[Tick]:
    """First days of months, whole years where those are far enough apart."""
    begin = date.fromordinal(int(low))
    first = begin.year * 12 + begin.month - 1
    for month in range(first - first % step, first + int((high - low) / MONTH) + 2):
        if month % step or not 1 <= month // 12 <= 9999:
            continue
        day = date(month // 12, month % 12 + 1, 1)
        if low <= day.toordinal() <= high:
            words = day.strftime("%Y" if step % 12 == 0 else "%b %Y")
            yield Tick(value=day.toordinal(), words=words)


def _name(low: float, high: float, told: Sequence[Tick]) -> str:
    """The year, where the ticks do not say it."""
    years = [date.fromordinal(int(each)).year for each in (low, high)]
    if told and told[0].words[-4:].isdigit():
        return ""
    return f"{years[0]}" if years[0] == years[1] else f"{years[0]} – {years[1]}"


def stepped(edges: Sequence[date | str], values: Any) -> tuple[Any, Any]:
    """A value per period as a line of steps: its places and heights. Raises BadInput."""
    places = days(edges)
    heights = np.asarray(values, dtype=float)
    if heights.shape != (len(places) - 1,):
        raise BadInput(f"{heights.size} values for {len(places) - 1} periods; give one for each.")
    return np.repeat(places, 2)[1:-1], np.repeat(heights, 2)
