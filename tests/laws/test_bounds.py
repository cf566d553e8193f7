"""No plan beats its chips: bounds from published figures alone, and what must balance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.conftest import CHIPS, models, plans, pool_of

from eke.catalog.efficiencies import efficiencies
from eke.physics.engine import decode_pass
from eke.physics.footprint import held_parameters
from eke.physics.machine import machine
from eke.physics.memory import paged_tokens
from eke.physics.operations import weight_bytes
from eke.physics.scenarios import likely
from eke.physics.serve import serve
from eke.physics.train import train
from eke.types.job import Serve, Train
from eke.types.model import Experts, Model
from eke.types.plan import Plan
from eke.types.record import replace

LIKELY = likely(efficiencies("hopper"))


@given(models(), plans(), st.sampled_from(CHIPS))
def test_nobody_trains_faster_than_the_published_peak(model: Model, plan: Plan, chip: str) -> None:
    result = train(Train(model=model, tokens=1e12), plan, pool_of(chip), LIKELY)
    assert 0 < result["mfu"] <= result["hfu"] * (1 + 1e-9)
    assert result["hfu"] < 1


@given(models(), plans(serving=True), st.sampled_from(CHIPS), st.integers(1, 400))
def test_a_step_computes_no_faster_than_the_published_peak(
    model: Model, plan: Plan, chip: str, users: int
) -> None:
    pool = pool_of(chip)
    once = decode_pass(Serve(model=model), plan, machine(pool, plan, LIKELY), users)
    peak = pool.chip.peak.get("bf16") or pool.chip.peak["fp16"]
    assert once.flop <= once.compute * peak


@given(models(), plans(serving=True), st.sampled_from(CHIPS), st.integers(1, 400))
def test_a_step_reads_every_dense_weight_no_faster_than_the_published_memory(
    model: Model, plan: Plan, chip: str, users: int
) -> None:
    assume(not any(isinstance(stack.block.feed, Experts) for stack in model.stacks))
    plan, pool = replace(plan, pipeline=1), pool_of(chip)
    once = decode_pass(Serve(model=model), plan, machine(pool, plan, LIKELY), users)
    looked_up = model.vocabulary * model.hidden / plan.tensor  # the input table is not read whole
    read = (held_parameters(model, plan).dense - looked_up) * weight_bytes(plan)
    assert once.compute >= read / pool.chip.memory_speed


@given(models(), st.integers(1, 200), st.integers(1, 30_000), st.integers(1, 30_000))
def test_a_longer_context_never_decodes_faster(
    model: Model, users: int, one: int, other: int
) -> None:
    plan = Plan(chip="h100-sxm")
    here = machine(pool_of("h100-sxm"), plan, LIKELY)
    short, long = (
        decode_pass(Serve(model=model), plan, here, users, context=context).compute
        for context in sorted((one, other))
    )
    assert short <= long * (1 + 1e-12)


@given(models(), plans(), st.sampled_from(("h100-sxm", "a100-sxm-80")))
def test_chip_time_is_paid_and_powered(model: Model, plan: Plan, chip: str) -> None:
    pool = pool_of(chip)
    result = train(Train(model=model, tokens=1e12), plan, pool, LIKELY)
    held = plan.chips * result["time"]
    assert result["chip_time"] == pytest.approx(held)
    assert result["time"] == pytest.approx(
        result["steps"] * result["step_time"] / result["goodput"]
    )
    assert pool.rent is not None and pool.chip.power is not None
    assert result["money"] == pytest.approx(held * pool.rent * LIKELY.price)
    at_most = held * pool.chip.power * LIKELY.server_power * LIKELY.pue
    assert result["energy"] == pytest.approx(at_most * LIKELY.power_share)


@given(models(), plans())
def test_bought_chips_are_written_off_and_their_energy_paid(model: Model, plan: Plan) -> None:
    pool = replace(pool_of("h100-sxm"), rent=None)
    result = train(Train(model=model, tokens=1e12), plan, pool, LIKELY)
    assert pool.buy is not None
    capital = plan.chips * pool.buy * LIKELY.price * result["time"] / pool.life
    paid = result["energy"] * LIKELY.electricity
    assert result["money"] == pytest.approx(capital + paid)


@given(models(), plans(serving=True), st.floats(0.05, 5))
def test_as_many_are_in_flight_as_arrive_while_one_is_answered(
    model: Model, plan: Plan, rate: float
) -> None:
    """Little's law: in flight = rate × time in flight."""
    job = Serve(model=model, rate=rate, prompt=700, answer=200)
    result = serve(job, plan, pool_of("h100-sxm"), LIKELY)
    assume(result["utilisation"] < 0.8)
    assert result["concurrency"] == pytest.approx(rate * job.answer * result["tpot"], rel=0.05)


@given(models(), plans(serving=True), st.integers(2, 8))
def test_copies_answer_as_much_each(model: Model, plan: Plan, copies: int) -> None:
    job, pool = Serve(model=model, prompt=700, answer=200), pool_of("h100-sxm")
    one = serve(job, replace(plan, replicas=1), pool, LIKELY)
    many = serve(job, replace(plan, replicas=copies), pool, LIKELY)
    assert many["rate_most"] == pytest.approx(copies * one["rate_most"])


@given(st.integers(1, 10**6), st.sampled_from([1, 16, 128]))
def test_pages_hold_all_tokens_and_waste_less_than_one(tokens: int, block: int) -> None:
    assert tokens <= paged_tokens(tokens=tokens, block=block) < tokens + block


@given(models(), plans())
def test_more_chips_never_fail_less(model: Model, plan: Plan) -> None:
    pool, job = pool_of("h100-sxm"), Train(model=model, tokens=1e12)
    few = train(job, plan, pool, LIKELY)["goodput"]
    many = train(job, replace(plan, data=plan.data * 8, batch=plan.batch * 8), pool, LIKELY)
    assert np.all(many["goodput"] <= few) and few < 1
