"""Every layout of training, fine-tuning and alignment worth a look.

Layouts that do not fit in memory, and those that arithmetic alone makes too slow or too dear, are
left out before they are priced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from eke.physics.align import align_memory, sides
from eke.physics.layers import attention_heads
from eke.physics.learn import micro_batches
from eke.physics.learn_memory import learning_memory
from eke.physics.machine import Machine, machine
from eke.physics.train import learning_flop
from eke.physics.tune import learning_of
from eke.search.base import Choices, asked_batch, base_plan, global_batch
from eke.search.place import Place, divisors, options, settled, single
from eke.search.serving import head_divisors, stage_counts
from eke.search.simple import GATHERED, WIDE
from eke.search.tally import Tally
from eke.types.fleet import Pool
from eke.types.job import Align, Train, Tune
from eke.types.model import Model
from eke.types.plan import WHOLE_STAGES, Plans

Learner = Train | Tune | Align
SHARED: Mapping[str, tuple[Any, ...]] = {  # fields that all plans of a block share
    "recompute": ("none", "selective", "full"),
    "shard": (0, 1, 2, 3),
    "schedule": ("1f1b",),
    **dict.fromkeys(("shard_ranks", "compute", "weights", "optimizer", "gradients"), (None,)),
}
MICRO = (1, 2, 4, 8, 16, 32)  # sequences per pass
VIRTUAL = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)  # stages per pipeline rank
CONTEXT = (1, 2, 4, 8, 16, 32, 64)  # ranks that share a sequence
SHORTEST = 512  # tokens of a sequence that such a rank still gets
MOVED = 0.05  # how far the global batch may be from what was asked, to divide evenly
BLOCK = 8192  # plans priced at a time: their arrays stay in the cache


def learning(job: Learner, place: Place, tally: Tally) -> Iterator[Plans]:
    """Blocks of plans for a job that learns; of each block those with the lowest bound first."""
    degrees = _degrees(job, place.pool, place.choices)
    for choices in shared_fields(place):
        rows = degrees[meaningful(degrees, choices, place.choices)]
        if not len(rows):
            continue
        floor = _floor(job, plans_of(job, place.pool, choices, rows), place, tally)
        order = np.argsort(floor, kind="stable")
        for at in range(0, len(order), BLOCK):
            part = order[at : at + BLOCK]
            part = part[floor[part] <= tally.bar]
            if not len(part):
                tally.skip(len(order) - at)
                break
            plans = plans_of(job, place.pool, choices, rows[part])
            needed = np.broadcast_to(_memory(job, plans), (len(part),))
            kept = needed <= machine(place.pool, plans, place.knobs).size
            if not kept.any() and tally.best == np.inf:
                kept = needed <= needed.min()  # nothing fits so far: show by how much
            tally.skip(min(BLOCK, len(order) - at) - int(kept.sum()))
            if kept.any():
                yield plans.take(kept)


def shared_fields(place: Place) -> list[dict[str, Any]]:
    """The fields that all plans of a block share, in every combination."""
    streams: tuple[Any, ...] = (False, True) if place.pool.chip.stream_size else (None,)
    return settled(place.choices, {**SHARED, "stream": streams})


COLUMNS = ("tensor", "context", "pipeline", "virtual", "data", "expert", "micro_batch")


def plans_of(job: Learner, pool: Pool, choices: Choices, rows: np.ndarray) -> Plans:
    """Rows of degrees as plans."""
    columns = dict(zip(COLUMNS, rows.T, strict=True))
    batch = global_batch(job, _unit(columns), 1)
    base = base_plan(job, pool, single(choices))
    return Plans(base=base, batch=choices.get("batch", batch), **columns)


def _floor(job: Learner, plans: Plans, place: Place, tally: Tally) -> Any:
    """What the goal's figure is at least; endless for plans that cannot be done by the date."""
    if isinstance(job, Align):
        return tally.floor(plans.chips, 0.0, place.pool, place.knobs)
    seconds = least_time(job, plans, machine(place.pool, plans, place.knobs))
    floor = tally.floor(plans.chips, seconds, place.pool, place.knobs, seconds)
    if job.within is None or tally.best == np.inf:
        return floor
    return np.where(seconds <= job.within, floor, np.inf)


# Of the 1F1B bubble, ZB-H1 leaves (F + B − W) / (F + B + W) or more, and the larger of F and B: a
# third or more while W is no longer than either, as the gradients of weights never are.
LEAST_LEFT = 1 / 3


def least_time(job: Train | Tune, plans: Plans, here: Machine) -> Any:
    """Time that the arithmetic of the whole job takes at the fastest rate any of it reaches, with
    what is computed again and the pipeline's bubble [s]."""
    waiting = (plans.pipeline - 1) * (LEAST_LEFT if plans.schedule == "zero-bubble" else 1.0)
    waiting = waiting / (plans.virtual * micro_batches(plans))
    work = least_flop(job, plans.recompute) / (plans.chips * fastest_rate(here))
    return work * (1 + waiting) * here.knobs.scatter


def least_flop(job: Train | Tune, recompute: str) -> float:
    """FLOP of the whole job, with what is computed again."""
    learning, model = learning_of(job), job.model
    passes = 3.0 + learning.reads
    logits = (1 - learning.scores) * 2 * (model.embedding or model.hidden) * model.vocabulary
    tokens = job.tokens * (job.epochs if isinstance(job, Tune) else 1.0)
    again = (recompute == "full") / passes
    return (learning_flop(learning) - passes * logits) * tokens * (1 + again)


