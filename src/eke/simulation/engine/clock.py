"""How long a step takes, and how far a stretch of equal steps gets."""

from __future__ import annotations

from math import ceil, sqrt
from typing import Any

from eke.simulation.engine.compiled import jit
from eke.simulation.engine.layout import (
    BASE,
    CACHED,
    CHUNK,
    DECODE,
    DRAFTS,
    EMITTED,
    EXPERT,
    FACTOR,
    LENGTHS,
    LOGITS,
    MOST,
    N_CACHED,
    N_LENGTHS,
    N_NEW,
    N_TOKENS,
    NEW,
    OTHER,
    OVERLAP_EXPERT,
    OVERLAP_TENSOR,
    OWN,
    PADDED,
    RANKS,
    SEQUENCE,
    TENSOR,
)

FAR = 1 << 60


@jit
def place(table: Any, kind: int, start: int, count: int, value: float) -> int:
    """Index of the last of `count` rising numbers at or below `value`, but not the very last."""
    low, high = 0, count - 1
    while high - low > 1:
        middle = (low + high) // 2
        if table[kind, start + middle] <= value:
            low = middle
        else:
            high = middle
    return low


@jit
def chunk_time(shape: Any, table: Any, kind: int, new: float, cached: float) -> float:
    """Attention core of a chunk of `new` tokens after `cached` ones [s]."""
    news, befores, width = shape[kind, NEW], shape[kind, CACHED], shape[kind, N_CACHED]
    i = place(table, kind, news, shape[kind, N_NEW], new)
    j = place(table, kind, befores, width, cached)
    low, high = table[kind, news + i], table[kind, news + i + 1]
    x = (new - low) / (high - low)
    low, high = table[kind, befores + j], table[kind, befores + j + 1]
    y = (cached - low) / (high - low)
    at = shape[kind, CHUNK] + i * width + j
    front = table[kind, at] + y * (table[kind, at + 1] - table[kind, at])
    at += width
    rear = table[kind, at] + y * (table[kind, at + 1] - table[kind, at])
    return front + x * (rear - front)


@jit
def composed(
    shape: Any, table: Any, kind: int, rows: float, tokens: int, words: int, core: float
) -> float:
    """A step of `tokens` tokens per rank, `rows` of them of decoding sequences, `words` wanted,
    with `core` spent in attention: computing and exchanges with what hides behind them [s]."""
    most = shape[kind, N_TOKENS] - 1
    at, word = min(tokens, most), min(words, most)
    computing = table[kind, shape[kind, BASE] + at] + table[kind, shape[kind, LOGITS] + word] + core
    tensor = table[kind, shape[kind, TENSOR] + at]
    expert = table[kind, shape[kind, EXPERT] + at]
    hidden = table[kind, OVERLAP_TENSOR] * min(tensor, computing)
    also = table[kind, OVERLAP_EXPERT] * min(expert, computing - hidden)
    exchange = tensor + expert + table[kind, shape[kind, OTHER] + at] - hidden - also
    own = table[kind, OWN] + table[kind, SEQUENCE] * rows
    return (computing + exchange + own) * table[kind, FACTOR]


@jit
def rank_rows(shape: Any, kind: int, decoding: int) -> float:
    """Decoding sequences that a rank computes in a step."""
    rows = decoding
    if shape[kind, PADDED] and decoding > 0:
        rows = shape[kind, MOST]
    if rows == 0:
        return 0.0
    return max(rows / shape[kind, RANKS], 1.0)


@jit
def decode_core(shape: Any, table: Any, kind: int, context: float) -> float:
    """Attention core of one decoding sequence with so many tokens in the cache [s]."""
    lengths = shape[kind, LENGTHS]
    i = place(table, kind, lengths, shape[kind, N_LENGTHS], context)
    low, high = table[kind, lengths + i], table[kind, lengths + i + 1]
    at = shape[kind, DECODE] + i
    slope = (table[kind, at + 1] - table[kind, at]) / (high - low)
    return table[kind, at] + (context - low) * slope


@jit
def stretch(
    shape: Any, table: Any, kind: int, decoding: int, context: float, most: int, wanted: float
) -> tuple[int, float]:
    """Steps that only decode: as many as take `wanted` seconds, but `most` of them at most; and the
    time they take [s]. context: tokens in the cache of all `decoding` sequences at the beginning.

    The mean length grows by the tokens a step gives, and between two lengths of the table the time
    of a step with it in a straight line, so the steps up to the next length are a series to be
    added up; but one by one where an exchange is longer than all there is to hide it behind.
    """
    rows = rank_rows(shape, kind, decoding)
    tokens = ceil(rows * (1 + shape[kind, DRAFTS]))
    words = ceil(rows)
    at = min(tokens, shape[kind, N_TOKENS] - 1)
    exchange = table[kind, shape[kind, TENSOR] + at] + table[kind, shape[kind, EXPERT] + at]
    least = table[kind, shape[kind, BASE] + at]
    lengths, count = shape[kind, LENGTHS], shape[kind, N_LENGTHS]
    grows = table[kind, EMITTED]
    length = context / decoding
    steps, spent = 0, 0.0
    while steps < most and spent < wanted:
        i = place(table, kind, lengths, count, length)
        low, high = table[kind, lengths + i], table[kind, lengths + i + 1]
        at = shape[kind, DECODE] + i
        slope = (table[kind, at + 1] - table[kind, at]) / (high - low)
        core = (table[kind, at] + (length - low) * slope) * rows
        first = composed(shape, table, kind, rows, tokens, words, core)
        many = most - steps
        if length < high and i < count - 2:
            many = min(many, ceil((high - length) / grows))
        if least < exchange:
            many = 1
        more = slope * grows * rows * table[kind, FACTOR]
        if many > 1 and series(first, more, many) > wanted - spent:
            many = min(many, steps_within(first, more, wanted - spent))
        spent += series(first, more, many)
        steps += many
        length += many * grows
    return steps, spent


@jit
def series(first: float, more: float, many: int) -> float:
    """Sum of `many` times of which the first is `first` and each next one longer by `more` [s]."""
    return many * first + more * (many * (many - 1.0) / 2.0)


@jit
def steps_within(first: float, more: float, wanted: float) -> int:
    """The fewest steps that take `wanted` seconds or longer."""
    if more < 1e-9 * first:
        many = int(wanted / first)
    else:
        half = first - more / 2.0
        many = int((sqrt(half * half + 2.0 * more * wanted) - half) / more)
    many = max(many, 1)
    while series(first, more, many) < wanted:
        many += 1
    while many > 1 and series(first, more, many - 1) >= wanted:
        many -= 1
    return many
