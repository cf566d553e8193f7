"""Numbers with their 80 % interval, as people write them: "10M (5M..20M)" or "10M ± 30%"."""

from __future__ import annotations

import math
import re

from eke.errors import BadFile, BadQuantity
from eke.types.need import Span
from eke.units import quantity

HOW = 'such as "10M", "10M (5M..20M)", "10M ± 30%" or "5M..20M"'
_BRACKETS = re.compile(r"(?P<likely>[^()]+?)\s*\((?P<low>[^()]+?)\.\.(?P<high>[^()]+?)\)\s*\Z")
_AROUND = re.compile(r"(?P<likely>.+?)\s*(?:±|\+/-|\+-)\s*(?P<by>.+?)\s*\Z")
_ENDS = re.compile(r"(?P<low>[^()]+?)\.\.(?P<high>[^()]+?)\Z")
_QUARTER = re.compile(r"\s*(\d{4})\s*[- ]?\s*(?:[qQ]([1-4])|(\d{2}))\s*\Z")
_NUMBER = re.compile(r"\s*[+-]?[\d_,.]+(?:[eE][+-]?\d+)?\s*\Z")
_LONGEST = 100
SMALLEST, LARGEST = 1e-30, 1e40  # in base units; no real quantity is beyond


def spanned(text: object, unit: str, where: str, least: float | None = None) -> Span:
    """The span that a text says, in base units. Raises BadFile that names `where`, the file and
    the field. least: what no end may lie below; None wants all above zero."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = f"{text:.17g}"
    if not isinstance(text, str) or not text.strip():
        raise BadFile(f"{where} is {text!r:.60}; expected a text {HOW}.")
    if len(text) > _LONGEST:
        raise BadFile(f"{where} has {len(text)} letters; expected a text {HOW}.")
    if unit == "1/s" and "/" not in text:
        raise BadFile(f"{where} is {text!r}: per what time? Write it such as 100k/yr or 3/day.")
    try:
        found = _read(text.strip(), unit)
    except BadQuantity as error:
        raise BadFile(f"{where}: {error}") from None
    return _checked(found, text, where, least)


def _read(text: str, unit: str) -> Span:
    if match := _BRACKETS.match(text):
        suffix = re.sub(r"^\s*[+-]?[\d_,.]+(?:[eE][+-]?\d+)?", "", match["likely"])
        low, high = (_end(match[name], suffix, unit) for name in ("low", "high"))
        return Span(low=low, likely=quantity(match["likely"], unit), high=high)
    if match := _AROUND.match(text):
        likely = quantity(match["likely"], unit)
        by = match["by"]
        share = by.endswith("%") and not match["likely"].rstrip().endswith("%")
        off = abs(likely) * quantity(by, "1") if share else quantity(by, unit)
        return Span(low=likely - off, likely=likely, high=likely + off)
    if match := _ENDS.match(text):
        suffix = re.sub(r"^\s*[+-]?[\d_,.]+(?:[eE][+-]?\d+)?", "", match["high"])
        low, high = (_end(match[name], suffix, unit) for name in ("low", "high"))
        middle = math.sqrt(low * high) if low > 0 and high > 0 else (low + high) / 2
        return Span(low=low, likely=middle, high=high)
    value = quantity(text, unit)
    return Span(low=value, likely=value, high=value)


def _end(text: str, suffix: str, unit: str) -> float:
    """One end, which may leave out the unit that its neighbour names, or its "/day"."""
    if _NUMBER.match(text) and unit not in ("1", "token"):
        return quantity(text + suffix, unit)
    if "/" in suffix and "/" not in text:
        return quantity(text + suffix[suffix.index("/") :], unit)
    return quantity(text, unit)


def yearly(text: object, where: str) -> Span:
    """Growth a year as a share: "40%/yr", "2x/yr (1.5x..3x)", "-20%/yr". Raises BadFile."""
    if not isinstance(text, str):
        raise BadFile(f"{where} is {text!r:.60}; expected growth such as 40%/yr or 2x/yr.")
    share = re.sub(r"\s*/\s*(yr|year)\b", "", text)
    if "/" in share:
        raise BadFile(f"{where} is {text[:60]!r}: growth is by the year, such as 40%/yr or 2x/yr.")
    share = re.sub(r"(\d+(?:\.\d+)?)\s*x\b", lambda m: f"{100 * float(m[1]) - 100:.10g}%", share)
    found = spanned(share, "1", where, least=-0.99)
    if found.high > 1e4:
        raise BadFile(f"{where} is {text[:60]!r}: nothing grows that fast; write it as 40%/yr.")
    return found


def paced(text: object, where: str) -> Span:
    """A rate that may be by the quarter: "230k/quarter". Raises BadFile."""
    if isinstance(text, str) and re.search(r"/\s*quarter\b", text):
        found = spanned(re.sub(r"/\s*quarter\b", "/month", text), "1/s", where, least=0.0)
        return Span(low=found.low / 3, likely=found.likely / 3, high=found.high / 3)
    return spanned(text, "1/s", where, least=0.0)


def quarter_of(text: str, where: str) -> tuple[int, int]:
    """ "2026 Q4" or "2026-11" as a year and a quarter, from 0. Raises BadFile."""
    match = _QUARTER.match(text)
    month = int(match[3]) if match and match[3] else 1
    if match is None or not 1 <= month <= 12 or not 1990 <= int(match[1]) <= 2100:
        raise BadFile(f"{where} is {text[:40]!r}; expected a quarter such as 2026 Q4.")
    quarter = int(match[2]) - 1 if match[2] else (month - 1) // 3
    return int(match[1]), quarter


def _checked(found: Span, text: str, where: str, least: float | None) -> Span:
    ends = (found.low, found.likely, found.high)
    if not found.low <= found.likely <= found.high:
        raise BadFile(
            f"{where} is {text!r}: the likeliest, {found.likely:g}, does not lie between "
            f"{found.low:g} and {found.high:g}; write it {HOW}."
        )
    if least is None and min(ends) <= 0:
        raise BadFile(f"{where} is {text!r}; it must be above zero, its lower end too.")
    if least is not None and min(ends) < least:
        raise BadFile(f"{where} is {text!r}; it must not lie below {least:g}.")
    if max(map(abs, ends)) > LARGEST or 0 < min(map(abs, ends)) < SMALLEST:
        size = "large" if max(map(abs, ends)) > LARGEST else "small"
        raise BadFile(f"{where} is {text!r}; that is too {size} to be real.")
    return found
