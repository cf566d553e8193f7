"""Steps of all replicas in the order of time, and what comes to a replica from outside."""

from __future__ import annotations

from math import inf, isnan

from eke.simulation.engine.blocks import blocks_for, clear, name_row, take
from eke.simulation.engine.clock import FAR
from eke.simulation.engine.compiled import jit
from eke.simulation.engine.layout import (
    ALIVE,
    ANSWER,
    BLOCK,
    BLOCKS,
    BUSY,
    CLASSES,
    CLOCK,
    CONTEXT,
    CROSSING,
    DECODING,
    DONE,
    DRAFTS,
    EMITTED,
    END,
    EVENT_FINISHED,
    EVENT_FIRST,
    EVENT_HANDED,
    EVENT_LOST,
    EXTRA,
    FILLING,
    FILLS,
    FINISHED,
    FIRST,
    FREE,
    GIVEN,
    GO_ON,
    HEAD,
    HEAR_FIRST,
    HIT,
    KIND,
    LAG,
    LAST,
    MOST,
    NEED,
    NONE,
    NUMBER,
    OUTCOME,
    PENDING,
    PROMPT,
    QUEUED,
    REPLICA,
    REQUEST,
    ROLE,
    ROW,
    ROWS,
    SOONEST,
    STARTED,
    STATIC,
    STEPS,
    STORED,
    TAIL,
    TAKEN,
    TAKES,
    TOKENS,
    World,
)
from eke.simulation.engine.queue import first, push_back, remove
from eke.simulation.engine.schedule import crossing, decide, interrupt
from eke.simulation.engine.slots import (
    begin_decoding,
    drop_filling,
    end_decoding,
    end_filling,
    find_soonest,
    made_by,
)

WAITS, IN_FLIGHT, DONE_WITH = range(3)  # codes of eke.types.run.OUTCOMES
ALL = 1 << 60  # tokens of an answer: no cut
ACCEPTED, NOT_WAITING, NOT_THERE, TOO_LONG = range(4)  # what comes of a request at a replica


@jit
def soonest(w: World) -> int:
    """The replica whose pending steps end first."""
    best = 0
    for r in range(1, w.flt.shape[0]):
        if w.flt[r, END] < w.flt[best, END]:
            best = r
    return best


@jit
def advance(w: World, limit: float, hear: int) -> tuple[int, float, int, int, int, int]:
    """Play steps until one ends an answer or hands one over, or gives a first token where that is
    to be heard, but none that ends at `limit` or later: what comes at that moment comes first. With
    GO_ON ends are noted and play goes on, as long as there is room for them.

    How many events `told` then holds, when the last of them happened [s], and the first of them:
    what, request, tokens, cached. Without any, when the next step ends.
    """
    events, when = 0, 0.0
    room = w.told.shape[0] - 2 * w.slot.shape[2]
    while True:
        r = soonest(w)
        end = w.flt[r, END]
        if end >= limit:
            break
        before = events
        events = commit(w, r, hear, events)
        decide(w, r)
        if events > before:
            when = end
            last = w.told[events - 1, 0]
            if (hear & GO_ON) == 0 or last != EVENT_FINISHED or events > room:
                break
    told = w.told
    if events == 0:
        return 0, end, 0, 0, 0, 0
    return events, when, told[0, 0], told[0, 1], told[0, 3], told[0, 4]


@jit
def commit(w: World, r: int, hear: int, told: int) -> int:
    """What the pending steps of a replica did; how many events there are, `told` before it."""
    steps, kind = w.num[r, PENDING], w.num[r, KIND]
    if steps == 0:
        w.flt[r, CLOCK] = w.flt[r, END]
        return told
    w.flt[r, BUSY] += w.flt[r, END] - w.flt[r, CLOCK]
    w.flt[r, CLOCK] = w.flt[r, END]
    frozen = w.shape[kind, STATIC] != 0 and w.num[r, FILLING] > 0
    if w.num[r, DECODING] > 0 and not frozen:
        decoded(w, r, steps)
    elif not frozen:
        w.num[r, STEPS] += steps
    if w.num[r, STEPS] >= w.num[r, SOONEST] and not frozen:
        told = retire(w, r, told)
    if w.num[r, FILLING] > 0:
        told = taken_in(w, r, told, (hear & HEAR_FIRST) != 0)
    return told


