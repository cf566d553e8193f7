"""The plan that needs least, those near it, and what keeps better ones out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from eke.errors import BadInput
from eke.physics.adapters import distinct_adapters, sharing
from eke.physics.answer import outcome
from eke.physics.outcome import Limit, Outcome
from eke.search.apart import halves
from eke.search.heap import keep_freed_memory
from eke.search.learning import learning
from eke.search.place import Place
from eke.search.serving import serving
from eke.search.tally import Tally
from eke.types.efficiency import Knobs
from eke.types.fleet import Fleet
from eke.types.goal import Goal, figure_of
from eke.types.job import Job, Serve
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


class Candidate(Record):
    """A plan worth remembering. value: of the goal's figure.  ratios: need over have of every
    limit; at most 1 where it is kept.  haves: what each limit allows, and its unit.  figures: of
    the answer."""

    block: Block
    index: int
    value: float
    rank: tuple[float, float]  # among plans of the same value: time, then splitting
    ratios: dict[str, float]
    haves: dict[str, tuple[float, str]]
    figures: dict[str, float]

    @property
    def plan(self) -> Plan:
        """As one plan."""
        return self.block.plans[self.index]


class Found(Record):
    """What a search came back with. best: feasible plans, best first.  almost: for each limit the
    plans that keep all others, best first.  nearest: the plan that misses least, where none is
    feasible."""

    best: list[Candidate]
    almost: dict[str, list[Candidate]]
    nearest: Candidate | None
    considered: int
    priced: int


Apart = Literal["may", "must", "never"]  # whether plans are disaggregated


def blocks(job: Job, places: Sequence[Place], tally: Tally, apart: Apart) -> Iterator[Block]:
    """Everything to look at, in one piece first, then disaggregated."""
    for place in places if apart != "must" else ():
        plans_here = (
            serving(job, place, tally) if isinstance(job, Serve) else learning(job, place, tally)
        )
        fleet = Fleet(pools=(place.pool,))
        for plans in plans_here:
            yield Block(job=job, plans=plans, fleet=fleet, knobs=place.knobs, place=place)
    if isinstance(job, Serve) and apart != "never":
        for place in places:
            for other in places:
                yield from _in_halves(job, place, other, tally)


def _in_halves(job: Serve, place: Place, other: Place, tally: Tally) -> Iterator[Block]:
    same = place.pool is other.pool
    pools = (place.pool,) if same else (place.pool, other.pool)
    knobs = place.knobs if same else replace(place.knobs, prefill=other.knobs)
    for plans in halves(job, place, other, tally):
        yield Block(job=job, plans=plans, fleet=Fleet(pools=pools), knobs=knobs, place=place)


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
            some, missing, miss = _sift(block, goal, tally, margin)
            best = _first(best + some)
            for name, kept in missing.items():
                almost[name] = _first(almost.get(name, []) + kept)
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


def misses(ratios: Mapping[str, Any]) -> tuple[Any, ...]:
    """How far limits are missed, the ones that others follow from first: what does not fit cannot
    run, and what cannot keep up makes everybody wait."""
    groups: tuple[list[Any], ...] = ([1.0], [1.0], [1.0])
    for name, ratio in ratios.items():
        groups[0 if name in CERTAIN else 1 if name in RATES else 2].append(ratio)
    worst = (np.maximum.reduce(np.broadcast_arrays(*group)) for group in groups)
    return tuple(np.broadcast_arrays(*worst))


def first_missed(ratios: Mapping[str, float]) -> str:
    """The limit to speak of where several are missed."""
    order = sorted(ratios, key=lambda name: (name not in CERTAIN, name not in RATES, -ratios[name]))
    return next(name for name in order if ratios[name] > 1)


def _first(kept: list[Candidate]) -> list[Candidate]:
    """The best of all, and the best few of every kind of chip."""
    ranked = sorted(kept, key=lambda each: (each.value, each.rank))
    of_kind: dict[tuple[str, ...], int] = {}
    found: list[Candidate] = []
    for each in ranked:
        kind = tuple(pool.chip.id for pool in each.block.fleet.pools)
        of_kind[kind] = of_kind.get(kind, 0) + 1
        if len(found) < 4 * KEPT or of_kind[kind] <= 4:
            found.append(each)
    return found


def nearer(one: Candidate | None, other: Candidate) -> Candidate:
    """Of two plans, the one that misses its limits by less."""
    return other if one is None or misses(other.ratios) < misses(one.ratios) else one


Sifted = tuple[list[Candidate], dict[str, list[Candidate]], Candidate | None]


def _sift(block: Block, goal: Goal, tally: Tally, margin: float) -> Sifted:
    """The plans of a block worth remembering: the best, the best that miss a single limit, and
    the one that misses least."""
    result = outcome(block.job, block.plans, block.fleet, block.knobs)
    priced = Priced(block, goal, result, margin)
    count = len(priced.value)
    missed = priced.missed.sum(axis=0)
    feasible = missed == 0
    tally.saw(count, float(priced.value[feasible].min()) if feasible.any() else np.inf)
    best = [priced.keep(i) for i in priced.best(feasible, KEPT)]
    nearest = None
    if not feasible.any() and count:
        nearest = priced.nearest()
    return best, priced.almost(missed), nearest


class Priced:
    """A block's figures as flat columns."""

    def __init__(self, block: Block, goal: Goal, result: Outcome, margin: float = 1.0) -> None:
        self.block, plans = block, block.plans
        self.shape = plans.shape
        self.figures = {
            amount.name: amount.value for amount in result.amounts if amount.value is not None
        }
        self.value = self.flat(figure(self.figures, goal.least, block.place))
        self.time = self.flat(self.figures["time"])
        self.group = self.flat(plans.group)
        limits = limits_of(block, goal, result)
        self.limits = [limit.name for limit in limits]
        self.haves = [(self.flat(limit.have), limit.unit) for limit in limits]
        self.ratios = np.array([self.flat(limit_ratio(limit, goal)) for limit in limits])
        most = np.array([1.0 if name in CERTAIN else 1 / margin for name in self.limits])
        self.missed = ~(self.ratios <= most[:, None])

    def almost(self, missed: Any) -> dict[str, list[Candidate]]:
        """For each limit, plans that miss it alone: the best, and those that miss it by least.

        missed: how many limits each plan misses.
        """
        found = {}
        for row, name in enumerate(self.limits):
            those = np.flatnonzero(self.missed[row] & (missed == 1))
            if name != "chips" and len(those):
                near = those[np.argsort(self.ratios[row, those])[:4]]
                mask = np.isin(np.arange(len(missed)), those)
                found[name] = [self.keep(i) for i in dict.fromkeys([*near, *self.best(mask, 8)])]
        return found

    def nearest(self) -> Candidate:
        """The plan that misses its limits by least."""
        return self.keep(np.lexsort(misses(self._by_limit())[::-1])[0])

    def _by_limit(self) -> dict[str, Any]:
        rows: dict[str, Any] = {}
        for name, ratio in zip(self.limits, self.ratios, strict=True):
            rows[name] = np.maximum(rows.get(name, 0.0), ratio)
        return rows

    def flat(self, value: Any) -> Any:
        """One number per plan."""
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
        halves = [plans] + ([plans.prefill] if isinstance(plans.prefill, Plans) else [])
        for half in halves:
            for name in ("tensor", "pipeline", "context", "data", "expert", "virtual", "replicas"):
                mixed = mixed * 131071 + self.flat(getattr(half, name))[index]
                mixed = mixed % 9007199254740881
        return mixed

    def keep(self, i: int) -> Candidate:
        """One of them, to remember."""
        i = int(i)
        return Candidate(
            block=self.block,
            index=i,
            value=float(self.value[i]),
            rank=(float(self.time[i]), float(self.group[i])),
            ratios=dict(zip(self.limits, self.ratios[:, i].tolist(), strict=True)),
            haves={
                name: (float(have[i]), unit)
                for name, (have, unit) in zip(self.limits, self.haves, strict=True)
            },
            figures={name: float(self.flat(value)[i]) for name, value in self.figures.items()},
        )


