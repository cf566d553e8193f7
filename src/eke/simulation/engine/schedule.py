"""What an engine's next step does, as vLLM v1 decides it.

Sequences in flight go first: each that decodes gets its next token, one whose prompt is only partly
taken in its next chunk. What is left of the token budget goes to those that wait, in their order,
until one does not fit. Where the cache has no block left for a sequence in flight, the one admitted
last loses its place, and nobody is admitted in that step.
"""

from __future__ import annotations

from math import ceil, inf, isnan

from eke.simulation.engine.blocks import blocks_for, hold, match, matched_free, new_row, take
from eke.simulation.engine.clock import FAR, chunk_time, composed, decode_core, rank_rows, stretch
from eke.simulation.engine.compiled import jit
from eke.simulation.engine.layout import (
    ADMITTED,
    ARRIVED,
    BLOCK,
    BUDGET,
    CLASS,
    CLOCK,
    CONTEXT,
    CROSSING,
    DECODING,
    DONE,
    DRAFTS,
    ENCODING,
    END,
    EXTRA,
    FILLING,
    FREE,
    HIT,
    JUMPS,
    KIND,
    LAG,
    MOST,
    NEED,
    NONE,
    NUMBER,
    ORDERED,
    PENDING,
    PREEMPTED,
    PREEMPTIONS,
    PROMPT,
    RANKS,
    REQUEST,
    ROW,
    ROWS,
    SCHEDULED,
    SOONEST,
    STAGES,
    STATIC,
    STEPS,
    STORED,
    SWAP,
    SWAPS,
    TAKES,
    TOKENS,
    World,
)
from eke.simulation.engine.queue import first, push_front, remove
from eke.simulation.engine.slots import (
    begin_decoding,
    begin_filling,
    drop_filling,
    end_decoding,
    find_soonest,
    reserved,
)


@jit
def decide(w: World, r: int) -> None:
    """Decide on the next steps of a replica, from CLOCK on."""
    kind = w.num[r, KIND]
    static = w.shape[kind, STATIC] != 0
    preempted = w.num[r, PREEMPTIONS]
    make_room(w, r)
    budget = w.shape[kind, BUDGET] * w.shape[kind, RANKS]
    if not (static and w.num[r, FILLING] > 0):
        budget -= w.num[r, DECODING] * (1 + w.shape[kind, DRAFTS])
    budget = go_on_filling(w, r, budget)
    idle = w.num[r, DECODING] + w.num[r, FILLING] == 0
    admits = w.num[r, PREEMPTIONS] == preempted or idle
    if admits:
        admit(w, r, budget)
    w.num[r, PENDING], w.flt[r, END] = 0, inf
    if w.num[r, FILLING] > 0:
        mixed_step(w, r)
    elif w.num[r, DECODING] > 0:
        decode_steps(w, r, not admits)


@jit
def crossing(w: World, r: int, ahead: int) -> int:
    """Blocks that decoding sequences newly need `ahead` steps from now, one step's worth."""
    block = w.shape[w.num[r, KIND], BLOCK]
    return w.num[r, CROSSING + (-(w.num[r, STEPS] + ahead)) % block]


@jit
def make_room(w: World, r: int) -> None:
    """Preempt until every decoding sequence has a block for its next token."""
    if w.num[r, FILLING] > 0 and w.shape[w.num[r, KIND], STATIC] != 0:
        return
    while crossing(w, r, 0) > w.num[r, FREE]:
        preempt_last(w, r)


@jit
def preempt_last(w: World, r: int) -> int:
    """Take its place from the sequence that should lose it first; which request it is."""
    ordered = w.shape[w.num[r, KIND], ORDERED] != 0
    worst, line, late = -1, -1, -1.0
    filling = False
    for at in range(w.num[r, DECODING]):
        request = w.slot[REQUEST, r, at]
        rank, since = 0, float(w.slot[NUMBER, r, at])
        if ordered:
            rank, since = w.count[request, CLASS], w.times[request, ARRIVED]
        if rank > line or (rank == line and since > late):
            worst, line, late = at, rank, since
    for at in range(w.num[r, FILLING]):
        request = w.fill[REQUEST, r, at]
        rank, since = 0, float(w.fill[NUMBER, r, at])
        if ordered:
            rank, since = w.count[request, CLASS], w.times[request, ARRIVED]
        if rank > line or (rank == line and since > late):
            worst, line, late, filling = at, rank, since, True
    return preempt(w, r, worst, filling)


