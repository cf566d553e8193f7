"""What holds for a static batch, a closed loop and a backlog on any model and layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import models, pool_of

from eke.catalog.efficiencies import efficiencies
from eke.physics import arrivals
from eke.physics.machine import Machine, machine
from eke.physics.scenarios import likely
from eke.types.job import Serve
from eke.types.plan import Plan, Plans
from eke.types.record import Record, replace

KNOBS = likely(efficiencies("hopper", "vllm-1"))
CHIPS = ("h100-sxm", "mi300x", "l40s")


class Situation(Record):
    """A job on a plan of one replica."""

    job: Serve
    plan: Plan
    machine: Machine


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Small models on a few chips, short and long requests."""
    chip = draw(st.sampled_from(CHIPS))
    plan = Plan(
        chip=chip,
        tensor=draw(st.sampled_from([1, 2, 4])),
        pipeline=draw(st.sampled_from([1, 2])),
        data=draw(st.sampled_from([1, 1, 4])),
        batch=draw(st.sampled_from([16, 256])),
    )
    job = Serve(
        model=draw(models()),
        prompt=float(draw(st.sampled_from([1, 128, 1000, 6000]))),
        answer=float(draw(st.sampled_from([2, 64, 500]))),
        spread=draw(st.sampled_from([0.0, 1.0])),
    )
    return Situation(job=job, plan=plan, machine=machine(pool_of(chip, 32), plan, KNOBS))


def for_all(test: Any) -> Any:
    """The test over situations; each asks for all counts at once, so few examples say much."""
    return settings(max_examples=25)(given(situations())(test))


COUNTS = np.array([1.0, 2, 3, 5, 8, 13, 16, 17, 32, 64, 100, 256, 300, 1000])


def all_counts(at: Situation, how: Any, counts: Any = COUNTS) -> arrivals.Seen:
    """What is seen at each count."""
    return how(at.job, at.plan, at.machine, counts)


def never_falls(values: Any, tolerance: float = 1e-9) -> bool:
    """Whether each value is at least the largest before it, but for the tolerance."""
    return bool(np.all(values >= np.maximum.accumulate(values) * (1 - tolerance)))


WAYS = (arrivals.together, arrivals.closed_loop, arrivals.backlog)


@pytest.mark.parametrize("how", WAYS)
@for_all
def test_everything_is_finite_and_above_zero(how: Any, at: Situation) -> None:
    seen = all_counts(at, how)
    for name in ("ttft", "tpot", "time", "rate", "concurrency"):
        values = np.asarray(getattr(seen, name))
        assert np.all(np.isfinite(values)) and np.all(values > 0), name
    assert np.all(seen.concurrency <= COUNTS) and np.all(seen.concurrency <= at.plan.batch)


@pytest.mark.parametrize("how", WAYS)
@for_all
def test_arrays_equal_scalars(how: Any, at: Situation) -> None:
    seen = all_counts(at, how)
    for index in (0, 5, len(COUNTS) - 1):
        one = how(at.job, at.plan, at.machine, float(COUNTS[index]))
        for name in ("ttft", "tpot", "time", "rate", "concurrency"):
            many = np.broadcast_to(getattr(seen, name), COUNTS.shape)[index]
            assert float(getattr(one, name)) == pytest.approx(float(many), rel=1e-12), name


@pytest.mark.parametrize("how", WAYS)
def test_many_plans_equal_each(how: Any) -> None:
    from eke.catalog.models import model

    pool = pool_of("h100-sxm", 8)
    layouts = [(1, 1, 16), (2, 1, 64), (1, 2, 64), (4, 2, 256), (8, 1, 256)]
    job = Serve(model=model("llama-3.1-8b"), prompt=700.0, answer=90.0)
    each = [Plan(chip="h100-sxm", tensor=t, pipeline=p, batch=b) for t, p, b in layouts]
    columns = [np.array(list(column)) for column in zip(*layouts, strict=True)]
    plans = Plans(base=each[0], tensor=columns[0], pipeline=columns[1], batch=columns[2])
    seen = how(job, plans, machine(pool, plans, KNOBS), 40.0)
    for index, plan in enumerate(each):
        one = how(job, plan, machine(pool, plan, KNOBS), 40.0)
        for name in ("ttft", "tpot", "time", "rate"):
            assert float(getattr(one, name)) == pytest.approx(
                float(getattr(seen, name)[index]), rel=1e-12
            )