@jit
def decoded(w: World, r: int, steps: int) -> None:
    """Every decoding sequence got its tokens, and the blocks they lie in."""
    kind, decoding = w.num[r, KIND], w.num[r, DECODING]
    block = w.shape[kind, BLOCK]
    if w.shape[kind, DRAFTS] == 0:
        new = steps // block * decoding
        for ahead in range(steps % block):
            new += crossing(w, r, ahead)
        if w.block.shape[2] > 1 and new > 0:
            for at in range(decoding):
                stored = w.count[w.slot[REQUEST, r, at], PROMPT] - 1 + made_by(w, r, at)
                more = blocks_for(stored + steps, block) - blocks_for(stored, block)
                take(w, r, w.slot[ROW, r, at], more)
        else:
            w.num[r, FREE] -= new
    rows = decoding
    if w.shape[kind, STATIC] != 0:
        rows = max(decoding, w.num[r, ROWS])
    w.flt[r, CONTEXT] += rows * steps * w.table[kind, EMITTED]
    w.flt[r, GIVEN] += decoding * steps * w.table[kind, EMITTED]
    w.num[r, STEPS] += steps


@jit
def tell(w: World, told: int, event: int, request: int, r: int) -> int:
    """One more event; how many there are now."""
    w.told[told, 0], w.told[told, 1], w.told[told, 2] = event, request, r
    w.told[told, 3], w.told[told, 4] = w.count[request, TOKENS], w.count[request, HIT]
    w.told_at[told] = w.flt[r, CLOCK]
    return told + 1


@jit
def finish(w: World, r: int, request: int, told: int) -> int:
    """A request is answered."""
    w.times[request, FINISHED] = max(w.flt[r, CLOCK], w.times[request, FIRST])
    w.count[request, TOKENS] = w.count[request, ANSWER]
    w.count[request, OUTCOME] = DONE_WITH
    return tell(w, told, EVENT_FINISHED, request, r)


@jit
def retire(w: World, r: int, told: int) -> int:
    """End the sequences whose last token is there."""
    steps, at = w.num[r, STEPS], 0
    while at < w.num[r, DECODING]:
        if w.slot[LAST, r, at] <= steps:
            request = w.slot[REQUEST, r, at]
            end_decoding(w, r, at)
            told = finish(w, r, request, told)
        else:
            at += 1
    find_soonest(w, r)
    if w.num[r, DECODING] == 0:
        w.num[r, ROWS] = 0
    return told


@jit
def taken_in(w: World, r: int, told: int, hear_first: bool) -> int:
    """What the chunks of the step did: prompts that are complete give their first token."""
    at = 0
    while at < w.num[r, FILLING]:
        takes = w.fill[TAKES, r, at]
        w.flt[r, TAKEN] += takes
        w.fill[DONE, r, at] += takes
        w.fill[TAKES, r, at] = 0
        request = w.fill[REQUEST, r, at]
        name_row(w, r, w.fill[ROW, r, at], request, w.fill[DONE, r, at])
        if w.fill[DONE, r, at] < w.fill[NEED, r, at]:
            at += 1
            continue
        w.flt[r, GIVEN] += 1
        w.count[request, TOKENS] += 1
        if isnan(w.times[request, FIRST]):
            w.times[request, FIRST] = w.flt[r, CLOCK] + w.flt[r, LAG]
            if hear_first:
                told = tell(w, told, EVENT_FIRST, request, r)
        told = filled(w, r, at, request, told)
    return told


@jit
def filled(w: World, r: int, at: int, request: int, told: int) -> int:
    """A prompt is complete and its first token there: it ends, goes elsewhere, or decodes on."""
    made = w.count[request, TOKENS]
    if made >= w.count[request, ANSWER]:
        drop_filling(w, r, at)
        return finish(w, r, request, told)
    if w.shape[w.num[r, KIND], ROLE] == FILLS:
        drop_filling(w, r, at)
        w.count[request, STORED] = w.count[request, PROMPT]
        return tell(w, told, EVENT_HANDED, request, r)
    number, row = w.fill[NUMBER, r, at], w.fill[ROW, r, at]
    end_filling(w, r, at)
    begin_decoding(w, r, request, made, number, row)
    return told


@jit
def enqueue(w: World, r: int, request: int, now: float, most: int) -> int:
    """A request comes to a replica; it is seen when the step under way ends. most: its answer ends
    there, ALL for no cut. ACCEPTED, or why it was not."""
    kind = w.num[r, KIND]
    if most < w.count[request, ANSWER]:
        w.count[request, ANSWER] = max(most, 1)
    if w.count[request, OUTCOME] != WAITS:
        return NOT_WAITING
    if w.num[r, ALIVE] == 0:
        return NOT_THERE
    whole = w.count[request, PROMPT] + w.count[request, ANSWER]
    if blocks_for(whole, w.shape[kind, BLOCK]) > w.shape[kind, BLOCKS]:
        return TOO_LONG
    w.count[request, REPLICA], w.count[request, OUTCOME] = r, IN_FLIGHT
    w.times[request, STARTED] = now
    push_back(w, r, request)
    if w.flt[r, END] == inf:
        w.flt[r, CLOCK] = max(w.flt[r, CLOCK], now)
        w.flt[r, END] = w.flt[r, CLOCK]
        w.num[r, PENDING] = 0
        return ACCEPTED
    places = w.num[r, DECODING] + w.num[r, FILLING] < w.shape[kind, MOST]
    if places and w.shape[kind, STATIC] == 0 and first(w, r) == request:
        interrupt(w, r, now)
    return ACCEPTED


