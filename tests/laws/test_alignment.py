"""What must hold for alignment: phases, feedback, rollouts that fit, split chips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import models, plans, pool_of

from eke.catalog.efficiencies import efficiencies
from eke.catalog.models import model as catalogued
from eke.errors import BadInput
from eke.physics.align import align, answers, generation_plan, round_times, sides
from eke.physics.machine import machine
from eke.physics.scenarios import likely, scenarios
from eke.types.job import Align
from eke.types.model import Model
from eke.types.plan import NUMBERS, Plan, Plans
from eke.types.record import replace

LIKELY = likely(efficiencies("hopper"))
SMALL = catalogued("llama-3.1-8b")
PLAN = Plan(chip="h100-sxm", tensor=4, data=4, batch=512)
POOL = pool_of("h100-sxm")


@given(models(), plans(), st.sampled_from(["ppo", "grpo", "dpo"]), st.sampled_from([None, 0.25]))
def test_parts_add_up_and_figures_are_finite(
    model: Model, plan: Plan, method: str, split: float | None
) -> None:
    job = Align(model=model, method=method, split=split, feedback="ai", longest=2000)  # type: ignore[arg-type]
    result = align(job, plan, POOL, scenarios(efficiencies("hopper")))
    for amount in result.amounts:
        values = np.asarray(amount.value, dtype=float)
        assert np.isfinite(values).all() and (values >= 0).all(), amount.name
    parts = sum(share.value for share in result.shares if share.of == "time")
    assert np.allclose(parts, result["time"], rtol=1e-9)


@given(models(), st.lists(plans(), min_size=2, max_size=4), st.sampled_from([None, 0.5]))
def test_many_plans_at_once_equal_each_alone(
    model: Model, several: list[Plan], split: float | None
) -> None:
    alike = [replace(several[0], **{n: getattr(plan, n) for n in NUMBERS}) for plan in several]
    columns = {name: np.array([getattr(plan, name) for plan in alike]) for name in NUMBERS}
    job = Align(model=model, split=split)
    many = align(job, Plans(base=several[0], **columns), POOL, LIKELY)
    for i, plan in enumerate(alike):
        alone = align(job, plan, POOL, LIKELY)
        for amount in alone.amounts:
            value = np.broadcast_to(many[amount.name], (len(alike),))[i]
            assert np.isclose(value, amount.value, rtol=1e-9), amount.name


@pytest.mark.parametrize("method", ["ppo", "grpo", "dpo"])
def test_labels_by_a_model_cost_chip_time_with_every_method(method: str) -> None:
    job = Align(model=SMALL, method=method, feedback="ai")  # type: ignore[arg-type]
    found = align(job, PLAN, POOL, LIKELY)
    assert found["labels"] > 0
    assert found["feedback"] == pytest.approx(found["money"] * found["labels"] / found["time"])
    people = align(replace(job, feedback="human", label_price=5.0), PLAN, POOL, LIKELY)
    assert people["labels"] == 0 and people["feedback"] == 5.0 * job.pairs


def test_preference_pairs_are_all_judged() -> None:
    assert Align(model=SMALL, method="dpo", prompts=30_000).pairs == 30_000


def test_a_model_too_large_for_its_tensor_ranks_generates_on_more() -> None:
    """70B in 16 bits is 141 GB: FSDP trains it with one tensor rank, an engine needs two or more
    chips of 80 GB, and weights then leave a fifth of the memory free."""
    large, fsdp = catalogued("llama-3.1-70b"), Plan(chip="h100-sxm", data=64, shard=3)
    here = machine(POOL, fsdp, LIKELY)
    wide = generation_plan(large, fsdp, here).tensor
    assert 2 * 70e9 / wide < 0.8 * here.size <= 2 * 70.6e9 / (wide / 2)
    few = Plan(chip="h100-sxm", data=2, shard=3, recompute="full")
    limits = align(Align(model=large, method="grpo"), few, POOL, LIKELY).limits
    assert "rollout chips" in {limit.name for limit in limits if limit.need > limit.have}


def test_split_chips_divide_and_the_slower_side_sets_the_pace() -> None:
    job = Align(model=SMALL, split=0.5)
    own, rolling = sides(job, PLAN)
    assert own.chips + rolling == PLAN.chips == 16
    here = machine(POOL, PLAN, LIKELY)
    apart, together = (round_times(each, PLAN, here) for each in (job, replace(job, split=None)))
    assert apart.scoring + apart.update >= 1.9 * (together.scoring + together.update) * 0.9
    assert apart.total >= apart.scoring + apart.update
    assert not align(job, replace(PLAN, data=1), POOL, LIKELY).feasible  # nobody left to generate


def test_waiting_for_the_longest_answer() -> None:
    here = machine(POOL, PLAN, LIKELY)
    job = Align(model=SMALL)
    alike, same, tail = (
        round_times(replace(job, longest=longest), PLAN, here).rollout
        for longest in (None, job.answer, 8 * job.answer)
    )
    assert same == pytest.approx(alike)
    steps = job.prompts / job.batch * 7 * job.answer
    reading = 2 * 8.03e9 / 4 / here.memory  # a step reads all weights at least once
    assert tail - alike > 0.9 * steps * reading


def test_group_answers_share_their_prompt() -> None:
    """Eight answers to one prompt cost less to write than one answer to each of eight."""
    here = machine(POOL, PLAN, LIKELY)
    group = Align(model=SMALL, method="grpo", prompt=4000, prompts=1000, batch=64)
    each = Align(model=SMALL, method="ppo", prompt=4000, prompts=8000, batch=512)
    assert answers(group) == answers(each) == 8000
    assert round_times(group, PLAN, here).rollout < round_times(each, PLAN, here).rollout
    with pytest.raises(BadInput):
        Align(model=SMALL, method="grpo", samples=1)
