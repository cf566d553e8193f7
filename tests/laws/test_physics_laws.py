"""What must hold for any job, plan and chip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import CHIPS, models, plans, pool_of

from eke.catalog.efficiencies import efficiencies
from eke.physics.answer import answer
from eke.physics.engine import decode_pass, duration
from eke.physics.learn import Learning, executed_flop, learning_pass, step_time
from eke.physics.learn_memory import learning_memory
from eke.physics.machine import machine
from eke.physics.roofline import matmul_rate
from eke.physics.scenarios import likely, scenarios, span
from eke.physics.serve import serve
from eke.physics.train import learning_flop, model_flop, train
from eke.types.fleet import Fleet
from eke.types.job import Serve, Train
from eke.types.model import Model
from eke.types.need import Need
from eke.types.plan import NUMBERS, Plan, Plans
from eke.types.record import replace

EFFICIENCIES = efficiencies("hopper")
LIKELY = likely(EFFICIENCIES)
FASTER = ("peak_change", "memory_change", "link_change", "network_change")


@given(models(), plans(), st.sampled_from(CHIPS))
def test_a_step_lies_between_the_longer_part_and_the_sum(
    model: Model, plan: Plan, chip: str
) -> None:
    here = machine(pool_of(chip), plan, LIKELY)
    step = step_time(Learning(model=model, sequence=2048), plan, here)
    assert max(step.compute, step.exchange) * 0.999 <= step.total
    assert step.total <= (step.compute + step.exchange) * 1.001


@given(models(), plans(serving=True), st.sampled_from(CHIPS), st.integers(1, 400))
def test_an_engine_step_lies_between_the_longer_part_and_the_sum(
    model: Model, plan: Plan, chip: str, users: int
) -> None:
    here = machine(pool_of(chip), plan, LIKELY)
    once = decode_pass(Serve(model=model), plan, here, users)
    took = duration(once, here)
    assert max(once.compute, once.exchange) <= took * (1 + 1e-12)
    assert took <= (once.compute + once.exchange) * (1 + 1e-12)


@given(models(), plans(), st.sampled_from(FASTER))
def test_a_faster_chip_never_trains_slower(model: Model, plan: Plan, what: str) -> None:
    learning, pool = Learning(model=model, sequence=2048), pool_of("h100-sxm")
    slow = step_time(learning, plan, machine(pool, plan, LIKELY)).total
    quick = step_time(learning, plan, machine(pool, plan, replace(LIKELY, **{what: 2.0}))).total
    assert quick <= slow * (1 + 1e-12)


@given(models(), plans(serving=True), st.sampled_from(FASTER), st.integers(1, 200))
def test_a_faster_chip_never_decodes_slower(
    model: Model, plan: Plan, what: str, users: int
) -> None:
    job, pool = Serve(model=model), pool_of("h100-sxm")
    slow = decode_pass(job, plan, machine(pool, plan, LIKELY), users)
    quick = decode_pass(job, plan, machine(pool, plan, replace(LIKELY, **{what: 2.0})), users)
    assert quick.compute + quick.exchange <= (slow.compute + slow.exchange) * (1 + 1e-12)


@given(models(), plans(serving=True), st.floats(0.1, 50), st.sampled_from(CHIPS))
def test_serving_figures_are_finite_and_spans_ordered(
    model: Model, plan: Plan, rate: float, chip: str
) -> None:
    job = Serve(model=model, rate=rate, prompt=700, answer=200)
    result = serve(job, replace(plan, chip=chip), pool_of(chip), scenarios(EFFICIENCIES))
    for amount in result.amounts:
        values = np.asarray(amount.value, dtype=float)
        assert np.isfinite(values).all() and (values >= 0).all(), amount.name
        found = span(values, len(EFFICIENCIES))
        assert found.low <= found.likely <= found.high


@given(models(), plans(), st.sampled_from(CHIPS))
def test_training_figures_are_finite_and_spans_ordered(model: Model, plan: Plan, chip: str) -> None:
    job = Train(model=model, tokens=1e9)
    result = train(job, replace(plan, chip=chip), pool_of(chip), scenarios(EFFICIENCIES))
    for amount in result.amounts:
        values = np.asarray(amount.value, dtype=float)
        assert np.isfinite(values).all() and (values >= 0).all(), amount.name
        found = span(values, len(EFFICIENCIES))
        assert found.low <= found.likely <= found.high


@given(models(), st.lists(plans(), min_size=2, max_size=5))
def test_many_plans_at_once_equal_each_alone(model: Model, several: list[Plan]) -> None:
    base = replace(several[0], virtual=1)
    alike = [replace(base, **{name: getattr(plan, name) for name in NUMBERS}) for plan in several]
    columns = {name: np.array([getattr(plan, name) for plan in alike]) for name in NUMBERS}
    together = Plans(base=base, **columns)
    pool, job = pool_of("h100-sxm"), Train(model=model, tokens=1e9)
    many = train(job, together, pool, LIKELY)
    for i, plan in enumerate(alike):
        assert together[i] == plan
        alone = train(job, plan, pool, LIKELY)
        for amount in alone.amounts:
            value = np.broadcast_to(many[amount.name], (len(alike),))[i]
            assert np.isclose(value, amount.value, rtol=1e-12), amount.name


@given(models(), st.lists(plans(serving=True), min_size=2, max_size=4))
def test_many_serving_plans_at_once_equal_each_alone(model: Model, several: list[Plan]) -> None:
    base = several[0]
    alike = [replace(base, **{name: getattr(plan, name) for name in NUMBERS}) for plan in several]
    columns = {name: np.array([getattr(plan, name) for plan in alike]) for name in NUMBERS}
    pool, job = pool_of("h100-sxm"), Serve(model=model, rate=2.0)
    many = serve(job, Plans(base=base, **columns), pool, LIKELY)
    for i, plan in enumerate(alike):
        alone = serve(job, plan, pool, LIKELY)
        for amount in alone.amounts:
            value = np.broadcast_to(many[amount.name], (len(alike),))[i]
            assert np.isclose(value, amount.value, rtol=1e-9), amount.name


@given(models(), plans(serving=True), st.floats(0.1, 20), st.sampled_from(CHIPS))
def test_a_feasible_answer_fits_the_memory(
    model: Model, plan: Plan, rate: float, chip: str
) -> None:
    plan = replace(plan, chip=chip)
    where = Fleet(pools=(pool_of(chip),))
    job = Serve(model=model, rate=rate, prompt=700, answer=200)
    found = answer(job, plan, where, EFFICIENCIES, chosen=False)
    if isinstance(found, Need):
        assert found.memory.likely <= machine(where.pools[0], plan, LIKELY).size
        assert found.memory.high <= where.pools[0].chip.memory_size * 1.1
    else:
        assert found.need > found.have


@given(models(), plans())
def test_splitting_or_sharding_never_takes_more_memory(model: Model, plan: Plan) -> None:
    learning = Learning(model=model, sequence=2048)
    plain = replace(plan, shard=0)
    held = learning_memory(learning, plain)
    sharded = learning_memory(learning, replace(plan, shard=1))
    assert sharded.optimizer <= held.optimizer * (1 + 1e-12)
    if plan.tensor < 8:
        wider = replace(plain, tensor=plan.tensor * 2)
        assert learning_memory(learning, wider).total <= held.total * (1 + 1e-12)


@given(models(), st.integers(1, 400), st.integers(1, 400))
def test_more_users_never_make_a_step_shorter(model: Model, one: int, other: int) -> None:
    plan, pool = Plan(chip="h100-sxm"), pool_of("h100-sxm")
    here = machine(pool, plan, LIKELY)
    few, many = sorted((one, other))
    job = Serve(model=model)
    short, long = (decode_pass(job, plan, here, users).compute for users in (few, many))
    assert short <= long * (1 + 1e-12)


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.floats(1, 1e3), st.floats(1, 1e5), st.floats(1, 8))
def test_more_rows_or_columns_never_multiply_slower(
    rows: float, columns: float, half_rows: float, half_columns: float, more: float
) -> None:
    def rate(m: float, n: float) -> float:
        return float(
            matmul_rate(peak=1.0, rows=m, half_rows=half_rows, columns=n, half_columns=half_columns)
        )

    here = rate(rows, columns)
    assert 0 < here < 1
    assert rate(more * rows, columns) >= here and rate(rows, more * columns) >= here
    assert rate(half_rows, 1e30) == pytest.approx(0.5)
    assert rate(2 * half_rows, half_columns) == pytest.approx(0.5)


@given(models(), plans())
def test_sequence_parallelism_never_computes_longer(model: Model, plan: Plan) -> None:
    learning, pool = Learning(model=model, sequence=2048), pool_of("h100-sxm")
    split, whole = replace(plan, sequence=True), replace(plan, sequence=False)
    with_it, without = (
        step_time(learning, each, machine(pool, each, LIKELY)).compute for each in (split, whole)
    )
    assert with_it <= without * (1 + 1e-12)
    if plan.tensor > 1:
        assert with_it < without


@given(models(), plans())
def test_frozen_weights_save_their_own_gradients_and_no_others(model: Model, plan: Plan) -> None:
    free = Learning(model=model, sequence=2048)
    frozen = replace(free, frozen=True, trainable=1e6)
    once = learning_pass(free, plan, machine(pool_of("h100-sxm"), plan, LIKELY))
    saved = executed_flop(once, free, plan) - executed_flop(once, frozen, plan)
    assert saved == pytest.approx(once.flop - once.core)
    assert 0 <= once.core < once.flop
    useful = learning_flop(free) - learning_flop(frozen)
    core = model_flop(model, 2048, core=True)
    assert useful == pytest.approx(model_flop(model, 2048) - core)
