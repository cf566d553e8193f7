"""The engines that were observed, as replicas for the simulator: their places, cache and times."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.observing.fitting import Fit, fit
from eke.observing.loads import Taken, course, taken_by
from eke.simulation.engine.build import Replica
from eke.simulation.step import StepTable
from eke.types.record import Record
from eke.types.run import Run
from eke.units import show

FULL = 0.9  # quantile of sequences in flight, of those that had waited, that counts as all places
PRESSED = 0.05  # share of requests that were held back from which on places count as taken
MOMENT = 0.01  # that a gateway takes for itself [s]
BUDGET = 2048  # tokens of one step (assumed, a usual setting)
BLOCK = 16  # tokens of a block of the cache (assumed)
CLOSE = 1.2  # from one length of a chunk in the table to the next
BLOCKS = 1 << 22  # followed one by one, of all replicas together, where nobody knows the cache
SEEN = 0.002  # share of a cache from which on a sample says how large it is
UNSTREAMED = "unstreamed"  # fact: answers whose first token nobody saw
APART = 1.2  # from which on engines that differ are said to
SAMPLES = 10  # of a cache, or it is not known


class Engines(Record):
    """What was observed of engines, which are taken to be alike.

    count: of them.  places: sequences in flight at most.  room: tokens their cache holds, None
    where the run does not say.  longest: context of any request [tokens].  fit: times of steps.
    busy: time they had anything to do, of all together [s].  aligned: the run says when a step took
    a request in, not only when it was handed over.
    """

    count: int
    places: int
    room: int | None
    longest: int
    fit: Fit
    busy: float
    aligned: bool


def fit_words(found: Engines) -> str:
    """For people: what stands in for the engines, and how well."""
    many = "1 engine" if found.count == 1 else f"{found.count:,} engines"
    many += f" of {found.places:,} places"
    fit = found.fit
    if fit.apart > APART:
        many += f" (the slowest takes {fit.apart:.3g} times as long as the fastest)"
    room = "a cache without bound" if found.room is None else f"{found.room:,} tokens of cache"
    delay = f", {show(fit.delay, 's')} of each on the way" if fit.delay > 0 else ""
    off = "" if fit.first is None else f"first tokens are {100 * fit.first:.1f} % and "
    return (
        f"engine times are fitted to this run: {many} and {room}; {off}whole answers "
        f"{100 * fit.whole:.1f} % off (median){delay}"
    )


def engines(run: Run) -> Engines:
    """The engines of a run. Raises BadInput where too little is known of them."""
    taken = taken_by(run)
    level = course(taken.taken, taken.ended)
    most = int(level.value.max(initial=1))
    aligned = bool(np.any(run.requests["scheduled"] > run.requests["started"]))
    seen = 2 * run.facts.get(UNSTREAMED, 0.0) < taken.whole.sum()
    fitted = fit(taken, most, aligned, seen)
    places = _places(taken, level, float(fitted.steps[-1]))
    busy = float(np.sum(np.diff(level.at) * (level.value[:-1] > 0.5)))
    return Engines(
        count=int(taken.replica.max(initial=0)) + 1,
        places=places,
        room=_room(run, taken),
        longest=int(np.max(run.requests["prompt"][taken.row] + run.requests["answer"][taken.row])),
        fit=fitted,
        busy=busy,
        aligned=aligned,
    )


def _places(taken: Taken, level: Any, step: float) -> int:
    """Sequences at once when requests had been held back; where few had, the most there were.
    step: longest there is [s]."""
    waited = taken.handed - taken.came > max(2 * step, MOMENT)
    if waited.mean() < PRESSED:
        return int(level.value.max())
    found = level.just_after(taken.taken[waited])
    return max(int(np.quantile(found, FULL, method="higher")), 1)


def _room(run: Run, taken: Taken) -> int | None:
    """Tokens a cache holds, from how full it was with the sequences there were."""
    line = run.timeline
    if not len(line.get("time", ())):
        return None
    known = np.unique(run.requests["replica"][taken.row])
    seen = (line["cache"] > SEEN) & np.isin(line["replica"], known)
    if seen.sum() < SAMPLES:
        return None
    at = line["time"][seen] + taken.span * np.searchsorted(known, line["replica"][seen])
    held = course(taken.taken, taken.ended, taken.prompt + taken.tokens / 2)
    return int(np.median(held.just_after(at) / line["cache"][seen]))


def replica(found: Engines, caching: bool, ordered: bool = False) -> Replica:
    """One of the engines. caching: prefixes are kept.  ordered: priorities count inside."""
    whole = -(-found.longest // BLOCK) + 1
    blocks = found.places * whole
    if found.room is not None:
        blocks = max(found.room // BLOCK, whole)
    elif caching:
        blocks = max(min(blocks, BLOCKS // found.count), 2 * whole)
    return Replica(
        step=_table(found),
        most=found.places,
        budget=BUDGET,
        blocks=blocks,
        block=BLOCK,
        caching=caching,
        ordered=ordered,
    )


def _table(found: Engines) -> StepTable:
    """The times of steps as the engine looks them up."""
    entries = np.arange(BUDGET + found.places + 1)
    zeros = np.zeros(len(entries))
    fitted, last = found.fit, len(found.fit.steps) - 1
    lengths = np.array([0.0, float(found.longest)])
    most = max(BUDGET, 2)
    count = int(np.ceil(np.log(most) / np.log(CLOSE))) + 1
    new = np.concatenate(([0.0], np.unique(np.rint(np.geomspace(1, most, count)))))
    pairs = new[:, None] * (lengths[None, :] + new[:, None] / 2)
    chunk = fitted.prompt * (new > 0)[:, None] + fitted.token * new[:, None] + fitted.pair * pairs
    return StepTable(
        base=zeros,
        tensor=zeros,
        expert=zeros,
        other=zeros,
        logits=np.ascontiguousarray(fitted.steps[np.minimum(entries, last)]),
        lengths=lengths,
        decode=fitted.context * lengths,
        new=new,
        cached=lengths,
        chunk=chunk,
        own=0.0,
        sequence=0.0,
        factor=1.0,
        overlap_tensor=0.0,
        overlap_expert=0.0,
        ranks=1,
    )
