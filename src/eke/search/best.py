"""The plan that needs least, those near it, and what keeps better ones out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from eke.physics.answer import outcome
from eke.search.block import Apart, Block, blocks
from eke.search.heap import keep_freed_memory
from eke.search.place import Place
from eke.search.priced import Candidate, Priced, nearer
from eke.search.tally import Tally
from eke.types.goal import Goal, figure_of
from eke.types.job import Job
from eke.types.record import Record

KEPT = 48  # plans of a block that are kept, the best
ALL = 192  # of all blocks together
OF_KIND = 4  # at least, of every kind of chips
Progress = Callable[[int, float], None]  # plans considered, best figure so far


class Found(Record):
    """What a search came back with. best: feasible plans, best first.  almost: for each limit the
    plans that keep all others, best first.  nearest: the plan that misses least, where none is
    feasible.  passed: why better plans cannot be used."""

    best: list[Candidate]
    almost: dict[str, list[Candidate]]
    nearest: Candidate | None
    considered: int
    priced: int
    passed: str = ""


def search(
    jobs: Sequence[Job],
    places: Sequence[Place],
    goal: Goal,
    *,
    apart: Apart = "may",
    margin: float = 1.0,
    progress: Progress | None = None,
) -> Found:
    """Price every plan that a bound does not rule out, and keep what matters of them.

    jobs: the same job in the ways it may be asked, such as alignment with and without chips of
    its own for generation.  margin: by which what is predicted has to stay below its limits.
    """
    keep_freed_memory()
    tally = Tally(figure_of(goal.least))
    best: list[Candidate] = []
    almost: dict[str, list[Candidate]] = {}
    nearest: Candidate | None = None
    for job in jobs:
        for block in blocks(job, places, tally, apart):
            some, missing, miss = _sift(block, goal, tally, margin, _cut(best))
            best = _first(best + some)
            for name, kept in missing.items():
                almost[name] = _nearest(almost.get(name, []) + kept, name)
            if miss is not None:
                nearest = nearer(nearest, miss)
            if progress is not None:
                progress(tally.considered, tally.best)
    return Found(
        best=best,
        almost=almost,
        nearest=nearest,
        considered=tally.considered,
        priced=tally.priced,
    )


def _first(kept: list[Candidate]) -> list[Candidate]:
    """The best of all, and the best few of every kind of chip."""
    ranked = sorted(kept, key=lambda each: (each.value, each.rank))
    of_kind: dict[tuple[str, ...], int] = {}
    found: list[Candidate] = []
    for each in ranked:
        kind = tuple(pool.chip.id for pool in each.block.fleet.pools)
        of_kind[kind] = of_kind.get(kind, 0) + 1
        if len(found) < ALL or of_kind[kind] <= OF_KIND:
            found.append(each)
    return found


def _nearest(kept: list[Candidate], name: str) -> list[Candidate]:
    """Of plans that miss one limit: the best, and those that miss it by least."""
    near = sorted(kept, key=lambda each: each.ratios[name])[:OF_KIND]
    return [*near, *(each for each in _first(kept)[:KEPT] if all(each is not n for n in near))]


def _cut(best: list[Candidate]) -> float:
    """The figure beyond which a plan is not remembered, but for the first few of its kind."""
    return best[ALL - 1].value if len(best) >= ALL else np.inf


Sifted = tuple[list[Candidate], dict[str, list[Candidate]], Candidate | None]


def _sift(block: Block, goal: Goal, tally: Tally, margin: float, cut: float) -> Sifted:
    """The plans of a block worth remembering: the best, the best that miss a single limit, and
    the one that misses least."""
    result = outcome(block.job, block.plans, block.fleet, block.knobs)
    priced = Priced(block, goal, result, margin)
    count = len(priced.value)
    missed = priced.missed.sum(axis=0)
    feasible = missed == 0
    tally.saw(count, float(priced.value[feasible].min()) if feasible.any() else np.inf)
    best = priced.best(feasible, KEPT)
    best = best[(priced.value[best] <= cut) | (np.arange(len(best)) < OF_KIND)]
    nearest = None
    if not feasible.any() and count:
        nearest = priced.nearest()
    return [priced.keep(i) for i in best], priced.almost(missed), nearest
