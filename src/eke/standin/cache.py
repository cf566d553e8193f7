"""Blocks of the cache: who holds them, and which texts are found in them again.

Full blocks are found by a key of their text and all before it. Those that nobody holds stay until
their room is needed, the longest unused one going first, and of one text its end before its
beginning, as vLLM does it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

KEYS = (1 << 60) - 1  # keys are numbers up to this; blocks without one have numbers below zero


def keys_of(pieces: Sequence[str], block: int, before: int = 0) -> list[int]:
    """Keys of the full blocks of a text cut into tokens. before: key of the block before it."""
    keys = []
    for start in range(0, len(pieces) - block + 1, block):
        before = hash((before, "\0".join(pieces[start : start + block]))) & KEYS
        keys.append(before)
    return keys


class Cache:
    """The blocks of one engine. blocks: how many there are."""

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self._blank = blocks  # never used so far
        self._held: dict[int, int] = {}  # key → how many hold it
        self._idle: OrderedDict[int, None] = OrderedDict()  # held by nobody, longest unused first
        self._unnamed = 0

    @property
    def free(self) -> int:
        """Blocks that nobody holds."""
        return self._blank + len(self._idle)

    def find(self, keys: Sequence[int]) -> tuple[int, int]:
        """How many of these keys are there, from the first one on without a gap, and how many of
        those nobody holds: they count as free until somebody does."""
        found = idle = 0
        for key in keys:
            if key in self._idle:
                idle += 1
            elif key not in self._held:
                break
            found += 1
        return found, idle

    def hold(self, keys: Sequence[int]) -> list[int]:
        """Hold blocks that are there."""
        for key in keys:
            if key in self._held:
                self._held[key] += 1
            else:
                del self._idle[key]
                self._held[key] = 1
        return list(keys)

    def take(self, many: int) -> list[int]:
        """Hold so many more blocks, which must be free; what lay in them is found no more."""
        for _ in range(many):
            if self._blank:
                self._blank -= 1
            else:
                self._idle.popitem(last=False)
        self._unnamed += many
        return [-self._unnamed + i for i in range(many)]

    def name(self, held: list[int], keys: Sequence[int]) -> None:
        """Let the first blocks of a text be found by their keys, unless others with the same
        content are."""
        for place, key in enumerate(keys[: len(held)]):
            if held[place] < 0 and key not in self._held and key not in self._idle:
                self._held[key] = 1
                held[place] = key

    def give_back(self, held: list[int]) -> None:
        """Let go of a text's blocks, the last ones to be used up first."""
        for number in reversed(held):
            many = self._held.pop(number, 1) if number >= 0 else 1
            if many > 1:
                self._held[number] = many - 1
            else:
                self._idle[number] = None
        held.clear()
