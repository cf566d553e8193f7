"""Prompts taken in by one half of a plan, answers written by the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import models, pool_of

from eke.catalog.efficiencies import efficiencies
from eke.catalog.models import model as catalogued
from eke.physics.latency import handover_time
from eke.physics.machine import machine
from eke.physics.scenarios import likely
from eke.physics.serve import serve
from eke.types.job import Promise, Serve
from eke.types.model import Model
from eke.types.plan import Plan, Plans
from eke.types.record import replace

LIKELY = likely(efficiencies("hopper"))
HALF = Plan(chip="h100-sxm", tensor=8)


def halves(prefill: Plan, **decode: int) -> Plan:
    return Plan(chip="h100-sxm", batch=256, prefill=prefill, **decode)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [1, 32])
def test_a_handover_brings_the_whole_cache_to_each_chip_that_needs_it(data: int) -> None:
    """The latent cache is whole on every chip, 70,272 B per token; data ranks hold other
    sequences, so more of them do not make a handover shorter."""
    plan = halves(HALF, data=data)
    here = machine(pool_of("h100-sxm"), plan, LIKELY)
    job = Serve(model=catalogued("deepseek-v3"), prompt=4096, answer=1)
    took = handover_time(job, plan, here, here)
    assert took == pytest.approx(here.network_latency + 4096 * 70_272 / here.network)


@given(models(), st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4]))
def test_more_prefill_never_makes_a_first_token_later(model: Model, few: int, more: int) -> None:
    job = Serve(model=model, rate=1.0, ttft=Promise(limit=9.0, percentile=0.95))
    pool = pool_of("h100-sxm")
    plans = [halves(replace(HALF, replicas=n), tensor=8) for n in (few, few + more)]
    slow, quick = (serve(job, plan, pool, LIKELY, pool) for plan in plans)
    for name in ("ttft", "ttft_promised"):
        assert quick[name] <= slow[name] * (1 + 1e-9)
    assert quick["rate_most"] >= slow["rate_most"] * (1 - 1e-9)


def test_stages_of_the_prefill_half_work_on_different_prompts() -> None:
    """Two stages take in about as many prompts per second as two replicas of one."""
    job = Serve(model=catalogued("llama-3.1-8b"), rate=1.0, prompt=8000, answer=2)
    pool = pool_of("h100-sxm")
    staged, copied = (
        serve(job, halves(replace(Plan(chip="h100-sxm"), **{name: 2}), replicas=64), pool, LIKELY)
        for name in ("pipeline", "replicas")
    )
    assert staged["rate_most"] == pytest.approx(copied["rate_most"], rel=0.1)


def test_a_prefill_half_that_does_not_fit_is_no_answer() -> None:
    job, pool = Serve(model=catalogued("llama-3.1-405b")), pool_of("h100-sxm")
    result = serve(job, halves(Plan(chip="h100-sxm"), tensor=16), pool, LIKELY, pool)
    missed = {limit.name for limit in result.limits if limit.need > limit.have}
    assert "prefill memory" in missed


def test_many_plans_count_their_prefill_half() -> None:
    base, job = halves(HALF), Serve(model=catalogued("llama-3.1-8b"))
    several = Plans(base=base, tensor=np.array([1, 2]), batch=256)
    many = serve(job, several, pool_of("h100-sxm"), LIKELY)
    for i in range(2):
        alone = serve(job, several[i], pool_of("h100-sxm"), LIKELY)
        for amount in alone.amounts:
            value = np.broadcast_to(many[amount.name], (2,))[i]
            assert value == pytest.approx(amount.value), amount.name


def test_a_wait_for_a_place_shows_in_the_promise() -> None:
    """One place and short prompts: nobody waits to be taken in, many wait for the place."""
    pool, plan = pool_of("h100-sxm"), Plan(chip="h100-sxm", batch=1)
    job = Serve(model=catalogued("llama-3.1-8b"), rate=0.3, prompt=50, answer=300)
    job = replace(job, ttft=Promise(limit=60.0, percentile=0.95))
    result = serve(job, plan, pool, LIKELY)
    hold = 300 * result["tpot"]
    busy = result["utilisation"]
    line = hold / (1 - busy) * np.log(busy / 0.05)  # M/M/1, the place being the server
    assert result["ttft_promised"] >= line
