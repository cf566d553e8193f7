"""Quarters by name."""

from __future__ import annotations

import re

from eke.errors import BadFile

_START = re.compile(r"\s*(\d{4})\s*[- ]?\s*(?:[qQ]([1-4])|(\d{2}))\s*\Z")


def quarter_of(text: str, where: str) -> tuple[int, int]:
    """ "2026 Q4" or "2026-11" as a year and a quarter, from 0. Raises BadFile."""
    match = _START.match(text)
    month = int(match[3]) if match and match[3] else 1
    if match is None or not 1 <= month <= 12 or not 1990 <= int(match[1]) <= 2100:
        raise BadFile(f"{where} is {text[:40]!r}; expected a quarter such as 2026 Q4.")
    quarter = int(match[2]) - 1 if match[2] else (month - 1) // 3
    return int(match[1]), quarter


def quarter_name(start: tuple[int, int], after: int) -> str:
    """The name of a quarter so many after the first: "2026 Q4"."""
    year, quarter = divmod(start[0] * 4 + start[1] + after, 4)
    return f"{year} Q{quarter + 1}"


def quarter_date(start: tuple[int, int], after: int) -> str:
    """The first day of a quarter, as an ISO date."""
    year, quarter = divmod(start[0] * 4 + start[1] + after, 4)
    return f"{year}-{3 * quarter + 1:02d}-01"
