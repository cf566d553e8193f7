"""Pipelines over two kinds of chips: earlier stages at one place, later ones at another.

Both halves have the same data ranks and micro-batches; each has a tensor degree and a number of
stages of its own. The layers of a stage follow from those: eke balances them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from eke.physics.learn import Learning, micro_batches
from eke.physics.machine import Machine, machine
from eke.physics.mixed import apart, halves, holds, settled
from eke.physics.tune import learning_of
from eke.search.base import Choices, base_plan
from eke.search.learning import (
    BLOCK,
    COLUMNS,
    MICRO,
    cuts_of,
    divides,
    expert_degrees,
    fastest_rate,
    least_flop,
    meaningful,
    plans_of,
    sequence_length,
    shared_fields,
)
from eke.search.place import Place, options
from eke.search.simple import PIPELINES, tensor_degrees
from eke.search.tally import Tally
from eke.types.fleet import Fleet, Pool
from eke.types.job import Train, Tune
from eke.types.plan import UNEVEN, Plans, later_stages
from eke.types.record import Record, replace

WHOLE = 16384  # tokens of a sequence up to which only a few context ranks are tried
SHARES = (1, 2, 4)  # those
NEAR = 1.1  # beyond so many times the best of one kind of chips, two are not worth the trouble
FEW = 16  # data ranks up to which each number is tried; beyond, powers of two and half as many more
OWN = len(COLUMNS)


class Pair(Record):
    """Where the earlier and the later stages run."""

    job: Train | Tune
    place: Place
    other: Place

    @property
    def knobs(self) -> Any:
        """Of both places."""
        return replace(self.place.knobs, other=self.other.knobs)

    @property
    def fleet(self) -> Fleet:
        """Both pools, that of the front first."""
        return Fleet(pools=(self.place.pool, self.other.pool))


def mixed(pair: Pair, tally: Tally) -> Iterator[Plans]:
    """Blocks of plans whose pipeline begins at one place and ends at the other; of each block those
    with the lowest bound first."""
    decided = pair.place.choices
    if any(n != 1 for name in ("virtual", "replicas") for n in options(decided, name, (1,))):
        return
    degrees = _degrees(pair)
    for choices in shared_fields(pair.place):
        if choices["schedule"] not in UNEVEN or choices.get("stream"):
            continue
        if "shard" not in decided and choices["shard"] > 1:
            continue  # a pipeline holds on to its weights; who shards them too says so
        rows = degrees[meaningful(degrees[:, :OWN], choices, decided)]
        if not len(rows):
            continue
        floor = _floor(pair, _plans(pair, choices, rows), tally)
        order = np.argsort(floor, kind="stable")
        for at in range(0, len(order), BLOCK):
            part = order[at : at + BLOCK]
            part = part[floor[part] <= min(tally.bar, NEAR * tally.best)]
            if not len(part):
                tally.skip(len(order) - at)
                break
            plans = _plans(pair, choices, rows[part])
            kept = np.broadcast_to(holds(apart(*_both(pair, plans))), (len(part),))
            if not kept.any() and tally.best == np.inf:
                kept = np.arange(len(part)) == 0  # nothing fits so far: show by how much
            tally.skip(min(BLOCK, len(order) - at) - int(kept.sum()))
            if kept.any():
                some = plans.take(kept)
                yield settled(some, halves(*_both(pair, some)))


def _degrees(pair: Pair) -> Any:
    """Every combination of both halves' degrees and the micro-batch: the columns of one place, then
    tensor degree and stages of the later ones."""
    job, choices = pair.job, pair.place.choices
    layers = job.model.layers
    one, two = (_cuts(pair, place.pool) for place in (pair.place, pair.other))
    found = [
        (tensor, context, pipeline, data, rear, later)
        for tensor, context, pipeline in one
        for rear, same, later in two
        if same == context and pipeline + later <= layers
        for data in _ranks(pair, tensor * context * pipeline, rear * context * later)
    ]
    experts = options(choices, "expert", expert_degrees(job.model))
    micros = options(choices, "micro_batch", MICRO)
    each = np.array([(expert, micro) for expert in experts for micro in micros], dtype=int)
    cuts = np.repeat(np.array(found, dtype=int).reshape(-1, 6), len(each), axis=0)
    expert, micro = np.tile(each, (len(found), 1)).T
    tensor, context, pipeline, data, rear, later = cuts.T
    virtual = np.ones_like(data)
    rows = np.stack([tensor, context, pipeline, virtual, data, expert, micro, rear, later], axis=1)
    ranks = context * data
    rows = rows[(tensor * ranks % expert == 0) & (rear * ranks % expert == 0)]
    return rows[divides(job, choices, rows[:, :OWN])] if len(rows) else rows


def _cuts(pair: Pair, pool: Pool) -> list[tuple[int, int, int]]:
    """Tensor and context degree and stages of one half: tensor degrees inside its fast links, the
    usual numbers of stages, and many context ranks for long sequences alone."""
    model, usual = pair.job.model, {"tensor": tuple(tensor_degrees(pair.job.model, pool))}
    layers = model.layers
    usual["pipeline"] = tuple(stages for stages in PIPELINES if stages < layers)
    usual |= {"context": SHARES} if sequence_length(pair.job) <= WHOLE else {}
    found = cuts_of(pair.job, pool, {**usual, **pair.place.choices, "virtual": 1})
    return [(tensor, context, pipeline) for tensor, context, pipeline, _ in found]


def _ranks(pair: Pair, front: int, rear: int) -> list[int]:
    """Data ranks for which both places have chips, with so many for a rank at each."""
    most = min(pair.place.pool.chips // front, pair.other.pool.chips // rear)
    return [n for n in options(pair.place.choices, "data", _few(most)) if n <= most]


@cache
def _few(most: int) -> tuple[int, ...]:
    """Each up to `FEW`, then powers of two and half as many more, and the most there are."""
    steps = [n for k in range(most.bit_length()) for n in (2**k, 3 * 2**k // 2) if n > FEW]
    return tuple(sorted({*range(1, min(most, FEW) + 1), *steps, *([most] if most else [])}))


def _plans(pair: Pair, choices: Choices, rows: np.ndarray) -> Plans:
    """Rows as plans; the later stages compute in a decided format only where their chips can."""
    job, pool = pair.job, pair.other.pool
    kept = {name: choices[name] for name in ("recompute", "weights") if name in choices}
    if choices.get("compute") in pool.chip.peak:
        kept["compute"] = choices["compute"]
    front = plans_of(job, pair.place.pool, choices, rows[:, :OWN])
    tensor, pipeline = rows[:, OWN:].T
    base = base_plan(job, pool, kept)
    rear = Plans(base=base, tensor=tensor, pipeline=pipeline, expert=front.expert)
    return replace(front, rear=rear)


def machines(pair: Pair, plans: Plans) -> tuple[Machine, Machine]:
    """The chips of both halves as the physics sees them."""
    places = ((pair.place, plans), (pair.other, later_stages(plans)))
    here, there = (machine(place.pool, half, place.knobs) for place, half in places)
    return here, there


def _both(pair: Pair, plans: Plans) -> tuple[Learning, Plans, Machine, Machine]:
    """What the physics takes the halves of plans from."""
    return learning_of(pair.job), plans, *machines(pair, plans)


def _floor(pair: Pair, plans: Plans, tally: Tally) -> Any:
    """What the goal's figure is at least; endless for plans that cannot be done by the date."""
    job, one, two = pair.job, pair.place, pair.other
    seconds = least_time(job, plans, machines(pair, plans))
    floor = tally.floor(plans.own_chips, seconds, one.pool, one.knobs, seconds)
    if tally.figure != "time":  # both halves have to be paid, but take their time at once
        floor = floor + tally.floor(plans.other_chips, seconds, two.pool, two.knobs)
    if job.within is None or tally.best == np.inf:
        return floor
    return np.where(seconds <= job.within, floor, np.inf)


def least_time(job: Train | Tune, plans: Plans, machines: tuple[Machine, Machine]) -> Any:
    """Time that the arithmetic of the whole job takes at the fastest rates any of it reaches: a
    micro-batch passes at the pace of all stages together, and the last one of a step takes as long
    as where all layers stand on the faster chips [s]."""
    rates = [fastest_rate(each) for each in machines]
    stage = [half.tensor * rate for half, rate in zip((plans, plans.rear), rates, strict=True)]
    together = plans.pipeline * stage[0] + plans.rear.pipeline * stage[1]
    m = micro_batches(plans)
    each = (1 - 1 / m) / together + 1 / m / np.maximum(*stage)
    scatter = np.minimum(*(each.knobs.scatter for each in machines))
    work = least_flop(job, plans.recompute) / (plans.data * plans.context)
    return work * each * scatter
