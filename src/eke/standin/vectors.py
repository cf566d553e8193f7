"""Embeddings: a unit vector for each text, drawn from the text."""

from __future__ import annotations

import sys
from array import array
from base64 import b64encode
from hashlib import shake_128
from math import sqrt


def vector(number: int, size: int) -> list[float]:
    """A vector of length 1, the same for the same number; a shorter one is drawn alike."""
    drawn = array("h", shake_128(f"{number}".encode()).digest(2 * size))
    if sys.byteorder == "big":
        drawn.byteswap()
    length = sqrt(sum(each * each for each in drawn)) or 1.0
    return [each / length for each in drawn]


def packed(values: list[float]) -> str:
    """As base64 of little-endian 32-bit floats."""
    numbers = array("f", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode()
