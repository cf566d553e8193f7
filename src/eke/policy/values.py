"""Reading the names of policies and the values of their settings."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from eke.errors import BadInput, BadQuantity
from eke.units import quantity

_PART = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?:\((.*)\))?\s*\Z", re.S)


def split(text: str, mark: str) -> list[str]:
    """Cut a text at a mark that stands outside parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def part(text: str, whole: str) -> tuple[str, list[str]]:
    """Name and settings: "fair(weights=a:2)" is ("fair", ["weights=a:2"])."""
    match = _PART.match(text)
    if match is None:
        raise BadInput(
            f"policy {whole!r:.80}: {text.strip()!r:.60} is not a name with settings in "
            "parentheses; write it like fair(weights=gold:4+free:1)+promise@least-load."
        )
    return match[1], [each.strip() for each in split(match[2] or "", ",") if each.strip()]


def seconds(text: str) -> float:
    """A duration above 0, or "never" [s]."""
    return math.inf if text.strip() == "never" else _positive(quantity(text, "s"), text)


def above_0(text: str) -> float:
    """A number above 0."""
    return _positive(quantity(text, "1"), text)


def share(text: str) -> float:
    """A share, from 0 to 1."""
    value = quantity(text, "1")
    if not 0 <= value <= 1:
        raise BadQuantity(f"{text!r} is not a share; it must be from 0% to 100%.")
    return value


def weights(text: str) -> dict[str, float]:
    """Numbers above 0 by name: "gold:4+free:1"."""
    return {name: above_0(value) for name, value in _pairs(text.split("+"), "gold:4+free:1")}


def shares(text: str) -> dict[str, float]:
    """Shares by name: "gold:20%+free:5%"."""
    return {name: share(value) for name, value in _pairs(text.split("+"), "gold:20%+free:5%")}


def words(text: str) -> tuple[str, ...]:
    """Names: "batch+eval"."""
    return tuple(word.strip() for word in text.split("+") if word.strip())


def tiers(texts: Sequence[str]) -> dict[float, float]:
    """Shares by length of context: ["8k:90%", "32k:10%"] [tokens]."""
    pairs = _pairs(texts, "8k:90%,32k:10%")
    return {quantity(edge, "token"): share(value) for edge, value in pairs}


def rungs(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Rungs of a ladder with their values: ["short:256", "small:tiny", "refuse"]."""
    found = [(kind.strip(), value.strip()) for kind, _, value in (t.partition(":") for t in texts)]
    for kind, value in found:
        if kind == "short" and not (value.isdecimal() and int(value) > 0):
            raise BadQuantity(f"short:{value} does not say a longest answer, such as short:256.")
    return found


def _positive(value: float, text: str) -> float:
    if value <= 0:
        raise BadQuantity(f"{text!r} must be above 0.")
    return value


def _pairs(texts: Sequence[str], like: str) -> list[tuple[str, str]]:
    """Texts of the form name:value."""
    pairs = [each.partition(":") for each in texts]
    if not all(name.strip() and value.strip() for name, _, value in pairs):
        raise BadQuantity(f"{'+'.join(texts)!r} does not give a number to each name, like {like}.")
    found = [(name.strip(), value.strip()) for name, _, value in pairs]
    if len({name for name, _ in found}) < len(found):
        raise BadQuantity(f"{'+'.join(texts)!r} gives two numbers to the same name.")
    return found
