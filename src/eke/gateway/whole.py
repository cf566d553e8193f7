"""Whole numbers as clients write them."""

from __future__ import annotations

from eke.gateway.refusal import bad

DIGITS = 15  # that any of them may have; Python itself refuses to read thousands


def whole(name: str, text: str, least: int, most: int) -> int:
    """A number of an address or a form, from `least` to `most`, none below 0. Raises Refusal 400
    naming the field."""
    number = int(text) if text.isdecimal() and len(text) <= DIGITS else -1
    if not least <= number <= most:
        words = f"expected a whole number from {least} to {most}."
        raise bad(f"Invalid '{name}': {words}", name.partition("[")[0])
    return number