@jit
def preempt(w: World, r: int, at: int, filling: bool) -> int:
    """Take a sequence's place away and put it back into the queue, in front."""
    kind = w.num[r, KIND]
    if filling:
        request = w.fill[REQUEST, r, at]
        drop_filling(w, r, at)
    else:
        request = w.slot[REQUEST, r, at]
        made = end_decoding(w, r, at)
        find_soonest(w, r)
        w.count[request, TOKENS] = made
        if w.shape[kind, SWAPS] != 0:
            stored = w.count[request, PROMPT] + made - 1
            w.count[request, STORED] = stored
            w.flt[r, EXTRA] += blocks_for(stored, w.shape[kind, BLOCK]) * w.table[kind, SWAP]
    w.count[request, PREEMPTED] += 1
    w.num[r, PREEMPTIONS] += 1
    push_front(w, r, request)
    return request


@jit
def go_on_filling(w: World, r: int, budget: int) -> int:
    """The next chunk of every prompt that is only partly taken in; the budget that is left."""
    kind, at = w.num[r, KIND], 0
    block = w.shape[kind, BLOCK]
    while at < w.num[r, FILLING]:
        done = w.fill[DONE, r, at]
        takes = min(w.fill[NEED, r, at] - done, max(budget, 0))
        more = blocks_for(done + takes, block) - blocks_for(done, block)
        if w.shape[kind, DRAFTS] > 0:
            more = 0
        request, gone = w.fill[REQUEST, r, at], False
        while more > w.num[r, FREE] - crossing(w, r, 0) and not gone:
            gone = preempt_last(w, r) == request
            if not gone and (at >= w.num[r, FILLING] or w.fill[REQUEST, r, at] != request):
                at -= 1  # an earlier one left
        if gone:
            break
        w.fill[TAKES, r, at] = takes
        take(w, r, w.fill[ROW, r, at], more)
        budget -= takes
        at += 1
    return budget


@jit
def admit(w: World, r: int, budget: int) -> None:
    """Take waiting requests in, in their order, as far as places, budget and cache go."""
    kind = w.num[r, KIND]
    most, static = w.shape[kind, MOST], w.shape[kind, STATIC] != 0
    if static and w.num[r, DECODING] + w.num[r, FILLING] > 0:
        return
    while (budget > 0 or static) and w.num[r, DECODING] + w.num[r, FILLING] < most:
        request = first(w, r)
        if request == NONE:
            break
        if w.count[request, STORED] > 0:
            used = bring_back(w, r, request)
        else:
            used = start_filling(w, r, request, budget)
        if used == NONE:
            break
        if isnan(w.times[request, SCHEDULED]):
            w.times[request, SCHEDULED] = w.flt[r, CLOCK]
        budget -= used
    if static:
        w.num[r, ROWS] = w.num[r, FILLING] + w.num[r, DECODING]


@jit
def bring_back(w: World, r: int, request: int) -> int:
    """A sequence whose keys and values come from elsewhere decodes on; the tokens it takes of the
    budget, NONE when it does not fit."""
    kind = w.num[r, KIND]
    stored = w.count[request, STORED]
    blocks = reserved(w, r, request, stored)
    fresh = stored % w.shape[kind, BLOCK] == 0 and w.shape[kind, DRAFTS] == 0
    if blocks + fresh > w.num[r, FREE] - crossing(w, r, 0):
        return NONE
    remove(w, r, request)
    row = new_row(w, r)
    take(w, r, row, blocks)
    if w.shape[kind, SWAPS] != 0:
        w.flt[r, EXTRA] += blocks * w.table[kind, SWAP]
    number = w.num[r, ADMITTED]
    w.num[r, ADMITTED] += 1
    begin_decoding(w, r, request, w.count[request, TOKENS], number, row)
    w.count[request, STORED] = 0
    return 1 + w.shape[kind, DRAFTS]


@jit
def start_filling(w: World, r: int, request: int, budget: int) -> int:
    """The first chunk of a request's prompt, and of what it had answered before it lost its place;
    the tokens it takes of the budget, NONE when not all of it would fit."""
    kind = w.num[r, KIND]
    block = w.shape[kind, BLOCK]
    need = w.count[request, PROMPT] + w.count[request, TOKENS]
    found = match(w, r, request, need)
    idle = matched_free(w, r, request, found)
    whole = reserved(w, r, request, need)
    if whole - found + idle > w.num[r, FREE] - crossing(w, r, 0):
        return NONE
    remove(w, r, request)
    done = found * block
    takes = min(need - done, max(budget, 0))
    row = new_row(w, r)
    hold(w, r, row, request, found)
    blocks = blocks_for(done + takes, block)
    if w.shape[kind, DRAFTS] > 0:
        blocks = whole
    take(w, r, row, blocks - found)
    begin_filling(w, r, request, need, done, takes, row)
    if w.count[request, TOKENS] == 0 and w.count[request, PREEMPTED] == 0:
        w.count[request, HIT] = done
    w.flt[r, EXTRA] += w.times[request, ENCODING]
    return takes


