"""Sequences in flight: those that give a token per step, and those whose prompt is taken in."""

from __future__ import annotations

from math import ceil

from eke.simulation.engine.blocks import blocks_for, drop_row, free, name_row
from eke.simulation.engine.clock import FAR
from eke.simulation.engine.compiled import jit
from eke.simulation.engine.layout import (
    ADMITTED,
    ANSWER,
    BLOCK,
    CONTEXT,
    CROSSING,
    DECODING,
    DONE,
    DRAFTS,
    EMITTED,
    FILLING,
    KIND,
    LAST,
    MADE,
    NEED,
    NUMBER,
    PROMPT,
    REQUEST,
    ROW,
    SINCE,
    SLOTS,
    SOONEST,
    STATIC,
    STEPS,
    TAKES,
    World,
)


@jit
def reserved(w: World, r: int, request: int, stored: int) -> int:
    """Blocks a sequence holds with `stored` tokens in the cache: those, or where a step gives
    several tokens all it will ever need, since it is not known when each is filled."""
    kind = w.num[r, KIND]
    tokens = stored
    if w.shape[kind, DRAFTS] > 0:
        tokens = w.count[request, PROMPT] + w.count[request, ANSWER]
    return blocks_for(tokens, w.shape[kind, BLOCK])


@jit
def begin_filling(
    w: World, r: int, request: int, need: int, done: int, takes: int, row: int
) -> None:
    """One more sequence whose prompt is taken in."""
    at = w.num[r, FILLING]
    w.fill[REQUEST, r, at], w.fill[NEED, r, at] = request, need
    w.fill[DONE, r, at], w.fill[TAKES, r, at] = done, takes
    w.fill[NUMBER, r, at], w.fill[ROW, r, at] = w.num[r, ADMITTED], row
    w.num[r, ADMITTED] += 1
    w.num[r, FILLING] += 1


@jit
def end_filling(w: World, r: int, at: int) -> None:
    """Close the gap that a sequence leaves; their order is that of admission."""
    last = w.num[r, FILLING] - 1
    for i in range(at, last):
        for field in range(SLOTS):
            w.fill[field, r, i] = w.fill[field, r, i + 1]
    w.num[r, FILLING] = last


@jit
def begin_decoding(w: World, r: int, request: int, made: int, number: int, row: int) -> None:
    """One more sequence that gives tokens, `made` of which are there already."""
    kind, at, steps = w.num[r, KIND], w.num[r, DECODING], w.num[r, STEPS]
    left = w.count[request, ANSWER] - made
    if w.shape[kind, DRAFTS] > 0:
        left = ceil(left / w.table[kind, EMITTED])
    w.slot[REQUEST, r, at], w.slot[LAST, r, at] = request, steps + left
    w.slot[SINCE, r, at], w.slot[MADE, r, at] = steps, made
    w.slot[NUMBER, r, at], w.slot[ROW, r, at] = number, row
    w.num[r, DECODING] = at + 1
    w.num[r, SOONEST] = min(w.num[r, SOONEST], steps + left)
    stored = w.count[request, PROMPT] + made - 1
    w.flt[r, CONTEXT] += stored
    if w.shape[kind, DRAFTS] == 0:
        w.num[r, CROSSING + (stored - steps) % w.shape[kind, BLOCK]] += 1


@jit
def made_by(w: World, r: int, at: int) -> int:
    """Tokens that a decoding sequence has given so far."""
    kind = w.num[r, KIND]
    steps = w.num[r, STEPS] - w.slot[SINCE, r, at]
    more = steps
    if w.shape[kind, DRAFTS] > 0:
        more = int(steps * w.table[kind, EMITTED])
    return min(w.slot[MADE, r, at] + more, w.count[w.slot[REQUEST, r, at], ANSWER])


@jit
def end_decoding(w: World, r: int, at: int) -> int:
    """Take a decoding sequence out and its blocks back; the tokens it has given."""
    kind, request, row = w.num[r, KIND], w.slot[REQUEST, r, at], w.slot[ROW, r, at]
    made = made_by(w, r, at)
    stored = w.count[request, PROMPT] + made - 1
    name_row(w, r, row, request, stored)
    free(w, r, row, reserved(w, r, request, stored))
    drop_row(w, r, row)
    if w.shape[kind, STATIC] == 0:
        w.flt[r, CONTEXT] -= grown(w, r, at)
    if w.shape[kind, DRAFTS] == 0:
        w.num[r, CROSSING + (stored - w.num[r, STEPS]) % w.shape[kind, BLOCK]] -= 1
    last = w.num[r, DECODING] - 1
    for field in range(SLOTS):
        w.slot[field, r, at] = w.slot[field, r, last]
    w.num[r, DECODING] = last
    if last == 0:
        w.flt[r, CONTEXT] = 0.0  # no dust of rounding stays
    return made


@jit
def grown(w: World, r: int, at: int) -> float:
    """What a sequence has added to CONTEXT since it began to decode [tokens]."""
    steps = w.num[r, STEPS] - w.slot[SINCE, r, at]
    begun = w.count[w.slot[REQUEST, r, at], PROMPT] + w.slot[MADE, r, at] - 1
    return begun + steps * w.table[w.num[r, KIND], EMITTED]


@jit
def find_soonest(w: World, r: int) -> None:
    """When the first of the decoding sequences ends."""
    soonest = FAR
    for at in range(w.num[r, DECODING]):
        soonest = min(soonest, w.slot[LAST, r, at])
    w.num[r, SOONEST] = soonest


@jit
def drop_filling(w: World, r: int, at: int) -> None:
    """Take a sequence whose prompt is being taken in out, and its blocks back."""
    request, row = w.fill[REQUEST, r, at], w.fill[ROW, r, at]
    done = w.fill[DONE, r, at]
    name_row(w, r, row, request, done)
    free(w, r, row, reserved(w, r, request, done + w.fill[TAKES, r, at]))
    drop_row(w, r, row)
    end_filling(w, r, at)
