"""Budgets and rates in words, such as "10M tokens/day" or "600 requests/min"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import inf

from eke.errors import BadInput, BadQuantity
from eke.gateway.settings import PERIODS, Counted, Limit
from eke.units import quantity

_LIKE = '"10M tokens/day", "500 USD/month", "40 chip-hours/month" or "600 requests/min"'
_KINDS: dict[str, tuple[Counted, str, float]] = {
    "token": ("tokens", "1", 1.0),
    "tokens": ("tokens", "1", 1.0),
    "request": ("requests", "1", 1.0),
    "requests": ("requests", "1", 1.0),
    "USD": ("USD", "1", 1.0),
    "chip-hour": ("seconds", "1", 3600.0),
    "chip-hours": ("seconds", "1", 3600.0),
    "chip-second": ("seconds", "1", 1.0),
    "chip-seconds": ("seconds", "1", 1.0),
}
_WORDS = {"s": "second", "sec": "second", "minute": "min", "h": "hour", "d": "day"}
_SHAPE = re.compile(r"\s*([\d.,_]+\s*[kKMBGT]?)\s*([A-Za-z-]+)\s*(?:/\s*(\w+))?\s*\Z")


def limits_of(texts: Sequence[str], where: str) -> tuple[Limit, ...]:
    """The limits that texts say, no two of the same thing in the same time. Raises BadInput."""
    found: dict[str, Limit] = {}
    for text in texts:
        limit = limit_of(text, where)
        other = found.setdefault(limit.name, limit)
        if other is not limit:
            raise BadInput(
                f"{where} limits: {other.words!r} and {limit.words!r} limit the same twice; leave "
                "one of them out."
            )
    return tuple(found.values())


def limit_of(text: str, where: str) -> Limit:
    """The limit that a text says. where: for messages.  Raises BadInput."""
    match = _SHAPE.match(text)
    if match is None or match[2] not in _KINDS:
        raise BadInput(f"{where} limits: {text!r:.60} is none; write {_LIKE}.")
    what, unit, factor = _KINDS[match[2]]
    period = inf
    if match[3]:
        word = _WORDS.get(match[3], match[3])
        if word not in PERIODS:
            raise BadInput(
                f"{where} limits: {text!r:.60} is per {', '.join(PERIODS)}, or for ever."
            )
        period = PERIODS[word]
    try:
        amount = quantity(match[1], unit) * factor
    except BadQuantity as error:
        raise BadInput(f"{where} limits: {text!r:.60}: {error}") from None
    if amount <= 0:
        raise BadInput(f"{where} limits: {text!r:.60} must be above 0.")
    per = f"/{match[3]}" if match[3] else ""
    words = f"{''.join(match[1].split())} {match[2]}{per}"
    return Limit(what=what, amount=amount, period=period, text=words)
