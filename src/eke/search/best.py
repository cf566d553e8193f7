"""The plan that needs least, those near it, and what keeps better ones out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from eke.errors import BadInput
from eke.physics.answer import outcome
from eke.physics.outcome import Limit, Outcome
from eke.search.apart import apart
from eke.search.learning import learning
from eke.search.mixed import Pair, mixed
from eke.search.place import Place
from eke.search.serving import serving
from eke.search.tally import Tally
from eke.types.efficiency import Knobs
from eke.types.fleet import Fleet
from eke.types.goal import MEASURES, Goal
from eke.types.job import Job, Serve, Train, Tune
from eke.types.plan import Plan, Plans
from eke.types.record import Record, replace

KEPT = 48  # plans of a block that are kept, the best
Progress = Callable[[int, float], None]  # plans considered, best figure so far


class Block(Record):
    """Plans that share formats, and where they run: pools, their knobs."""

    job: Job
    plans: Plans
    fleet: Fleet
    knobs: Knobs
    place: Place


class Kept(Record):
    """A plan worth remembering. value: of the goal's figure.  ratios: need over have of every
    limit; at most 1 where it is kept.  figures: of the answer that a limit or a measure names."""

    block: Block
    index: int
    value: float
    rank: tuple[float, float]  # among plans of the same value: time, then splitting
    ratios: dict[str, float]
    figures: dict[str, float]

    @property
    def plan(self) -> Plan:
        """As one plan."""
        return self.block.plans[self.index]

    @property
    def feasible(self) -> bool:
        """Whether every limit is kept."""
        return all(ratio <= 1 for ratio in self.ratios.values())


class Found(Record):
    """What a search came back with. best: feasible plans, best first.  almost: for each limit the
    plans that keep all others, best first.  nearest: the plan that misses least, where none is
    feasible."""

    best: list[Kept]
    almost: dict[str, list[Kept]]
    nearest: Kept | None
    considered: int
    priced: int


def figure_of(name: str) -> str:
    """The figure of an answer that a goal's word stands for."""
    return MEASURES.get(name, name)


def blocks(job: Job, places: Sequence[Place], tally: Tally, whole: bool) -> Iterator[Block]:
    """Everything to look at. whole: only plans of one half, on one pool."""
    for place in places:
        one = Fleet(pools=(place.pool,))
        if isinstance(job, Serve):
            found = serving(job, place, tally)
        else:
            found = learning(job, place, tally)
        for plans in found:
            yield Block(job=job, plans=plans, fleet=one, knobs=place.knobs, place=place)
    for place, other in product(places, repeat=2) if not whole else ():
        if isinstance(job, Serve):
            yield from _apart(job, place, other, tally)
        elif isinstance(job, Train | Tune) and place.pool.chip.id != other.pool.chip.id:
            yield from _mixed(Pair(job=job, place=place, other=other), tally)


def _apart(job: Serve, place: Place, other: Place, tally: Tally) -> Iterator[Block]:
    same = place.pool is other.pool
    pools = (place.pool,) if same else (place.pool, other.pool)
    knobs = place.knobs if same else replace(place.knobs, other=other.knobs)
    for plans in apart(job, place, other, tally):
        yield Block(job=job, plans=plans, fleet=Fleet(pools=pools), knobs=knobs, place=place)


def _mixed(pair: Pair, tally: Tally) -> Iterator[Block]:
    for plans in mixed(pair, tally):
        yield Block(job=pair.job, plans=plans, fleet=pair.fleet, knobs=pair.knobs, place=pair.place)


def search(
    jobs: Sequence[Job],
    places: Sequence[Place],
    goal: Goal,
    *,
    whole: bool = False,
    progress: Progress | None = None,
) -> Found:
    """Price every plan that a bound does not rule out, and keep what matters of them.

    jobs: the same job in the ways it may be asked, such as alignment with and without chips of
    its own for generation.
    """
    tally = Tally(figure_of(goal.least))
    best: list[Kept] = []
    almost: dict[str, list[Kept]] = {}
    nearest: Kept | None = None
    for job in jobs:
        for block in blocks(job, places, tally, whole):
            some, missing, miss = _sift(block, goal, tally)
            best = _first(best + some)
            for name, kept in missing.items():
                almost[name] = _first(almost.get(name, []) + kept)
            if miss is not None and (nearest is None or _worst(miss) < _worst(nearest)):
                nearest = miss
            if progress is not None:
                progress(tally.considered, tally.best)
    return Found(
        best=best,
        almost=almost,
        nearest=nearest,
        considered=tally.considered,
        priced=tally.priced,
    )


def _worst(kept: Kept) -> float:
    return max(kept.ratios.values())


def _first(kept: list[Kept]) -> list[Kept]:
    return sorted(kept, key=lambda each: (each.value, each.rank))[: 4 * KEPT]


Sifted = tuple[list[Kept], dict[str, list[Kept]], Kept | None]


