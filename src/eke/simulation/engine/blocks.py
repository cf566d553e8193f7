"""Who holds which blocks of the cache.

Where no two requests share anything, blocks are only counted. Where prefixes are kept, each block
is followed: full blocks are found again by a key, those that nobody holds stay until their room is
needed, the longest unused one going first, and of one request the end of its text before the
beginning, as vLLM does it.
"""

from __future__ import annotations

from eke.simulation.engine.compiled import jit
from eke.simulation.engine.layout import (
    BEFORE,
    BEHIND,
    BLOCK,
    BLOCKS,
    CACHING,
    CHAIN,
    FREE,
    HOLDERS,
    KEY,
    KIND,
    LRU_HEAD,
    LRU_TAIL,
    NONE,
    SESSION,
    STEM,
    STEM_TOKENS,
    World,
)

DEEPEST = 1 << 20  # blocks of one text at most, so that a key is a text and a place in it


@jit
def blocks_for(tokens: int, block: int) -> int:
    """Blocks that so many tokens take."""
    return (tokens + block - 1) // block


@jit
def key_of(w: World, kind: int, request: int, place: int) -> int:
    """Key of one block of a request's text; 0 where no other can have the same."""
    block = w.shape[kind, BLOCK]
    wide = w.hash_tokens[0]
    if wide > 0:
        depth = ((place + 1) * block - 1) // wide
        start = w.hash_start[request]
        if depth >= w.hash_start[request + 1] - start:
            return 0
        return w.hashes[start + depth] * DEEPEST + (place * block % wide) // block + 1
    stem = w.shared[request, STEM]
    if stem >= 0 and (place + 1) * block <= w.shared[request, STEM_TOKENS]:
        return 2 * stem * DEEPEST + place + 1
    session = w.shared[request, SESSION]
    if session >= 0:
        return (2 * session + 1) * DEEPEST + place + 1
    return 0


@jit
def find(w: World, r: int, key: int) -> int:
    """The block with that key, or NONE."""
    at = w.bucket[r, key % w.bucket.shape[1]]
    while at != NONE and w.block[KEY, r, at] != key:
        at = w.block[CHAIN, r, at]
    return at


@jit
def name_block(w: World, r: int, at: int, key: int) -> None:
    """Let a block be found by its key, unless another with the same content is."""
    if key == 0 or w.block[KEY, r, at] != 0 or find(w, r, key) != NONE:
        return
    home = key % w.bucket.shape[1]
    w.block[KEY, r, at] = key
    w.block[CHAIN, r, at] = w.bucket[r, home]
    w.bucket[r, home] = at


@jit
def forget(w: World, r: int, at: int) -> None:
    """Let a block be found no more."""
    key = w.block[KEY, r, at]
    if key == 0:
        return
    home = key % w.bucket.shape[1]
    other = w.bucket[r, home]
    if other == at:
        w.bucket[r, home] = w.block[CHAIN, r, at]
    else:
        while w.block[CHAIN, r, other] != at:
            other = w.block[CHAIN, r, other]
        w.block[CHAIN, r, other] = w.block[CHAIN, r, at]
    w.block[KEY, r, at] = 0


@jit
def unlink(w: World, r: int, at: int) -> None:
    """Take a block out of the list of those that nobody holds."""
    before, behind = w.block[BEFORE, r, at], w.block[BEHIND, r, at]
    if before == NONE:
        w.num[r, LRU_HEAD] = behind
    else:
        w.block[BEHIND, r, before] = behind
    if behind == NONE:
        w.num[r, LRU_TAIL] = before
    else:
        w.block[BEFORE, r, behind] = before
    w.num[r, FREE] -= 1


@jit
def append(w: World, r: int, at: int) -> None:
    """Put a block at the end of the list of those that nobody holds."""
    last = w.num[r, LRU_TAIL]
    w.block[BEFORE, r, at] = last
    w.block[BEHIND, r, at] = NONE
    if last == NONE:
        w.num[r, LRU_HEAD] = at
    else:
        w.block[BEHIND, r, last] = at
    w.num[r, LRU_TAIL] = at
    w.num[r, FREE] += 1


