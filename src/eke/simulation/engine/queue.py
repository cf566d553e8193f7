"""The engine's own queue: one line per priority, linked through the requests."""

from __future__ import annotations

from eke.simulation.engine.compiled import jit
from eke.simulation.engine.layout import CLASS, CLASSES, HEAD, LINK, NONE, QUEUED, TAIL, World


@jit
def push_back(w: World, r: int, request: int) -> None:
    """A request at the end of its line."""
    line = w.count[request, CLASS]
    w.count[request, LINK] = NONE
    last = w.num[r, TAIL + line]
    if last == NONE:
        w.num[r, HEAD + line] = request
    else:
        w.count[last, LINK] = request
    w.num[r, TAIL + line] = request
    w.num[r, QUEUED] += 1


@jit
def push_front(w: World, r: int, request: int) -> None:
    """A request that lost its place, at the beginning of its line."""
    line = w.count[request, CLASS]
    w.count[request, LINK] = w.num[r, HEAD + line]
    if w.num[r, HEAD + line] == NONE:
        w.num[r, TAIL + line] = request
    w.num[r, HEAD + line] = request
    w.num[r, QUEUED] += 1


@jit
def first(w: World, r: int) -> int:
    """Who is next, or NONE."""
    for line in range(CLASSES):
        if w.num[r, HEAD + line] != NONE:
            return w.num[r, HEAD + line]
    return NONE


@jit
def remove(w: World, r: int, request: int) -> bool:
    """Take a request out of its line, wherever it stands; False when it is not there."""
    line = w.count[request, CLASS]
    before, at = NONE, w.num[r, HEAD + line]
    while at != NONE and at != request:
        before, at = at, w.count[at, LINK]
    if at == NONE:
        return False
    if before == NONE:
        w.num[r, HEAD + line] = w.count[at, LINK]
    else:
        w.count[before, LINK] = w.count[at, LINK]
    if w.num[r, TAIL + line] == at:
        w.num[r, TAIL + line] = before
    w.num[r, QUEUED] -= 1
    return True