def _sift(block: Block, goal: Goal, tally: Tally) -> Sifted:
    """The plans of a block worth remembering: the best, the best that miss a single limit, and
    the one that misses least."""
    result = outcome(block.job, block.plans, block.fleet, block.knobs)
    priced = _Priced(block, goal, result)
    count = len(priced.value)
    missed = priced.missed.sum(axis=0)
    feasible = missed == 0
    tally.saw(count, float(priced.value[feasible].min()) if feasible.any() else np.inf)
    best = [priced.keep(i) for i in priced.best(feasible, KEPT)]
    almost = {
        name: [priced.keep(i) for i in priced.best(priced.missed[row] & (missed == 1), 8)]
        for row, name in enumerate(priced.limits)
        if name != "chips"
    }
    nearest = None
    if not feasible.any() and count:
        nearest = priced.keep(int(np.argmin(priced.ratios.max(axis=0))))
    return best, {name: kept for name, kept in almost.items() if kept}, nearest


class _Priced:
    """A block's figures as flat columns."""

    def __init__(self, block: Block, goal: Goal, result: Outcome) -> None:
        self.block, plans = block, block.plans
        self.shape = plans.shape
        self.figures = {
            amount.name: amount.value for amount in result.amounts if amount.value is not None
        }
        self.value = self._flat(figure(self.figures, goal.least, block.place))
        self.time = self._flat(self.figures["time"])
        self.group = self._flat(plans.group)
        limits = [*_within_pools(block), *result.limits, *_wanted(goal, self.figures, block.place)]
        self.limits = [limit.name for limit in limits]
        self.ratios = np.array([self._flat(_ratio(limit, goal)) for limit in limits])
        self.missed = ~(self.ratios <= 1)

    def _flat(self, value: Any) -> Any:
        return np.broadcast_to(np.asarray(value, dtype=float), self.shape).ravel()

    def best(self, those: Any, most: int) -> Any:
        """Indices of the best of `those`, one of each layout before further ones of the same."""
        index = np.flatnonzero(those)
        if len(index) > 64 * most:
            cut = np.partition(self.value[index], 64 * most)[64 * most]
            index = index[self.value[index] <= cut]
        near = np.round(np.log(np.maximum(self.value[index], 1e-300)) / ALIKE)
        order = index[np.lexsort((self.group[index], self.time[index], near))]
        _, first = np.unique(self._layout(order), return_index=True)
        return order[np.sort(first)[:most]]

    def _layout(self, index: Any) -> Any:
        """A number that tells layouts of a block apart, whatever their settings."""
        plans, mixed = self.block.plans, np.zeros(len(index))
        halves = [plans] + ([plans.other] if isinstance(plans.other, Plans) else [])
        for half in halves:
            for name in ("tensor", "pipeline", "context", "data", "expert", "virtual", "replicas"):
                mixed = mixed * 131071 + self._flat(getattr(half, name))[index]
                mixed = mixed % 9007199254740881
        return mixed

    def keep(self, i: int) -> Kept:
        """One of them, to remember."""
        i = int(i)
        return Kept(
            block=self.block,
            index=i,
            value=float(self.value[i]),
            rank=(float(self.time[i]), float(self.group[i])),
            ratios=dict(zip(self.limits, self.ratios[:, i].tolist(), strict=True)),
            figures={name: float(self._flat(value)[i]) for name, value in self.figures.items()},
        )


ALIKE = 1e-3  # figures this close count as equal; then the faster plan is better


def figure(figures: dict[str, Any], name: str, place: Place) -> Any:
    """A figure of the answer by the goal's word. Raises BadInput where there is none."""
    wanted = figure_of(name)
    if wanted in figures:
        return figures[wanted]
    if wanted == "money":
        raise BadInput(
            f"nobody has published what {place.pool.chip.id} costs; give --price, or another goal."
        )
    if wanted in ("energy", "carbon"):
        raise BadInput(
            f"nobody has published the power of {place.pool.chip.id}; choose another goal."
        )
    raise BadInput(f"no figure {name!r}; there are {', '.join(figures)}.")


def _within_pools(block: Block) -> list[Limit]:
    """No more chips than the pools have."""
    plans, pools = block.plans, block.fleet.pools
    if plans.other is None:
        return []
    if len(pools) == 1:
        rows = [("chips", plans.chips, pools[0].chips)]
    else:
        both = (plans.own_chips, plans.other_chips)
        rows = [("chips", own, pool.chips) for own, pool in zip(both, pools, strict=True)]
    return [Limit(name=n, need=x, have=y, unit="1", hint="more chips") for n, x, y in rows]


def _wanted(goal: Goal, figures: dict[str, Any], place: Place) -> list[Limit]:
    """The goal's own limits."""
    return [
        Limit(
            name=limit.figure,
            need=figure(figures, limit.figure, place),
            have=limit.most,
            unit="",
            hint="a looser limit",
        )
        for limit in goal.within
    ]


def _ratio(limit: Limit, goal: Goal) -> Any:
    """Need over have; memory less what is to stay free."""
    have = np.asarray(limit.have, dtype=float)
    if limit.name in ("memory", "rear memory"):
        have = have * (1 - goal.headroom)
    return np.where(have > 0, limit.need / np.where(have > 0, have, 1.0), np.inf)