RATES = ("throughput", "prefill", "host link")
CERTAIN = (
    "chips",
    "memory",
    "external memory",
    "prefill memory",
    "replicas",
    "rollout chips",
    "adapter slots",
)


def limits_of(block: Block, goal: Goal, result: Outcome) -> list[Limit]:
    """Of the job, of the pools and of the goal."""
    wanted = _wanted(goal, result, block.place)
    return [*_within_pools(block), *result.limits, *_slots(block, result), *wanted]


def _slots(block: Block, result: Outcome) -> list[Limit]:
    """As many fine-tunes resident as a batch has different ones: the physics does not count the
    wait for one to be released, so a plan that would live on it is not looked for."""
    job, plans = block.job, block.plans
    if not isinstance(job, Serve) or not job.adapters:
        return []
    at_once = result["concurrency"] / sharing(job, plans)
    wanted = distinct_adapters(adapters=job.adapters, sequences=at_once)
    slots = np.asarray(plans.adapter_slots)
    have = np.where(slots > 0, slots, np.inf)
    hint = "more adapter slots"
    return [Limit(name="adapter slots", need=wanted, have=have, unit="1", hint=hint)]


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
    half = plans.prefill
    if half is None:
        return []
    own = plans.chips - half.chips
    if len(pools) == 1:
        rows = [("chips", plans.chips, pools[0].chips)]
    else:
        rows = [("chips", own, pools[0].chips), ("chips", half.chips, pools[1].chips)]
    return [Limit(name=n, need=x, have=y, unit="1", hint="more chips") for n, x, y in rows]


def _wanted(goal: Goal, result: Outcome, place: Place) -> list[Limit]:
    """The goal's own limits."""
    figures = {amount.name: amount.value for amount in result.amounts if amount.value is not None}
    units = {amount.name: amount.unit for amount in result.amounts}
    return [
        Limit(
            name=limit.figure,
            need=figure(figures, limit.figure, place),
            have=limit.most,
            unit=units[figure_of(limit.figure)],
            hint="a looser limit",
        )
        for limit in goal.within
    ]


def limit_ratio(limit: Limit, goal: Goal) -> Any:
    """Need over have; memory less what is to stay free."""
    have = np.asarray(limit.have, dtype=float)
    if limit.name == "memory":
        have = have * (1 - goal.headroom)
    return np.where(have > 0, limit.need / np.where(have > 0, have, 1.0), np.inf)