@jit
def take(w: World, r: int, row: int, many: int) -> None:
    """Give `many` more blocks to a row, or only count them where prefixes are not kept."""
    if w.shape[w.num[r, KIND], CACHING] == 0:
        w.num[r, FREE] -= many
        return
    held = w.holds[r, row, 0]
    for _ in range(many):
        at = w.num[r, LRU_HEAD]
        unlink(w, r, at)
        forget(w, r, at)
        w.block[HOLDERS, r, at] = 1
        held += 1
        w.holds[r, row, held] = at
    w.holds[r, row, 0] = held


@jit
def match(w: World, r: int, request: int, tokens: int) -> int:
    """Blocks at the head of a request that are there; the last token is always computed anew."""
    kind = w.num[r, KIND]
    if w.shape[kind, CACHING] == 0:
        return 0
    block, found = w.shape[kind, BLOCK], 0
    while (found + 1) * block <= tokens - 1:
        key = key_of(w, kind, request, found)
        if key == 0 or find(w, r, key) == NONE:
            break
        found += 1
    return found


@jit
def matched_free(w: World, r: int, request: int, found: int) -> int:
    """Of the first `found` blocks of a request, those that nobody holds: they count as free until
    it takes them."""
    kind, idle = w.num[r, KIND], 0
    for place in range(found):
        at = find(w, r, key_of(w, kind, request, place))
        idle += w.block[HOLDERS, r, at] == 0
    return idle


@jit
def hold(w: World, r: int, row: int, request: int, found: int) -> None:
    """Let a row hold the first `found` blocks of a request, which are there."""
    if w.shape[w.num[r, KIND], CACHING] == 0:
        return
    kind = w.num[r, KIND]
    for place in range(found):
        at = find(w, r, key_of(w, kind, request, place))
        if w.block[HOLDERS, r, at] == 0:
            unlink(w, r, at)
        w.block[HOLDERS, r, at] += 1
        w.holds[r, row, place + 1] = at
    w.holds[r, row, 0] = found


@jit
def name_row(w: World, r: int, row: int, request: int, tokens: int) -> None:
    """Let the full blocks of the first `tokens` tokens of a request be found."""
    kind = w.num[r, KIND]
    if w.shape[kind, CACHING] == 0:
        return
    full = min(tokens // w.shape[kind, BLOCK], w.holds[r, row, 0])
    for place in range(full):
        at = w.holds[r, row, place + 1]
        if w.block[KEY, r, at] == 0:
            name_block(w, r, at, key_of(w, kind, request, place))


@jit
def free(w: World, r: int, row: int, many: int) -> None:
    """Give back all blocks of a row, `many`, the last ones to be used up first."""
    if w.shape[w.num[r, KIND], CACHING] == 0:
        w.num[r, FREE] += many
        return
    held = w.holds[r, row, 0]
    for i in range(held):
        at = w.holds[r, row, held - i]
        w.block[HOLDERS, r, at] -= 1
        if w.block[HOLDERS, r, at] == 0:
            append(w, r, at)
    w.holds[r, row, 0] = 0


@jit
def new_row(w: World, r: int) -> int:
    """A row of `holds` for one more sequence."""
    if w.shape[w.num[r, KIND], CACHING] == 0:
        return 0
    last = w.rows.shape[1] - 1
    w.rows[r, last] -= 1
    return w.rows[r, w.rows[r, last]]


@jit
def drop_row(w: World, r: int, row: int) -> None:
    """A row is free again."""
    if w.shape[w.num[r, KIND], CACHING] == 0:
        return
    last = w.rows.shape[1] - 1
    w.rows[r, w.rows[r, last]] = row
    w.rows[r, last] += 1


@jit
def clear(w: World, r: int) -> None:
    """An empty cache: nobody holds anything and nothing is kept."""
    kind = w.num[r, KIND]
    blocks = w.shape[kind, BLOCKS]
    w.num[r, FREE] = blocks
    if w.shape[kind, CACHING] == 0:
        return
    w.num[r, FREE], w.num[r, LRU_HEAD], w.num[r, LRU_TAIL] = 0, NONE, NONE
    for home in range(w.bucket.shape[1]):
        w.bucket[r, home] = NONE
    for at in range(blocks):
        w.block[KEY, r, at], w.block[HOLDERS, r, at], w.block[CHAIN, r, at] = 0, 0, NONE
        append(w, r, at)
    last = w.rows.shape[1] - 1
    for row in range(last):
        w.rows[r, row] = row
        w.holds[r, row, 0] = 0
    w.rows[r, last] = last
