"""Engines fitted to a run: what was put in comes out again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engines import table
from tests.fleets import REPLICA, deployed, play, traffic

from eke.errors import BadInput
from eke.observing.engines import BUDGET, engines, fit_words, replica
from eke.observing.fitting import nonnegative
from eke.observing.later import Later
from eke.observing.loads import course, events, taken_by
from eke.policy.naming import make
from eke.simulation.watch import Watch
from eke.types.record import replace
from eke.types.run import Run

times = st.lists(st.floats(0, 100), min_size=1, max_size=30)


@given(times, st.data())
def test_a_course_adds_up_what_is_there(begin, data):
    long = data.draw(st.lists(st.floats(0, 9), min_size=len(begin), max_size=len(begin)))
    begin = np.array(begin)
    end = begin + np.array(long)
    low, high = sorted((data.draw(st.floats(0, 120)), data.draw(st.floats(0, 120))))
    inside = np.clip(np.minimum(end, high) - np.maximum(begin, low), 0, None).sum()
    found = course(begin, end)
    assert found.between(low, high) == pytest.approx(inside, abs=1e-6)
    there = ((begin <= low) & (low < end)).sum()
    assert float(found.just_after(low)) == (there if low >= begin.min() else 0.0)


@given(times, st.floats(0, 100), st.floats(0, 100))
def test_events_are_counted_once(at, one, other):
    start, end = sorted((one, other))
    at = np.array(at)
    found = events(at, 1.0, at)
    within = (at > start) & (at <= end)
    assert found.between(start, end) == pytest.approx([within.sum(), at[within].sum()], abs=1e-6)


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 40))
def test_least_squares_without_negatives_cannot_be_bettered(seed, columns, rows):
    """Where a value is above zero nothing pulls at it, elsewhere only downward (the conditions of
    Karush, Kuhn and Tucker)."""
    dice = np.random.default_rng(seed)
    known = dice.uniform(0, 1, (rows, columns)) * 10.0 ** dice.integers(-3, 4, columns)
    wanted = dice.normal(0.3, 1, rows)
    found = nonnegative(known, wanted)
    pull = known.T @ (wanted - known @ found) / np.linalg.norm(known, axis=0)
    scale = np.linalg.norm(wanted)
    assert (found >= 0).all()
    assert (pull <= 1e-4 * scale).all()
    assert (np.abs(pull[found > 0]) <= 1e-3 * scale).all()


def run_of(seed: int, count: int = 1500, rate: float = 3.0, **kind: Any) -> Run:
    """Requests of many lengths through two replicas made by hand."""
    dice = np.random.default_rng(seed)
    asked = traffic(
        np.cumsum(dice.exponential(1 / rate, count)),
        dice.integers(10, 900, count),
        dice.integers(2, 150, count),
    )
    return play(deployed((replace(REPLICA, blocks=4000, **kind), 2)), asked, "fcfs")


@pytest.mark.parametrize("seed", range(3))
def test_times_that_were_put_in_come_out(seed: int) -> None:
    """Steps of 10 ms and 0.1 ms per token that enters, 2 µs per token in the cache."""
    step = table(own=0.01, per_token=1e-4, per_context=2e-6)
    found = engines(run_of(seed, rate=9.0, step=step, most=6, budget=2048))
    assert (found.count, found.places, found.aligned) == (2, 6, True)
    fit = found.fit
    assert fit.token == pytest.approx(1e-4, rel=0.05)
    assert fit.context == pytest.approx(2e-6, rel=0.1)
    assert fit.steps[1:] == pytest.approx(0.01 + 1e-4 * np.arange(1, 7), rel=0.05)
    assert fit.delay < 1e-3
    assert fit.first < 0.02 and fit.whole < 0.01
    assert fit.apart == pytest.approx(1.0, abs=0.02)
    assert "the slowest" not in fit_words(found)


def test_steps_never_get_shorter_with_more_sequences() -> None:
    for seed in range(3):
        fit = engines(run_of(seed, rate=8.0, most=12)).fit
        assert (np.diff(fit.steps) >= 0).all()
        assert min(fit.context, fit.prompt, fit.token, fit.pair, fit.delay) >= 0


def test_a_delay_that_engines_do_not_notice_is_told_from_their_work() -> None:
    """Answers that come 50 ms late, as over a network."""
    run = run_of(1, step=table(own=0.01, per_token=1e-4), budget=4096)
    requests = dict(run.requests)
    for name in ("first", "finished"):
        requests[name] = requests[name] + 0.05
    fit = engines(replace(run, requests=requests, end=run.end + 0.05)).fit
    assert fit.delay == pytest.approx(0.05, rel=0.1)
    assert fit.token == pytest.approx(1e-4, rel=0.1)


def test_the_cache_is_as_large_as_samples_say_and_without_bound_where_there_are_none() -> None:
    run = run_of(2, most=6)
    found = engines(run)
    assert found.room == pytest.approx(4000 * 16, rel=0.1)
    assert replica(found, caching=False).blocks == found.room // 16
    unknown = engines(replace(run, timeline={}))
    assert unknown.room is None
    made = replica(unknown, caching=True)
    assert made.blocks * made.block >= unknown.longest
    assert len(made.step.logits) == BUDGET + unknown.places + 1
    assert "without bound" in fit_words(unknown)


def test_engines_that_differ_are_said_to() -> None:
    run = run_of(3)
    requests = dict(run.requests)
    slow, begun = requests["replica"] == 1, requests["scheduled"]
    for name in ("first", "finished"):
        requests[name] = np.where(slow, begun + 2 * (requests[name] - begun), requests[name])
    found = engines(replace(run, requests=requests, end=2 * run.end))
    assert found.fit.apart > 1.2
    assert "the slowest takes" in fit_words(found)


def test_nothing_can_be_fitted_to_nothing() -> None:
    run = run_of(4, count=30)
    requests = {**run.requests, "replica": np.full(30, -1, np.int32)}
    assert len(taken_by(replace(run, requests=requests)).row) == 0
    with pytest.raises(BadInput, match="only 0 requests"):
        engines(replace(run, requests=requests))


def test_a_late_end_keeps_its_place() -> None:
    """Two requests and one place: the second starts when the end of the first is heard."""
    asked = traffic([0.0, 0.0, 0.0], 16, 5)
    kind = replace(REPLICA, most=1)

    def starts(delay: float) -> Any:
        from eke.simulation.simulator import run

        policy = Later(make("fcfs"), delay) if delay else make("fcfs")
        found = run(deployed((kind, 1)), asked, policy, Watch(samples=20))
        assert (found.requests["tokens"] == 5).all()
        return found.requests["started"], found.requests["finished"]

    started, finished = starts(0.0)
    assert started[1:] == pytest.approx(finished[:2])
    started, finished = starts(0.5)
    assert started[1:] == pytest.approx(finished[:2] + 0.5)
