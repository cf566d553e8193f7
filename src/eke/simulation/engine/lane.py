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
    begun: int,
    last: int,
    limit: float,
    running: int,
    places: int,
    held: float,
    room: float,
    ceiling: int,
) -> tuple[int, int, float, int, int, float]:
    """Let the requests from `first` up to before `last`, which follow nobody and come in this
    order, go to a replica as they come, each for as long as fewer than `places` run and what it
    will hold fits into `room` beside what is `held`; and everything else that happens before
    `limit`.

    begun: the first request of lanes that the policy was not told of.  ceiling: prompt and answer
    together; what is asked beyond it is cut.
    The next request that may not, or comes too late; how many run then, what is held, how many of
    those before `begun` are over (`gone` names them), how many starts and ends there were (`story`
    has the number of each request, that of an end as its complement), and when something happened
    last [s].
    """
    at, over, told, now = first, 0, 0, -inf
    room_to_tell = w.story.shape[0] - 2 * w.slot.shape[2]
    while True:
        if at == last or told > room_to_tell:
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
                w.story[told] = ~request
                told += 1
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
        w.story[told] = at
        told += 1
        running, held, now, at = running + 1, held + size, coming, at + 1
    return at, running, held, over, told, now
