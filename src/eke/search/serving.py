"""Every layout of serving worth a look.

A block holds engine layouts along one axis and copies along the other, so that what a replica does
with so many sequences in flight is worked out once per layout. A layout that cannot hold the model,
and a number of copies that cannot keep up with the rate, are left out before latencies are priced:
memory and throughput alone rule them out, whatever else they have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import gcd
from typing import Any

import numpy as np

from eke.physics.adapters import sharing
from eke.physics.answer import outcome
from eke.physics.engine import GRID
from eke.physics.layers import attention_heads
from eke.physics.outcome import Outcome
from eke.search.base import Choices, base_plan
from eke.search.place import Place, counts, divisors, grid, options, settled, single
from eke.search.simple import PIPELINES
from eke.search.tally import Tally
from eke.types.fleet import Fleet, Pool
from eke.types.job import Serve
from eke.types.model import Model
from eke.types.plan import Plans
from eke.types.record import Record, replace

IN_FLIGHT = (8, 16, 32, 64, 128, 256, 512, 1024)  # most sequences of a replica
BUDGETS = (512, 1024, 2048, 4096, 8192, 16384)  # most tokens of one engine step
GUESSES = (0, 1, 2, 3, 4, 5, 6, 8)  # drafted tokens, where their acceptance is known
SLOTS = (0, *(2**k for k in range(11)))  # fine-tunes resident on a replica; 0 merges each
# Fields that all plans of a block share; None leaves them as they are by default.
SHARED: Mapping[str, tuple[Any, ...]] = dict.fromkeys(
    ("weights", "compute", "cache", "sparse"), (None,)
)
NUMBERS = 12_288  # in the arrays of a block, which so stay in the cache: 96 kB each
ROUNDS = ((0, 8), (8, 64), (64, 10**9))  # further copies looked at together, few first


def serving(job: Serve, place: Place, tally: Tally) -> Iterator[Plans]:
    """Blocks of plans whose prompts and answers run on the same chips."""
    for choices in shared_fields(job, place):
        every = all_layouts(job, place.pool, choices)
        able = able_layouts(job, place, choices, every, tally)
        if len(able):
            yield from copied(job, place, choices, able, tally)
        elif len(every):  # nothing can: show by how much
            for part in every.parts():
                yield plans_of(job, place.pool, choices, part.columns, part.most[:, None])


def shared_fields(job: Serve, place: Place) -> list[dict[str, Any]]:
    """The fields that all plans of a block share, in every combination."""
    either, usual = (False, True), (None,)
    open_ones: dict[str, tuple[Any, ...]] = {
        "stream": either if place.pool.chip.stream_size else usual,
        "offload": either if job.pause and job.reuse else usual,
    }
    return settled(place.choices, {**SHARED, **open_ones})


class Layouts(Record):
    """Columns of layouts, and the fewest and most copies of each that are worth a look."""

    columns: dict[str, np.ndarray]
    least: np.ndarray
    most: np.ndarray

    def __len__(self) -> int:
        return len(self.least)

    def some(self, those: Any) -> Layouts:
        """The rows that an index, a slice or a mask picks."""
        columns = {name: column[those] for name, column in self.columns.items()}
        return Layouts(columns=columns, least=self.least[those], most=self.most[those])

    def parts(self) -> Iterator[Layouts]:
        """In pieces; each is looked at with `GRID` numbers of sequences in flight."""
        size = NUMBERS // GRID
        yield from (self.some(slice(at, at + size)) for at in range(0, len(self), size))

    @property
    def group(self) -> Any:
        """Chips of one copy."""
        return self.columns["tensor"] * self.columns["pipeline"] * self.columns["data"]


def able_layouts(
    job: Serve, place: Place, choices: Choices, every: Layouts, tally: Tally
) -> Layouts:
    """Layouts that hold the model, with the copies that keep up with the rate.

    Looked at with as many copies as there are chips for, which leaves each the most room.
    """
    asked = job.rate / job.utilisation
    found = []
    for part in every.parts():
        plans = plans_of(job, place.pool, choices, part.columns, part.most[:, None])
        result = outcome(job, plans, Fleet(pools=(place.pool,)), place.knobs)
        each = np.where(fits(result), result["rate_most"] / sharing(job, plans), 0.0)
        each = np.broadcast_to(each, plans.shape).ravel()
        least = np.ceil(asked / np.maximum(each, 1e-30) * (1 - 1e-12)).clip(1, 1e9).astype(int)
        least = np.maximum(least, part.least)
        able = replace(part, least=least).some(least <= part.most)
        tally.skip(int(part.most.sum() - (able.most - able.least + 1).sum()))
        found.append(able)
    return _joined(found) if found else every


def _joined(parts: list[Layouts]) -> Layouts:
    names = parts[0].columns
    return Layouts(
        columns={name: np.concatenate([part.columns[name] for part in parts]) for name in names},
        least=np.concatenate([part.least for part in parts]),
        most=np.concatenate([part.most for part in parts]),
    )


def fits(result: Outcome) -> Any:
    """Whether memory holds it, per plan."""
    kept: Any = True
    for limit in result.limits:
        if limit.name in ("memory", "external memory"):
            kept = kept & (limit.need <= limit.have)
    return kept


def copied(
    job: Serve, place: Place, choices: Choices, able: Layouts, tally: Tally
) -> Iterator[Plans]:
    """Blocks of layouts down and copies across, few copies first; those that chips alone make too
    dear are left out."""
    for low, high in ROUNDS:
        room = able.most - able.least
        seconds = 1 / job.rate
        floor = tally.floor(able.group * (able.least + low), seconds, place.pool, place.knobs)
        wanted = (room >= low) & (floor <= tally.bar)
        tally.skip(int((np.minimum(room, high - 1) - low + 1)[(room >= low) & ~wanted].sum()))
        for alike in _alike(able.some(wanted), low, high):
            across = _across(alike, low, high)
            size = max(NUMBERS // max(across.shape[1], GRID), 1)
            for at in range(0, len(alike), size):
                part = alike.some(slice(at, at + size))
                yield plans_of(job, place.pool, choices, part.columns, across[at : at + size])


def _alike(able: Layouts, low: int, high: int) -> Iterator[Layouts]:
    """Layouts with about as many further copies together, so that blocks have few empty places."""
    size = np.ceil(np.log2(np.minimum(able.most - able.least, high - 1) - low + 1)).astype(int)
    yield from (able.some(size == each) for each in np.unique(size))


def _across(alike: Layouts, low: int, high: int) -> Any:
    """Numbers of copies of each layout; one without room repeats its last."""
    most = int(min((alike.most - alike.least).max(), high - 1))
    steps = low + np.array([0, *counts(most - low)])
    return np.minimum(alike.least[:, None] + steps, alike.most[:, None])


def all_layouts(job: Serve, pool: Pool, choices: Choices) -> Layouts:
    """Every way to lay out one replica, with the engine's settings."""
    base = base_plan(job, pool, {})
    settings = grid(
        batch=options(choices, "batch", tuple(sorted({*IN_FLIGHT, base.batch}))),
        token_budget=options(choices, "token_budget", tuple(sorted({*BUDGETS, base.token_budget}))),
        drafts=options(choices, "drafts", GUESSES if "acceptance" in choices else (0,)),
        adapter_slots=options(choices, "adapter_slots", _slots(job)),
    )
    rows = _degrees(job.model, pool, choices)
    copies = options(choices, "replicas", (0,))
    which, setting, copy = (
        axis.ravel()
        for axis in np.meshgrid(
            np.arange(len(rows)),
            np.arange(len(settings["batch"])),
            np.array(copies),
            indexing="ij",
        )
    )
    columns = {name: rows[which, i] for i, name in enumerate(DEGREES)}
    columns |= {name: column[setting] for name, column in settings.items()}
    most = pool.chips // rows.prod(axis=1, where=[True, True, True, False])[which]
    found = Layouts(columns=columns, least=np.maximum(copy, 1), most=np.where(copy, copy, most))
    return found.some(found.most * found.group <= pool.chips)


