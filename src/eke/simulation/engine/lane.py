"""Newcomers who may go straight to a replica, played without asking anybody in between."""

from __future__ import annotations

from math import inf

from eke.simulation.engine.advance import ACCEPTED, commit, enqueue, soonest
from eke.simulation.engine.compiled import jit
from eke.simulation.engine.layout import ARRIVED, END, PROMPT, World
from eke.simulation.engine.schedule import decide


@jit
def play_lane(
    w: World,
    r: int,
    first: int,
    last: int,
    limit: float,
    running: int,
    places: int,
    held: float,
    room: float,
    ceiling: int,
) -> tuple[int, int, float, int, float]:
    """Let the requests from `first` up to before `last`, which follow nobody and come in this
    order, go to a replica as they come, each for as long as fewer than `places` run and what it
    will hold fits into `room` beside what is `held`; and everything else that happens before
    `limit`.

    ceiling: prompt and answer together; what is asked beyond it is cut.
    The next request that may not, or comes too late; how many run then, what is held, how many of
    those that ran before are over (`gone` names them), and when something happened last [s].
    """
    at, begun, over, now = first, first, 0, -inf
    while True:
        if at == last:
            break
        coming = w.times[at, ARRIVED]
        stop = min(coming, limit)
        while True:
            busy = soonest(w)
            end = w.flt[busy, END]
            if end >= stop:
                break
            events = commit(w, busy, 0, 0)
            decide(w, busy)
            for event in range(events):
                request = w.told[event, 1]
                now = end
                running -= 1
                held = held - min(w.size[request], float(ceiling)) if running > 0 else 0.0
                if request < begun:
                    w.gone[over] = request
                    over += 1
        if coming >= limit:
            break
        prompt = w.count[at, PROMPT]
        size = min(w.size[at], float(ceiling))
        if prompt >= ceiling or running >= places or max(room - held, 0.0) < size:
            break
        if enqueue(w, r, at, coming, ceiling - prompt) != ACCEPTED:
            break
        running, held, now, at = running + 1, held + size, coming, at + 1
    return at, running, held, over, now
