"""Where each number of the engines lies.

`World` is all state as arrays, indexed by the names below. Axes: kind of replica, replica, slot (a
sequence in flight), request. Lengths in tokens, times in seconds, memory in blocks of the cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

CLASSES = 8  # priorities that an engine tells apart
NONE = -1

# --- shape[kind, …]: how a kind of replica is set up, whole numbers -------------------------------
(
    MOST,  # sequences in flight at most
    BUDGET,  # tokens of one step at most
    BLOCKS,  # the cache has
    BLOCK,  # tokens of one
    ROLE,  # MIXED, FILLS or ANSWERS
    STATIC,  # a batch begins and ends together
    ORDERED,  # priorities count inside the engine
    SWAPS,  # what is preempted goes to the host's memory instead of being computed again
    CACHING,  # prefixes are kept and found again
    DRAFTS,  # tokens guessed per step
    RANKS,  # over which sequences are spread
    STAGES,  # of a pipeline, among these ranks: each has a batch of its own under way
    PADDED,  # every step computes MOST places
    JUMPS,  # stretches without a change are taken at once
    BASE,  # where each table begins in `table`
    TENSOR,
    EXPERT,
    OTHER,
    LOGITS,
    LENGTHS,
    DECODE,
    NEW,
    CACHED,
    CHUNK,
    N_TOKENS,  # how many entries each has
    N_LENGTHS,
    N_NEW,
    N_CACHED,
    SHAPES,
) = range(29)
MIXED, FILLS, ANSWERS = range(3)  # roles: prompts and answers, prompts only, answers only

# --- table[kind, …]: numbers, then the tables -----------------------------------------------------
OWN, SEQUENCE, FACTOR, OVERLAP_TENSOR, OVERLAP_EXPERT, EMITTED, SWAP, NUMBERS = range(8)

# --- num[replica, …]: state of a replica, whole numbers -------------------------------------------
(
    KIND,
    ALIVE,
    DECODING,  # slots that give a token per step
    FILLING,  # slots whose prompt is being taken in
    STEPS,  # done so far
    PENDING,  # steps until END; 0: a step is to be decided on
    FREE,  # blocks nobody holds
    ADMITTED,  # so far
    QUEUED,  # requests waiting in the engine
    ROWS,  # sequences a static batch began with
    SOONEST,  # value of STEPS at which the first decoding slot ends
    LRU_HEAD,  # free blocks, the one to be given away next first
    LRU_TAIL,
    PREEMPTIONS,
    HEAD,  # of the queue of each class
) = range(15)
TAIL = HEAD + CLASSES
CROSSING = TAIL + CLASSES  # decoding slots by when they need their next block, BLOCK numbers

# --- flt[replica, …]: state of a replica, times and sums ------------------------------------------
(
    CLOCK,  # up to which its steps are done
    END,  # of the pending steps; inf when idle
    CONTEXT,  # tokens in the cache of all decoding slots
    BUSY,  # time with work so far
    GIVEN,  # tokens of answers so far
    TAKEN,  # tokens of prompts computed so far
    EXTRA,  # time that the next step takes longer, for encoders and swapping
    LAG,  # from the end of a step until the tokens of its chunks have passed the last stage
    FLOATS,
) = range(9)

# --- slot[…, replica, slot]: decoding slots -------------------------------------------------------
(
    REQUEST,
    LAST,  # value of STEPS at which it ends
    SINCE,  # value of STEPS at which it began to decode
    MADE,  # tokens of the answer it had then
    NUMBER,  # in the order of admission
    ROW,  # of `holds`, where prefixes are kept
    SLOTS,
) = range(7)

# --- fill[…, replica, slot]: slots whose prompt is being taken in; REQUEST, NUMBER and ROW as above
NEED, DONE, TAKES = LAST, SINCE, MADE  # tokens to compute, computed, and in the pending step

# --- times[request, …] and count[request, …]: what is kept of each request ------------------------
ARRIVED, STARTED, SCHEDULED, FIRST, FINISHED, ENCODING, TIMES = range(7)
(
    PROMPT,
    ANSWER,
    TOKENS,  # of the answer, given so far
    HIT,  # of the prompt, in the cache when it was first taken in
    PREEMPTED,
    REPLICA,
    OUTCOME,
    LINK,  # next in its queue
    CLASS,
    STORED,  # tokens whose keys and values come with it
    COUNTS,
) = range(11)

# --- block[…, replica, block]: the cache where prefixes are kept ----------------------------------
KEY, HOLDERS, BEFORE, BEHIND, CHAIN, BLOCK_FIELDS = range(6)

# --- shared[request, …]: what its prompt shares with others ---------------------------------------
SESSION, STEM, STEM_TOKENS, SHARED = range(4)

# --- what is heard of while steps are played: bits of `hear` --------------------------------------
HEAR_FIRST, GO_ON = 1, 2  # first tokens too; do not stop for an end

# --- events in `told` -----------------------------------------------------------------------------
EVENT_FIRST, EVENT_FINISHED, EVENT_HANDED, EVENT_LOST = range(4)


class World(NamedTuple):
    """All state. What each array holds stands above, or here; the defaults say how many dimensions
    it has and of what type it is."""

    shape: Any = (2, "i8")
    table: Any = (2, "f8")
    num: Any = (2, "i8")
    flt: Any = (2, "f8")
    slot: Any = (3, "i8")
    fill: Any = (3, "i8")
    times: Any = (2, "f8")
    count: Any = (2, "i4")
    told: Any = (2, "i8")  # event, request, replica, tokens, cached: of what is to be heard
    told_at: Any = (1, "f8")  # when
    size: Any = (1, "f8")  # of each request, what it will hold at its end by forecast [tokens]
    gone: Any = (1, "i8")  # requests from before a lane that were over when it ended
    story: Any = (1, "i8")  # requests that started in a lane, and complements of those that ended
    shared: Any = (2, "i8")
    hashes: Any = (1, "i8")  # keys of prompts' blocks out of a trace, one request after another
    hash_start: Any = (1, "i8")  # where those of each request begin
    hash_tokens: Any = (1, "i8")  # tokens of one such block; 0: the trace has none
    block: Any = (3, "i8")
    bucket: Any = (2, "i4")  # heads of the chains in which blocks are found by their key
    holds: Any = (3, "i4")  # blocks of each sequence in flight, how many first
    rows: Any = (2, "i8")  # free rows of `holds`, how many last


FIELDS: dict[str, tuple[int, str]] = World._field_defaults
