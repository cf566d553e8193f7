"""The search over pipelines on two kinds of chips, against trying every plan."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from tests.conftest import pool_of
from tests.two_kinds import ALONE, FAST, SLOW, priced

from eke.catalog.models import model as catalogued
from eke.physics.answer import outcome
from eke.search.best import search
from eke.search.mixed import Pair, least_time, machines, mixed
from eke.search.place import Place
from eke.search.tally import Tally
from eke.types.goal import Goal, figure_of
from eke.types.job import Train, Tune
from eke.types.plan import Plan
from eke.types.record import replace

CHOICES = {
    "tensor": (1, 2, 4),
    "pipeline": (1, 2, 3),
    "virtual": 1,
    "context": 1,
    "micro_batch": (1, 2),
    "shard": (1, 3),
    "recompute": ("selective", "full"),
    "schedule": "1f1b",
    "batch": 48,
}
SMALL = {chip: pool_of(chip, 8) for chip in (FAST, SLOW)}


def place(chip: str, **choices: Any) -> Place:
    return Place(pool=SMALL[chip], knobs=ALONE[chip], choices=CHOICES | choices)


def every_plan(chip: str, rear: str) -> Iterator[Plan]:
    """Everything the choices allow, written out: on one kind of chips, then on two."""
    names = ("tensor", "pipeline", "micro_batch", "shard", "recompute")
    for row in product(*(CHOICES[name] for name in names), range(1, 9)):
        *values, data = row
        settings: Any = dict(zip(names, values, strict=True)) | {"data": data}
        one = Plan(chip=chip, batch=CHOICES["batch"], **settings)
        if CHOICES["batch"] % (data * one.micro_batch) or one.chips > 8:
            continue
        yield one
        for tensor, pipeline in product(CHOICES["tensor"], CHOICES["pipeline"]):
            if tensor * pipeline * data <= 8:
                half = Plan(chip=rear, tensor=tensor, pipeline=pipeline, recompute=one.recompute)
                yield replace(one, rear=half)


def tuning(size: str) -> Tune:
    method = "lora" if size == "llama-3.1-70b" else "full"
    return Tune(model=catalogued(size), tokens=1e9, method=method, sequence=2048)  # type: ignore[arg-type]


@cache
def tried(size: str) -> dict[str, float]:
    """The least of each figure over every plan, on eight chips of each kind, in either order."""
    best: dict[str, float] = dict.fromkeys(("time", "money", "energy"), np.inf)
    for plan in (p for pair in ((FAST, SLOW), (SLOW, FAST)) for p in every_plan(*pair)):
        result = priced(tuning(size), plan)
        if result.feasible:
            best = {name: min(least, float(result[name])) for name, least in best.items()}
    return best


@pytest.mark.parametrize("least", ["time", "cost", "energy"])
@pytest.mark.parametrize("size", ["llama-3.1-8b", "llama-3.1-70b"])
def test_the_search_finds_what_trying_everything_finds(least: str, size: str) -> None:
    job, figure = tuning(size), figure_of(least)
    best = tried(size)[figure]
    found = search([job], [place(FAST), place(SLOW)], Goal(least=least))
    assert found.best[0].value == pytest.approx(best, rel=0.01)
    plan = found.best[0].plan
    assert float(priced(job, plan)[figure]) == pytest.approx(found.best[0].value)
    if least == "time":
        assert plan.rear is not None and plan.stage_layers > 0
        assert plan.own_chips <= 8 and plan.other_chips <= 8


def test_bounds_of_the_search_stay_below_what_they_bound() -> None:
    job = Train(model=catalogued("llama-3.1-8b"), tokens=1e11, sequence=4096)
    pair = Pair(job=job, place=place(FAST), other=place(SLOW))
    blocks = list(mixed(pair, Tally("time")))
    assert blocks
    for block in blocks:
        took = outcome(job, block, pair.fleet, pair.knobs)["time"]
        assert np.all(least_time(job, block, machines(pair, block)) <= took * (1 + 1e-9))


def test_a_search_in_one_place_looks_at_one_kind() -> None:
    job = Train(model=catalogued("llama-3.1-8b"), tokens=1e11, sequence=4096)
    alone = search([job], [place(FAST)], Goal(least="time"))
    both = search([job], [place(FAST), place(SLOW)], Goal(least="time"), apart="never")
    assert all(kept.plan.rear is None for kept in (*alone.best, *both.best))
    assert not list(
        mixed(Pair(job=job, place=place(FAST, virtual=2), other=place(SLOW)), Tally("time"))
    )