def fastest_rate(here: Machine) -> Any:
    """The highest rate that any arithmetic of learning reaches [FLOP/s]."""
    rates = (here.peak, here.logits, here.attention, here.attention_backward)
    return np.maximum.reduce([np.asarray(rate, dtype=float) for rate in rates])


def _memory(job: Learner, plans: Plans) -> Any:
    """On the fullest chip [B]."""
    if isinstance(job, Align):
        return align_memory(job, sides(job, plans)[0])
    return learning_memory(learning_of(job), plans).total


def meaningful(rows: np.ndarray, choices: Choices, decided: Choices) -> Any:
    """Rows to which the block's ZeRO stage and schedule apply: state can only be spread over
    ranks, FSDP gathers over so many at most, and some schedules know no virtual stages."""
    named = dict(zip(COLUMNS, rows.T, strict=True))
    ranks, shard = named["data"] * named["context"], choices["shard"]
    kept = np.full(len(rows), True)
    if shard and "shard" not in decided:
        kept &= ranks > 1
    if shard == 3 and "shard_ranks" not in choices:
        kept &= ranks <= GATHERED
    if choices["schedule"] in WHOLE_STAGES and "virtual" not in decided:
        kept &= named["virtual"] == 1
    return kept


def _degrees(job: Learner, pool: Pool, choices: Choices) -> Any:
    """Every combination of degrees and micro-batch that divides what it has to, one row each."""
    cuts = cuts_of(job, pool, choices)
    if not cuts:
        return np.empty((0, len(COLUMNS)), dtype=int)
    found = np.concatenate([_with_data(cut, pool, choices) for cut in cuts])
    experts = options(choices, "expert", expert_degrees(job.model))
    micros = options(choices, "micro_batch", WIDE if choices.get("stream") else MICRO)
    each = np.array([(expert, micro) for expert in experts for micro in micros])
    rows = np.hstack([np.repeat(found, len(each), axis=0), np.tile(each, (len(found), 1))])
    tensor, context, data, expert = rows[:, 0], rows[:, 1], rows[:, 4], rows[:, 5]
    rows = rows[tensor * context * data % expert == 0]
    return rows[divides(job, choices, rows)]


def cuts_of(job: Learner, pool: Pool, choices: Choices) -> list[tuple[int, int, int, int]]:
    """Tensor, context and pipeline degree, and virtual stages."""
    layers = job.model.layers
    length = sequence_length(job)
    contexts = tuple(c for c in CONTEXT if c == 1 or c * SHORTEST <= length)
    return [
        (tensor, context, pipeline, virtual)
        for tensor in options(choices, "tensor", head_divisors(job.model, pool))
        if all(heads % tensor == 0 for heads in attention_heads(job.model))
        for context in options(choices, "context", contexts)
        for pipeline in options(choices, "pipeline", stage_counts(layers, pool.chips))
        if tensor * context * pipeline <= pool.chips
        for virtual in options(choices, "virtual", VIRTUAL if pipeline > 1 else (1,))
        if virtual * pipeline <= layers and (virtual == 1 or pipeline > 1)
    ]


def sequence_length(job: Learner) -> int:
    """Of a sequence [tokens]."""
    return int(job.prompt + job.answer) if isinstance(job, Align) else learning_of(job).sequence


def _with_data(cut: tuple[int, int, int, int], pool: Pool, choices: Choices) -> np.ndarray:
    """A cut of the model with every number of data ranks."""
    tensor, context, pipeline, _ = cut
    most = pool.chips // (tensor * context * pipeline)
    ranks = [data for data in options(choices, "data", _data_counts(most)) if data <= most]
    return np.array([(*cut, data) for data in ranks], dtype=int).reshape(-1, len(cut) + 1)


@cache
def _data_counts(most: int) -> tuple[int, ...]:
    """All where they are few; else powers of two and steps of a tenth."""
    if most <= 64:
        return tuple(range(1, most + 1))
    steps = np.geomspace(1, most, int(np.log(most) / np.log(1.1))).astype(int)
    powers = 2 ** np.arange(int(np.log2(most)) + 1)
    return tuple(int(n) for n in np.unique([*steps, *powers, most]))


def expert_degrees(model: Model) -> tuple[int, ...]:
    """Over how many ranks experts may be spread, at most 64."""
    return tuple(degree for degree in divisors(model.experts or 1) if degree <= 64)


def divides(job: Learner, choices: Choices, rows: Any) -> Any:
    """Rows whose micro-batches and ranks divide a global batch of about what was asked, so that all
    are compared at the same one; else those that stay nearest to it."""
    named = dict(zip(COLUMNS, rows.T, strict=True))
    unit = _unit(named)
    if "batch" in choices:
        return choices["batch"] % unit == 0
    batch = global_batch(job, unit, 1)
    near = np.abs(batch / asked_batch(job) - 1) <= MOVED
    return near if near.any() else batch <= batch.min()


def _unit(columns: dict[str, Any]) -> Any:
    """Sequences of which the global batch is a multiple: a micro-batch of every rank, and where
    stages interleave as many of them as there are stages, as their schedule demands."""
    rounds = np.where(columns["virtual"] > 1, columns["pipeline"], 1)
    return columns["data"] * columns["micro_batch"] * rounds
