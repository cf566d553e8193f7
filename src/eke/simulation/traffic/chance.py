"""Everything drawn: the same seed gives the same bytes, however the stream is cut.

Each purpose has its own stream of numbers, so that a change in one, such as other tenants, leaves
the rest, such as the times, as they were: policies can be compared on the same luck.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PURPOSES = (
    *("times", "turns", "calls", "text", "answer", "think", "result", "call", "pause", "tier"),
    *("documents", "rewrite", "sound", "recognition", "synthesis", "spread", "keep", "tenant"),
    *("clients", "lengths", "work", "first"),
)


def stream(seed: int, part: int, purpose: str, block: int = 0) -> np.random.Generator:
    """The numbers for one purpose in one block of one part of a traffic."""
    key = (part, PURPOSES.index(purpose), block)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def noise(seed: int, part: int, purpose: str, numbers: Any) -> Any:
    """A number in [0, 1) for each of these numbers, whichever others are asked for with it."""
    key = np.random.SeedSequence(seed, spawn_key=(part, PURPOSES.index(purpose)))
    mixed = np.asarray(numbers).astype(np.uint64) + key.generate_state(1, np.uint64)[0]
    mixed = (mixed + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)) * 2.0**-53
