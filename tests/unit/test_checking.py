"""Finalists of a plan before traffic, and fleets in shards."""

from __future__ import annotations

import numpy as np
import pytest

from eke import Goal, Plan, Serve, Settings, Watch, fleet, model, plan, traffic
from eke.checking import check
from eke.errors import BadInput
from eke.report.checked import checked_words
from eke.sharding import sharded, shards_of
from eke.simulating import deployed, job_of
from eke.simulation.survey import survey
from eke.types.job import Promise
from eke.types.run import COLUMNS, TIMELINE

TEXT = "chat, 6/s, 5min, tenants 5, seed 3"


def test_closed_form_and_simulation_agree_where_there_is_little_queueing() -> None:
    """The mean time per token of every finalist within a tenth, of two that share no code for
    what happens between requests."""
    job = Serve(
        model=model("llama-3.1-8b"), rate=6, prompt=1150, answer=210, ttft=Promise(limit=1.0)
    )
    where = fleet("4xh100-sxm")
    found = plan(job, where, Goal(least="cost"))
    checked = check(found, where, "chat, 6/s, 10min")
    assert len(checked.finalists) == 1 + len(found.rivals)
    for each in checked.finalists:
        assert each.answered == 1.0
        tpot = next(seen for seen in each.seen if seen.name == "tpot")
        assert tpot.factor == pytest.approx(1.0, abs=0.12)
    words = checked_words(checked)
    assert "closed form" in words
    assert words.count("per token, mean") == len(checked.finalists)


def test_a_plan_too_small_for_the_traffic_is_found_out() -> None:
    job = Serve(model=model("llama-3.1-8b"), rate=1, ttft=Promise(limit=0.5, percentile=0.9))
    where = fleet("1xh100-sxm")
    found = plan(job, where, choices={"batch": 8})
    checked = check(found, where, "chat, 10/s, 5min")
    assert not checked.finalists[0].kept
    assert "does not keep" in checked_words(checked) or "neither" in checked_words(checked)


def shards(number: int, text: str = TEXT, **others):
    """A small fleet of four replicas in so many shards."""
    where, coming = fleet("4xh100-sxm"), traffic(text)
    seen = survey(coming)
    job = job_of(Serve(model=model("llama-3.1-8b")), seen)
    layout = Plan(chip="h100-sxm", replicas=4, batch=64, token_budget=2048, engine="vllm-1")
    ready = deployed(job, layout, where, seen, Settings(caching=True))
    return shards_of(ready, text, "fair", Watch(**others), number)


def test_shards_lose_nobody_and_may_run_in_any_number_at_once() -> None:
    alone, together = sharded(shards(3)), sharded(shards(3), processes=2)
    count = sum(len(chunk) for chunk in traffic(TEXT).chunks())
    assert len(alone) == count
    for name in COLUMNS:
        assert np.array_equal(alone.requests[name], together.requests[name], equal_nan=True), name
    for name in TIMELINE:
        assert np.array_equal(alone.timeline[name], together.timeline[name]), name
    assert alone.names == together.names
    assert alone.facts == together.facts
    assert set(alone.requests["replica"]) == {0, 1, 2, 3}
    assert (np.diff(alone.requests["arrived"]) >= 0).all()
    assert alone.facts["chips"] == 4
    assert any("3 gateways" in remark for remark in alone.remarks)


def test_one_shard_is_the_whole() -> None:
    found = sharded(shards(1))
    assert not any("gateways" in remark for remark in found.remarks)


def test_a_closed_loop_deals_its_users() -> None:
    found = sharded(shards(4, "chat, users 10, at most 60 requests", until=600.0))
    assert 0 < len(found) <= 60


def test_more_shards_than_replicas_are_refused() -> None:
    with pytest.raises(BadInput, match="from 1 to 4"):
        shards(5)


def test_models_that_see_encode_what_each_request_brings() -> None:
    """A request without images is not slower for those that have some."""
    from eke import simulate

    job = Serve(model=model("gemma-3-4b"))
    text = "images, 1/s, 2min & chat, 1/s, 2min, turns 1"
    found = simulate(job, None, "1xh100-sxm", text, seed=2)
    first = found.requests["first"] - found.requests["arrived"]
    kinds = found.names["kind"]
    seeing = found.requests["kind"] == kinds.index("images")
    assert np.median(first[seeing]) > np.median(first[~seeing])