@jit
def withdraw(w: World, r: int, request: int, now: float) -> bool:
    """Take a request out of a replica, wherever it stands; False when it is not there.

    Its blocks are free at once, the step under way takes as long as it does.
    """
    if remove(w, r, request):
        return True
    interrupt(w, r, now)
    for at in range(w.num[r, DECODING]):
        if w.slot[REQUEST, r, at] == request:
            w.flt[r, GIVEN] += given_under_way(w, r)
            w.count[request, TOKENS] = given_by(w, r, at)
            end_decoding(w, r, at)
            find_soonest(w, r)
            leave_idle(w, r)
            return True
    for at in range(w.num[r, FILLING]):
        if w.fill[REQUEST, r, at] == request:
            drop_filling(w, r, at)
            leave_idle(w, r)
            return True
    return False


@jit
def given_by(w: World, r: int, at: int) -> int:
    """Tokens a decoding sequence has given, those of a stretch that is under way included."""
    given = made_by(w, r, at) + int(given_under_way(w, r))
    return min(given, w.count[w.slot[REQUEST, r, at], ANSWER])


@jit
def given_under_way(w: World, r: int) -> float:
    """Tokens each decoding sequence has given in a stretch that was cut to end with this step."""
    return max(w.num[r, PENDING] - 1, 0) * w.table[w.num[r, KIND], EMITTED]


@jit
def look(w: World, r: int, now: float) -> float:
    """Count for each decoding sequence the tokens it has given by `now`; how many all of them have
    given in the stretch that is under way."""
    interrupt(w, r, now)
    for at in range(w.num[r, DECODING]):
        w.count[w.slot[REQUEST, r, at], TOKENS] = given_by(w, r, at)
    return w.num[r, DECODING] * given_under_way(w, r)


@jit
def leave_idle(w: World, r: int) -> None:
    """A step whose last sequence left still ends, but does nothing."""
    if w.num[r, DECODING] == 0:
        w.num[r, ROWS] = 0
    if w.num[r, DECODING] + w.num[r, FILLING] == 0 and w.num[r, QUEUED] == 0:
        if w.num[r, PENDING] > 0:
            w.flt[r, BUSY] += w.flt[r, END] - w.flt[r, CLOCK]
        w.num[r, PENDING] = 0


@jit
def drop_all(w: World, r: int, now: float) -> int:
    """A replica dies and loses what it holds. How many requests `told` now names; where its queue
    was longer than that, it is to be asked again until there are none.
    """
    w.flt[r, GIVEN] += look(w, r, now)
    if w.num[r, PENDING] > 0:
        w.flt[r, BUSY] += now - w.flt[r, CLOCK]
        w.num[r, PENDING] = 0
    lost = 0
    for at in range(w.num[r, DECODING]):
        lost = tell(w, lost, EVENT_LOST, w.slot[REQUEST, r, at], r)
    for at in range(w.num[r, FILLING]):
        lost = tell(w, lost, EVENT_LOST, w.fill[REQUEST, r, at], r)
    w.num[r, DECODING], w.num[r, FILLING] = 0, 0
    while w.num[r, QUEUED] > 0 and lost < w.told.shape[0]:
        request = first(w, r)
        remove(w, r, request)
        lost = tell(w, lost, EVENT_LOST, request, r)
    if w.num[r, QUEUED] == 0:
        begin(w, r)
    w.num[r, ALIVE], w.flt[r, END] = 0, inf
    return lost


@jit
def begin(w: World, r: int) -> None:
    """An empty replica."""
    w.num[r, ALIVE], w.num[r, DECODING], w.num[r, FILLING] = 1, 0, 0
    w.num[r, PENDING], w.num[r, QUEUED], w.num[r, ROWS] = 0, 0, 0
    w.num[r, SOONEST] = FAR
    for line in range(CLASSES):
        w.num[r, HEAD + line], w.num[r, TAIL + line] = NONE, NONE
    for at in range(CROSSING, w.num.shape[1]):
        w.num[r, at] = 0
    w.flt[r, END], w.flt[r, CONTEXT], w.flt[r, EXTRA] = inf, 0.0, 0.0
    clear(w, r)