# static batches


@for_all
def test_a_larger_batch_is_never_faster(at: Situation) -> None:
    seen = all_counts(at, arrivals.together)
    assert never_falls(seen.time)
    assert never_falls(seen.ttft) and never_falls(seen.tpot)


@for_all
def test_a_batch_takes_its_first_token_and_then_the_others(at: Situation) -> None:
    seen = all_counts(at, arrivals.together)
    fits = seen.concurrency == COUNTS
    whole = seen.ttft + (at.job.answer - 1) * seen.tpot
    assert seen.time[fits] == pytest.approx(whole[fits], rel=1e-12)
    assert np.all(seen.time[~fits] > whole[~fits])
    assert seen.rate * seen.time == pytest.approx(COUNTS, rel=1e-12)


@for_all
def test_a_batch_is_at_least_as_fast_as_its_requests_one_by_one(at: Situation) -> None:
    seen = all_counts(at, arrivals.together)
    assert np.all(seen.time <= COUNTS * seen.time[0] * (1 + 1e-9))


@for_all
def test_longer_requests_take_longer(at: Situation) -> None:
    longer = Situation(
        job=replace(at.job, prompt=2 * at.job.prompt, answer=at.job.answer + 10),
        plan=at.plan,
        machine=at.machine,
    )
    short, long = all_counts(at, arrivals.together), all_counts(longer, arrivals.together)
    assert np.all(long.time > short.time)


# closed loops


@for_all
def test_littles_law_holds_in_a_closed_loop(at: Situation) -> None:
    seen = all_counts(at, arrivals.closed_loop)
    assert seen.rate * seen.time == pytest.approx(COUNTS, rel=1e-9)


@for_all
def test_more_users_never_get_less_done(at: Situation) -> None:
    seen = all_counts(at, arrivals.closed_loop)
    assert never_falls(seen.rate, 0.01)


@for_all
def test_more_users_wait_longer(at: Situation) -> None:
    seen = all_counts(at, arrivals.closed_loop)
    assert never_falls(seen.time, 0.01)
    over = np.flatnonzero(seen.concurrency < COUNTS)
    assert np.all(np.diff(seen.ttft[over]) > 0) and len(set(seen.tpot[over])) <= 1


# backlogs


@for_all
def test_more_requests_take_longer(at: Situation) -> None:
    seen = all_counts(at, arrivals.backlog)
    assert np.all(np.diff(seen.time) > 0)
    assert seen.rate * seen.time == pytest.approx(COUNTS, rel=1e-12)


@for_all
def test_unequal_answers_take_no_less(at: Situation) -> None:
    even = replace(at, job=replace(at.job, spread=0.0))
    uneven = replace(at, job=replace(at.job, spread=1.0))
    first, second = (all_counts(each, arrivals.backlog) for each in (even, uneven))
    assert np.all(second.time >= first.time * (1 - 1e-12))
    assert np.all(second.tpot <= first.tpot * (1 + 1e-12))


# compiled for a batch


@pytest.mark.parametrize("how", WAYS)
@for_all
def test_an_engine_compiled_for_a_batch_is_never_faster(how: Any, at: Situation) -> None:
    padded = replace(at, plan=replace(at.plan, padded=True))
    free, full = all_counts(at, how), all_counts(padded, how)
    assert np.all(full.tpot >= free.tpot * (1 - 1e-9))
    assert np.all(full.time >= free.time * (1 - 1e-9))
    assert np.all(full.rate <= free.rate * (1 + 1e-9))