@jit
def mixed_step(w: World, r: int) -> None:
    """One step that takes in chunks of prompts, and decodes beside it.

    Data-parallel ranks wait for one another. Stages of a pipeline do not: each has a batch under
    way, some with chunks and some without, and the next ones follow at their mean time, while the
    chunks need the whole of their own.
    """
    kind = w.num[r, KIND]
    stages = w.shape[kind, STAGES]
    tokens, chunks, longest = 0, 0, 0
    core, slowest = 0.0, 0.0
    for at in range(w.num[r, FILLING]):
        takes = w.fill[TAKES, r, at]
        if takes > 0:
            once = chunk_time(w.shape, w.table, kind, float(takes), float(w.fill[DONE, r, at]))
            tokens, chunks, longest = tokens + takes, chunks + 1, max(longest, takes)
            core, slowest = core + once, max(slowest, once)
    rows, attending = 0.0, 0.0
    if w.shape[kind, STATIC] == 0 and w.num[r, DECODING] > 0:
        rows = rank_rows(w.shape, kind, w.num[r, DECODING])
        length = w.flt[r, CONTEXT] / w.num[r, DECODING]
        attending = rows * decode_core(w.shape, w.table, kind, length)
    loaded = max(min(chunks, stages), 1)
    ranks = loaded * w.shape[kind, RANKS] // stages
    entering = ceil(rows * (1 + w.shape[kind, DRAFTS]))
    most = entering + max(longest, (tokens + ranks - 1) // ranks)
    words = ceil(rows) + (chunks + ranks - 1) // ranks
    all_of_it = attending + max(slowest, core / ranks)
    full = composed(w.shape, w.table, kind, rows, most, words, all_of_it)
    time = full
    if loaded < stages:
        plain = 0.0
        if rows > 0.0:
            plain = composed(w.shape, w.table, kind, rows, entering, ceil(rows), attending)
        time = (loaded * full + (stages - loaded) * plain) / stages
    w.num[r, PENDING] = 1
    w.flt[r, END] = w.flt[r, CLOCK] + time + w.flt[r, EXTRA]
    w.flt[r, EXTRA], w.flt[r, LAG] = 0.0, full - time


@jit
def decode_steps(w: World, r: int, one: bool) -> None:
    """Steps until a sequence ends, a block is missing or somebody can be admitted. one: only one,
    since whoever waits was not looked at; so too where stretches are not taken at once."""
    kind = w.num[r, KIND]
    decoding = w.num[r, DECODING]
    most = w.num[r, SOONEST] - w.num[r, STEPS]
    if one or w.shape[kind, JUMPS] == 0 or w.flt[r, EXTRA] > 0.0:
        most = 1
    elif w.shape[kind, DRAFTS] == 0:
        most = min(most, steps_with_blocks(w, r, most))
    if w.shape[kind, STATIC] != 0:
        decoding = max(decoding, w.num[r, ROWS])
    steps, time = stretch(w.shape, w.table, kind, decoding, w.flt[r, CONTEXT], most, inf)
    w.num[r, PENDING] = steps
    w.flt[r, END] = w.flt[r, CLOCK] + time + w.flt[r, EXTRA]
    w.flt[r, EXTRA] = 0.0


@jit
def steps_with_blocks(w: World, r: int, most: int) -> int:
    """For how many steps, at least one and at most so many, the free blocks last."""
    block, decoding = w.shape[w.num[r, KIND], BLOCK], w.num[r, DECODING]
    rounds = w.num[r, FREE] // decoding
    if rounds * block >= most:
        return most
    left, steps = w.num[r, FREE] - rounds * decoding, 0
    while left >= crossing(w, r, steps) and steps < block:
        left -= crossing(w, r, steps)
        steps += 1
    return max(rounds * block + steps, 1)


@jit
def interrupt(w: World, r: int, now: float) -> None:
    """End a stretch with the step that is under way at `now`."""
    if w.num[r, PENDING] <= 1 or w.num[r, FILLING] > 0:
        return
    kind, decoding = w.num[r, KIND], w.num[r, DECODING]
    if w.shape[kind, STATIC] != 0:
        decoding = max(decoding, w.num[r, ROWS])
    wanted = now - w.flt[r, CLOCK]
    most = w.num[r, PENDING]
    if wanted <= 0.0:
        most, wanted = 1, FAR
    steps, time = stretch(w.shape, w.table, kind, decoding, w.flt[r, CONTEXT], most, wanted)
    if steps < w.num[r, PENDING]:
        w.num[r, PENDING], w.flt[r, END] = steps, w.flt[r, CLOCK] + time
