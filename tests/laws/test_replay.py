"""Laws of replays: the same engines and policy do the same again, nobody is lost, nothing is shared
that no cache showed, and fitted engines are as fast as those that were observed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fleets import REPLICA, deployed, play, traffic
from tests.runs import run as made

from eke import Plan, Serve, Settings, fleet, model, simulate
from eke.gateway.row import NOT_ADMITTED
from eke.observing.replaying import again, replay, whole
from eke.observing.replaying import play as play_again
from eke.policy.naming import make
from eke.simulation.files import read_run
from eke.simulation.traffic import Traffic
from eke.simulation.traffic.readers.run import replayed
from eke.simulation.watch import Failures, Watch
from eke.types.record import replace
from eke.types.run import COLUMNS, FINISHED, REFUSED, Run

DATA = Path(__file__).parents[1] / "data" / "replay"
POLICIES = (
    *("fcfs", "fair(weights=a:4+b:1)", "deadline", "shortest", "priority(ageing=5s)"),
    *("deficit(quantum=200)", "fcfs+promise@prefix", "fair+queue(most=3)@sticky"),
)


@st.composite
def asks(draw: st.DrawFn, caching: bool = False) -> Traffic:
    """Conversations of several tenants at times that never coincide, some with promises."""
    turns = draw(st.lists(st.sampled_from([1, 1, 2, 3]), min_size=1, max_size=20))
    first = np.concatenate([[True] + [False] * (many - 1) for many in turns])
    numbers = np.random.default_rng(draw(st.integers(0, 2**32)))
    gaps = numbers.exponential(draw(st.sampled_from([0.01, 0.2, 1.0])), len(first))
    prompt, answer = numbers.integers(1, 400, len(first)), numbers.integers(1, 90, len(first))
    for at in np.flatnonzero(~first):  # a conversation grows
        prompt[at] += prompt[at - 1] + answer[at - 1] if caching else 0
    return traffic(
        np.where(first, np.cumsum(gaps * first), gaps),
        prompt,
        answer,
        most=answer + numbers.integers(0, 200, len(first)),
        after=np.where(first, -1, np.arange(len(first)) - 1),
        session=np.repeat(np.arange(len(turns)), turns),
        tenant=numbers.integers(0, 3, len(first)),
        tenants=("a", "b", "c"),
        kind=numbers.integers(0, 2, len(first)) * (not caching),
        kinds=("chat", "batch"),
        priority=numbers.integers(0, 3, len(first)),
        ttft=numbers.choice([np.inf, 0.25, 2.0], len(first)),
        deadline=numbers.choice([np.inf, 4.0], len(first)),
    )


def in_order(run: Run) -> dict[str, Any]:
    """Columns in the order in which requests came."""
    order = np.argsort(run.requests["arrived"], kind="stable")
    return {name: column[order] for name, column in run.requests.items()}


def assert_same(run: Run, other: Run) -> None:
    one, two = in_order(run), in_order(other)
    for name in COLUMNS:
        if name in ("tenant", "kind", "reason"):
            words = [[each.names[name][code] for code in columns[name]] for each, columns in
                     ((run, one), (other, two))]  # fmt: skip
            assert words[0] == words[1], name
        else:
            np.testing.assert_allclose(two[name], one[name], rtol=1e-9, atol=1e-9, err_msg=name)


@given(
    asks(),
    st.sampled_from(POLICIES),
    st.integers(1, 3),
    st.sampled_from([60, 400]),
    st.sampled_from([None, Failures(every=3.0, restart=1.0)]),
    st.sampled_from(["mean", "exact"]),
)
def test_the_same_engines_and_policy_do_the_same_again(
    asked, policy, count, blocks, failures, forecast
):
    where = deployed((replace(REPLICA, blocks=blocks), count), longest=900)
    if "+" in policy:  # who follows a refused one never came, and yet counts in the mean
        forecast = "exact"
    watch = Watch(samples=20, failures=failures, forecast=forecast)
    run = play(where, asked, policy, watch)
    again = replay(run)
    other = whole(play(where, again.traffic, policy, watch), again)
    assert len(other) == len(run)
    assert_same(run, other)


@given(asks(caching=True), st.sampled_from(POLICIES))
def test_a_cache_finds_again_what_it_found(asked, policy):
    """Of conversations in one engine whose cache holds all of them."""
    where = deployed((replace(REPLICA, blocks=9000, caching=True), 1), longest=9000)
    run = play(where, asked, policy, Watch(samples=20))
    again = replay(run)
    if not again.caching:
        where = deployed((replace(REPLICA, blocks=9000), 1), longest=9000)
    assert_same(run, whole(play(where, again.traffic, policy, Watch(samples=20)), again))


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_nobody_shares_more_than_caches_showed(seed, count):
    """Over any columns, sense or none: a head is one that somebody found, and never longer than its
    prompt; where nothing was found nothing is shared."""
    dice = np.random.default_rng(seed)
    prompt = dice.integers(1, 500, count)
    run = made(
        count,
        arrived=dice.uniform(0, 9, count),
        scheduled=np.where(dice.random(count) < 0.2, np.nan, 10.0),
        first=11.0,
        prompt=prompt,
        cached=dice.choice([0, 0, 16, 32, 160], count).clip(max=prompt),
        session=dice.integers(-1, 5, count),
        kind=dice.integers(0, 2, count),
        replica=dice.integers(-1, 2, count),
        answer=3,
        tokens=3,
    )
    (chunk,) = replayed(run).chunks()
    cached = run.requests["cached"]
    assert (chunk.stem_tokens <= chunk.prompt).all()
    assert (chunk.stem_tokens <= cached.max()).all()
    assert ((chunk.stem >= 0) == (chunk.stem_tokens > 0)).all()
    if not cached.any():
        assert not (chunk.stem >= 0).any()
    assert set(chunk.session) <= {*run.requests["session"].tolist(), -1}


@given(asks(), st.data())
def test_who_was_not_admitted_stays_so_and_nobody_is_lost(asked, data):
    run = play(REPLICA, asked, "fcfs", Watch(samples=20))
    turned = data.draw(st.lists(st.booleans(), min_size=len(run), max_size=len(run)))
    requests = dict(run.requests)
    requests["outcome"] = np.where(turned, REFUSED, requests["outcome"]).astype(np.int8)
    requests["reason"] = np.where(turned, len(run.names["reason"]), 0).astype(np.int16)
    words = f"{NOT_ADMITTED}too fast"
    seen = replace(
        run, requests=requests, names={**run.names, "reason": (*run.names["reason"], words)}
    )
    if all(turned):
        return
    again = replay(seen)
    other = whole(play(REPLICA, again.traffic, "shortest", Watch(samples=20)), again)
    assert len(other) == len(run)
    reasons = [other.names["reason"][code] for code in other.requests["reason"]]
    assert sum(reason == words for reason in reasons) == sum(turned)
    for name in ("arrived", "prompt", "answer", "session"):
        assert sorted(other.requests[name]) == sorted(run.requests[name])
    aside = np.array([reason == words for reason in reasons])
    assert (other.requests["outcome"][aside] == REFUSED).all()
    assert (np.diff(other.requests["arrived"]) >= 0).all()


def medians(run: Run) -> dict[str, float]:
    """To the first token, and to the last."""
    requests = run.requests
    first = requests["first"] - requests["arrived"]
    last = (requests["finished"] - requests["arrived"])[requests["outcome"] == FINISHED]
    return {"first": float(np.nanmedian(first)), "last": float(np.median(last))}


@pytest.mark.parametrize(
    "text,policy,batch,replicas",
    [
        ("chat, 20/s, 2min, tenants 5", "fcfs", 16, 4),
        ("chat, 100/s, 1min, tenants 5", "fair", 16, 4),
        ("code, 10/s, 2min", "deadline", 16, 2),
        ("search, 10/s, 1min", "shortest@prefix", 16, 4),
        ("chat, 30/s, 1min", "fcfs", 256, 1),
    ],
)
def test_fitted_engines_are_as_fast_as_those_of_a_plan(text, policy, batch, replicas):
    where, job = fleet("4xh100-sxm"), Serve(model=model("llama-3.1-8b"))
    plan = Plan(chip="h100-sxm", replicas=replicas, batch=batch, token_budget=2048, engine="vllm-1")
    run = simulate(job, plan, where, text, policy)
    engines = again(replay(run))
    other = play_again(engines, make(policy), Watch())
    assert len(other) == len(run)
    assert engines.found.count == replicas
    assert engines.found.fit.whole < 0.02
    assert medians(other) == pytest.approx(medians(run), rel=0.1)
    assert other.facts["cost"] == pytest.approx(run.facts["cost"], rel=0.05)
    assert other.facts["energy"] == pytest.approx(run.facts["energy"], rel=0.05)


def test_a_live_run_of_a_gateway_comes_out_as_it_was():
    """A gateway before a stand-in engine, recorded by tests/oracles/replayed_gateway.py."""
    run = read_run(DATA / "gateway.csv.gz")
    engines = again(replay(run))
    assert (engines.found.count, engines.found.places) == (1, 8)
    assert not engines.found.aligned
    other = play_again(engines, make("fcfs"), Watch())
    assert len(other) == len(run) >= 200
    assert medians(other) == pytest.approx(medians(run), rel=0.1)


def test_with_a_plan_the_physics_plays_it():
    """The very engines of the run, from the plan, give the very outcomes."""
    where, job = fleet("2xh100-sxm"), Serve(model=model("llama-3.1-8b"))
    plan = Plan(chip="h100-sxm", replicas=2, batch=8, token_budget=2048, engine="vllm-1")
    run = simulate(job, plan, where, "chat, 12/s, 1min, tenants 3", "fair")
    again = replay(run)
    how = Settings(caching=again.caching)
    other = whole(simulate(job, plan, where, again.traffic, "fair", settings=how), again)
    assert_same(run, other)
