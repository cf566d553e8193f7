"""Laws of traffic: nothing is lost or made up, times run forward, the same seed is the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eke.simulation.traffic import Traffic, traffic
from eke.simulation.traffic.clock import Clock, Spike, expected, ticks
from eke.simulation.traffic.columns import COLUMNS, first_of_group, group_of, joined, unnumbered
from eke.simulation.traffic.mix import mixed
from eke.simulation.traffic.noun import STRETCH
from eke.simulation.traffic.profiles import profiles
from eke.types.arrivals import Arrivals

USES = st.sampled_from(sorted(profiles()))
RATES = st.sampled_from(["2/s", "90/min", "300k/day"])
SHAPES = st.sampled_from(["", ", cv 3", ", even", ", diurnal", ", spike 5x at 2min for 1min"])
SEEDS = st.integers(0, 5)


@st.composite
def texts(draw: Any) -> str:
    """One part of a traffic over 5 minutes."""
    use, rate, shape = draw(USES), draw(RATES), draw(SHAPES)
    return f"{use}, {rate}, 5min{shape}, seed {draw(SEEDS)}"


def whole(found: Traffic) -> Arrivals:
    """All requests as one stretch."""
    return joined(list(unnumbered(found.chunks())))


def same(one: Arrivals, other: Arrivals) -> bool:
    names = (*COLUMNS, "hashes", "hash_start")
    pairs = ((getattr(one, name), getattr(other, name)) for name in names)
    return all(a is b is None or np.array_equal(a, b) for a, b in pairs)


@settings(max_examples=25, deadline=None)
@given(texts())
def test_times_run_forward_and_followers_follow_earlier_ones(text: str) -> None:
    base, latest = 0, 0.0
    for chunk in traffic(text).chunks():
        first = first_of_group(chunk)
        number = base + np.arange(len(chunk))
        assert first[0] and (chunk.after[~first] < number[~first]).all()
        assert (chunk.after[~first] >= base).all()
        times = chunk.arrived[first]
        assert (np.diff(times) >= 0).all() and times[0] >= latest and times[-1] < 300
        assert (chunk.arrived >= 0).all()
        base, latest = base + len(chunk), float(times[-1])


@settings(max_examples=25, deadline=None)
@given(texts())
def test_columns_are_sane(text: str) -> None:
    chunk = whole(traffic(text))
    assert (chunk.prompt >= 1).all() and (chunk.answer >= 1).all()
    assert (chunk.most >= chunk.answer).all()
    assert ((chunk.stem_tokens >= 0) & (chunk.stem_tokens <= chunk.prompt)).all()
    assert (chunk.tenant < len(chunk.tenants)).all() and (chunk.kind < len(chunk.kinds)).all()


@settings(max_examples=25, deadline=None)
@given(texts())
def test_a_later_turn_holds_what_was_said_before(text: str) -> None:
    chunk = whole(traffic(text))
    for session in np.unique(chunk.session[chunk.session >= 0])[:20]:
        rows = np.flatnonzero(chunk.session == session)
        said = (chunk.prompt + chunk.answer)[rows[:-1]]
        assert (chunk.prompt[rows[1:]] > said).all()


@settings(max_examples=15, deadline=None)
@given(texts())
def test_the_same_text_gives_the_same_bytes(text: str) -> None:
    found = traffic(text)
    assert same(whole(found), whole(found)) and same(whole(found), whole(traffic(text)))


@settings(max_examples=15, deadline=None)
@given(texts(), st.integers(1, 100))
def test_a_seed_in_the_text_is_the_one_beside_it(text: str, seed: int) -> None:
    words, _, _ = text.rpartition(", seed")
    assert same(whole(traffic(f"{words}, seed {seed}")), whole(traffic(words, seed=seed)))


@settings(max_examples=20, deadline=None)
@given(texts(), st.integers(1, 299))
def test_slices_add_up(text: str, cut: int) -> None:
    early, late = traffic(f"{text}, to {cut}s"), traffic(f"{text}, from {cut}s")
    rows = [len(whole(each)) for each in (early, late) if any(map(len, each.chunks()))]
    assert sum(rows) == len(whole(traffic(text)))
    assert early.seconds == cut and late.seconds == 300 - cut


@settings(max_examples=20, deadline=None)
@given(texts(), texts())
def test_a_mix_holds_all_of_both(one: str, other: str) -> None:
    parts = [traffic(one), traffic(other)]
    both = whole(mixed(tuple(parts)))
    for name in ("prompt", "answer", "work"):
        apart = np.concatenate([getattr(whole(part), name) for part in parts])
        assert np.array_equal(np.sort(getattr(both, name)), np.sort(apart))
    assert (np.diff(both.arrived[first_of_group(both)]) >= 0).all()
    follows = both.after >= 0
    assert (both.kind[follows] == both.kind[both.after[follows]]).all()


@settings(max_examples=20, deadline=None)
@given(texts(), st.sampled_from([0.5, 2.0, 7.0]))
def test_speed_changes_times_alone(text: str, factor: float) -> None:
    before, after = whole(traffic(text)), whole(traffic(f"{text}, speed {factor}x"))
    first = first_of_group(before)
    assert np.allclose(before.arrived[first], after.arrived[first] * factor)
    assert np.array_equal(before.arrived[~first], after.arrived[~first])
    assert np.array_equal(before.prompt, after.prompt)


@settings(max_examples=15, deadline=None)
@given(texts(), st.integers(1, 500))
def test_at_most_takes_the_first(text: str, most: int) -> None:
    before, after = whole(traffic(text)), whole(traffic(f"{text}, at most {most}"))
    count = min(most, len(before))
    assert len(after) == count and np.array_equal(before.prompt[:count], after.prompt)


@settings(max_examples=15, deadline=None)
@given(texts(), st.sampled_from([0.1, 0.5, 0.9]))
def test_scaling_keeps_the_count(text: str, factor: float) -> None:
    before, after = whole(traffic(text)), whole(traffic(f"{text}, scale prompts {factor}"))
    assert len(before) == len(after)
    assert (np.abs(after.prompt - np.maximum(before.prompt * factor, 1)) <= 0.5).all()


def test_keeping_a_share_keeps_whole_sessions() -> None:
    before, after = (
        whole(traffic("chat, 20/s, 10min")),
        whole(traffic("chat, 20/s, 10min, keep 30%")),
    )
    groups = [int(group_of(each)[-1]) + 1 for each in (before, after)]
    assert groups[1] / groups[0] == pytest.approx(0.3, abs=0.02)
    assert set(after.session) < set(before.session)
    kept = np.isin(before.session, after.session)
    assert np.array_equal(before.prompt[kept], after.prompt)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0]), SEEDS)
def test_rate_and_burstiness_are_those_wanted(cv: float, seed: int) -> None:
    times = np.concatenate(list(ticks(Clock(rate=50.0, seconds=4000.0, cv=cv), seed, 0)))
    count, gaps = 200_000, np.diff(times)
    assert len(times) == pytest.approx(count, abs=5 * cv * np.sqrt(count) + 1)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.1, abs=1e-6)


@settings(max_examples=12, deadline=None)
@given(st.floats(0.0, 1.0), SEEDS)
def test_a_wave_has_the_rate_wanted_on_average(wave: float, seed: int) -> None:
    clock = Clock(rate=20.0, seconds=2000.0, wave=wave, period=1000.0)
    times = np.concatenate(list(ticks(clock, seed, 0)))
    assert len(times) == pytest.approx(40_000, abs=1000)
    middle = ((times % 1000) > 250) & ((times % 1000) < 750)
    assert middle.mean() == pytest.approx(0.5 + wave / np.pi, abs=0.02)


def test_a_spike_multiplies_the_rate() -> None:
    clock = Clock(rate=10.0, seconds=1000.0, spikes=(Spike(factor=8.0, at=400.0, length=50.0),))
    assert expected(clock)[1][-1] == pytest.approx(10 * 1000 + 7 * 10 * 50)
    times = np.concatenate(list(ticks(clock, 0, 0)))
    within = ((times >= 400) & (times < 450)).sum()
    assert within == pytest.approx(4000, abs=300)


def test_a_stretch_holds_no_more_than_it_says() -> None:
    sizes = [len(chunk) for chunk in traffic("chat, 1000/s, 5min").chunks()]
    assert max(sizes) <= STRETCH and len(sizes) < 10


def test_other_tenants_leave_times_and_lengths_alone() -> None:
    plain = whole(traffic("chat, 20/s, 5min"))
    owned = whole(traffic("chat, 20/s, 5min, tenants gold:1+free:3, ttft 1s"))
    assert np.array_equal(plain.arrived, owned.arrived)
    assert np.array_equal(plain.prompt, owned.prompt)
    share = np.bincount(owned.tenant) / len(owned)
    assert share[0] == pytest.approx(0.25, abs=0.03) and (owned.ttft == 1.0).all()


def test_a_closed_loop_has_users_and_pauses() -> None:
    found = traffic("chat, users 50, think 10s, fixed, at most 400")
    chunk = whole(found)
    assert found.users == 50 and len(chunk) == 400
    assert (chunk.arrived[first_of_group(chunk)] == 10.0).all()