def _slots(job: Serve) -> tuple[int, ...]:
    """Fine-tunes that a replica may hold: up to all of them."""
    return tuple(sorted({*(n for n in SLOTS if n < job.adapters), job.adapters}))


DEGREES = ("tensor", "pipeline", "data", "expert")


def _degrees(model: Model, pool: Pool, choices: Choices) -> np.ndarray:
    """Rows of tensor, pipeline, data and expert degree of one replica."""
    heads = attention_heads(model)
    layers = model.layers
    experts = model.experts
    ranks = tuple(2**k for k in range(12)) if experts else (1,)
    rows = [
        (tensor, pipeline, data, expert)
        for tensor in options(choices, "tensor", head_divisors(model, pool))
        for pipeline in options(choices, "pipeline", stage_counts(layers, pool.chips))
        for data in options(choices, "data", ranks)
        if tensor * pipeline * data <= pool.chips and pipeline <= layers
        for expert in options(choices, "expert", _expert_degrees(experts, tensor * data))
        if tensor * data % expert == 0 and all(each % tensor == 0 for each in heads)
    ]
    return np.array(rows, dtype=int).reshape(-1, len(DEGREES))


def head_divisors(model: Model, pool: Pool) -> tuple[int, ...]:
    """Whatever divides all attention heads."""
    whole = gcd(*attention_heads(model)) or pool.domain
    return tuple(degree for degree in divisors(whole) if degree <= pool.chips)


SMALL = 128  # chips up to which every number of pipeline stages is tried


def stage_counts(layers: int, chips: int) -> tuple[int, ...]:
    """Numbers of pipeline stages to try: all where chips are few, else the usual and the even."""
    if chips <= SMALL:
        return tuple(range(1, min(layers, chips) + 1))
    known = {*PIPELINES, *divisors(layers), *range(1, 17)}
    return tuple(sorted(p for p in known if p <= layers))


FEW = 16  # ranks up to which experts are spread over any number of them that divides both


def _expert_degrees(experts: int, ranks: int) -> tuple[int, ...]:
    """Over how many ranks experts may be spread: as many as divide both; of many ranks all or none,
    as engines have it."""
    if not experts:
        return (1,)
    whole = gcd(experts, ranks)
    return tuple(divisors(whole)) if ranks <= FEW else tuple(sorted({1, whole}))


def plans_of(
    job: Serve, pool: Pool, choices: Choices, columns: dict[str, np.ndarray], replicas: np.ndarray
) -> Plans:
    """A block: layouts down, copies across."""
    base = replace(base_plan(job, pool, single(choices)), replicas=1)
    return Plans(
        base=base,
        block=base.block,
        prefill=base.prefill,
        replicas=replicas,
        **{name: column[:, None] for name, column in columns.items()},
    )
