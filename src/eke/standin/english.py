"""Answers: English sentences about making scarce chips last, drawn from a number.

The same number gives the same sentences, and a shorter answer is the beginning of a longer one. All
pieces are those of `tokens`, so that an answer has as many tokens as it was asked to have.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import count
from math import exp
from statistics import NormalDist

from eke.standin.tokens import pieces

MEDIAN = 180.0  # tokens of an answer, as chats have them
SPREAD = 0.7  # standard deviation of the logarithm of its length
WHO = (
    *("The scheduler", "A patient queue", "One careful plan", "The gateway", "A small cluster"),
    *("The night shift", "Every spare slot", "A shared cache", "The batch lane", "Our forecast"),
    *("A modest fleet", "The oldest card", "A fair share", "The next request", "A good layout"),
    *("The budget", "Each idle chip", "A shorter prompt", "The slow link", "A wider batch"),
)
DOES = (
    *("keeps", "saves", "stretches", "shares out", "measures", "holds back", "counts", "rations"),
    *("borrows", "returns", "spreads", "protects", "trades", "lends", "gathers", "smooths"),
)
WHAT = (
    *("a few chips", "the last free blocks", "some memory for later", "an hour of quiet"),
    *("the tokens that matter", "a little bandwidth", "the work of many", "one more user"),
    *("what the peak would waste", "the warm cache", "half of the power", "a place in the line"),
    *("the promises of the day", "more than it seems", "the long answers", "every second step"),
)
SO = (
    *("while others wait", "so that nobody starves", "before the rush begins", "at a lower price"),
    *("without a new order", "until the links are idle", "and tells everyone why", "step by step"),
    *("as long as the racks stay cool", "with room for a surprise", "when demand is high"),
    *("because supply is short", "and nothing is lost", "in the order of need", "for one more day"),
)
PARTS = tuple(tuple(tuple(pieces(f" {words}")) for words in kind) for kind in (WHO, DOES, WHAT, SO))
STOP = (".",)


def number_of(text: str) -> int:
    """The number that a text stands for, the same on every machine."""
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def usual_length(number: int, median: float = MEDIAN) -> int:
    """How many tokens an answer wants to have: about log-normal."""
    share = ((number >> 16 & 0xFFFF) + 0.5) / 0x10000
    return max(round(median * exp(SPREAD * NormalDist().inv_cdf(share))), 1)


def spoken(number: int, least: int, most: int) -> list[str]:
    """Whole sentences of `least` tokens or more, but cut at `most`."""
    said: list[str] = []
    wanted = min(least, most)
    for sentence in _sentences(number):
        said += sentence
        if len(said) >= wanted:
            break
    return [said[0].lstrip(), *said[1:most]]


def _sentences(number: int) -> Iterator[tuple[str, ...]]:
    """Sentences without an end, in pieces."""
    for block in count():
        drawn = iter(blake2b(f"{number}/{block}".encode()).digest())
        for chosen in zip(drawn, drawn, drawn, drawn, strict=True):
            who, does, what, so = (
                kind[i % len(kind)] for kind, i in zip(PARTS, chosen, strict=True)
            )
            yield (*who, *does, *what, *so, *STOP)
