"""A pipeline whose later stages stand on other chips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import models, plans, pool_of
from tests.two_kinds import ALONE, FAST, FLEET, SLOW, VALUES, priced

from eke import need
from eke.calibrate.measured import Measured
from eke.catalog.efficiencies import efficiencies
from eke.catalog.models import model as catalogued
from eke.errors import BadInput
from eke.physics.answer import outcome, settled
from eke.physics.learn import Learning
from eke.physics.machine import machine
from eke.physics.mixed import halves, step_time
from eke.physics.outcome import Outcome
from eke.physics.scenarios import likely, scenarios, with_other
from eke.physics.timeline import timeline
from eke.types.fleet import Fleet
from eke.types.job import Align, Serve, Train, Tune
from eke.types.model import Model
from eke.types.need import Infeasible, Need
from eke.types.plan import NUMBERS, Plan, Plans, check_plan
from eke.types.record import replace


def split(plan: Plan, first: int, last: int, rear: str = SLOW, **other: Any) -> Plan:
    """The plan with stages in front and behind, alike but for their chip."""
    own = {"tensor": plan.tensor, "expert": plan.expert, "recompute": plan.recompute}
    return replace(plan, pipeline=first, rear=Plan(chip=rear, pipeline=last, **(own | other)))


def jobs(model: Model, kind: str) -> Train | Tune:
    if kind == "train":
        return Train(model=model, tokens=1e10, sequence=2048)
    return Tune(model=model, tokens=1e8, method="lora", sequence=2048)


@given(models(), plans(), st.sampled_from([(1, 1), (1, 3), (2, 2), (3, 1)]))
def test_a_step_takes_the_longer_of_computing_and_exchanging_to_their_sum(
    model: Model, plan: Plan, cut: tuple[int, int]
) -> None:
    both = split(plan, *cut, tensor=min(2 * plan.tensor, 8), expert=1)
    machines = (machine(pool_of(chip), both, ALONE[chip]) for chip in (FAST, SLOW))
    learning = Learning(model=model, sequence=2048)
    times = step_time(halves(learning, both, *machines))
    least = max(times.compute, times.exchange)
    assert least * (1 - 1e-9) <= times.total <= (times.compute + times.exchange) * (1 + 1e-9)


stages = st.sampled_from([(1, 1), (1, 3), (2, 2), (3, 1)])
kinds = st.sampled_from(["train", "tune"])


@given(models(), plans(), stages, kinds)
def test_halves_of_the_same_chip_are_the_plain_pipeline(
    model: Model, plan: Plan, cut: tuple[int, int], kind: str
) -> None:
    """But for memory: the front knows no logits, the rear holds fewer micro-batches."""
    job, count = jobs(model, kind), sum(stack.count for stack in model.stacks)
    each = count // sum(cut)
    plain = priced(job, replace(plan, pipeline=sum(cut)))
    both = priced(job, replace(split(plan, *cut, rear=FAST, stage_layers=each), stage_layers=each))
    for amount in plain.amounts:
        if amount.name != "memory":
            assert both[amount.name] == pytest.approx(amount.value), amount.name
    assert 0 < both["memory"] <= plain["memory"] * (1 + 1e-9)
    times = {share.name: share.value for share in plain.shares if share.of == "time"}
    found = {share.name: share.value for share in both.shares if share.of == "time"}
    assert found == pytest.approx(times)


@given(models(), plans(), stages, kinds)
def test_time_lies_between_all_fast_and_all_slow(
    model: Model, plan: Plan, cut: tuple[int, int], kind: str
) -> None:
    """Where stages divide the layers, and handing on is not what sets the pace."""
    job = jobs(model, kind)
    whole = replace(plan, pipeline=sum(cut))
    quick, slow = (priced(job, replace(whole, chip=chip))["step_time"] for chip in (FAST, SLOW))
    for chip, rear in ((FAST, SLOW), (SLOW, FAST)):
        both = priced(job, split(replace(plan, chip=chip), *cut, rear=rear))
        took = both["step_time"]
        assert quick * (1 - 1e-9) <= took <= slow * (1 + 1e-9) + crossing(both)
        shares = [share.value for share in both.shares if share.of == "time"]
        assert sum(shares) == pytest.approx(both["time"])


def crossing(found: Outcome) -> float:
    """All handing on of a step: what crossing to other chips may add."""
    each = next(share.value for share in found.shares if share.name == "stage exchange")
    return float(each / found["steps"])


@given(models(), plans(), stages)
def test_eke_balances_as_well_as_trying_every_split(
    model: Model, plan: Plan, cut: tuple[int, int]
) -> None:
    job, count = jobs(model, "train"), sum(stack.count for stack in model.stacks)
    both = split(plan, *cut)
    balanced = priced(job, both)
    best = np.inf
    for one in range(1, count - cut[1] + 1):
        behind = count - min(one * cut[0], count - cut[1])
        two = -(-behind // cut[1])
        rear = replace(both.rear, stage_layers=two)
        tried = priced(job, replace(both, stage_layers=one, rear=rear))
        if tried.feasible:
            best = min(best, float(tried["step_time"]))
    assert bool(balanced.feasible) == (best < np.inf)
    if best < np.inf:
        assert balanced["step_time"] <= best * (1 + 2e-3)


@given(models(), st.lists(plans(), min_size=2, max_size=4), st.data())
def test_one_formula_serves_many_mixed_plans(
    model: Model, several: list[Plan], data: st.DataObject
) -> None:
    base, job = several[0], jobs(model, "train")
    alike = [replace(base, **{name: getattr(plan, name) for name in NUMBERS}) for plan in several]
    rears = [data.draw(st.tuples(st.sampled_from([1, 2, 8]), stages)) for _ in alike]
    columns = {name: np.array([getattr(plan, name) for plan in alike]) for name in NUMBERS}
    columns |= {"pipeline": np.array([first for _, (first, _) in rears])}
    half = Plans(
        base=Plan(chip=SLOW, recompute=base.recompute),
        tensor=np.array([tensor for tensor, _ in rears]),
        pipeline=np.array([last for _, (_, last) in rears]),
    )
    many = Plans(base=base, rear=half, **columns)
    result = priced(job, many)
    assert len(many) == len(alike)
    for i in range(len(alike)):
        one = many[i]
        assert one.rear is not None and one.rear.chip == SLOW
        assert one.chips == np.broadcast_to(many.chips, many.shape)[i]
        assert many.take([i])[0] == one
        alone = priced(job, one)
        for amount in alone.amounts:
            value = np.broadcast_to(result[amount.name], many.shape)[i]
            assert value == pytest.approx(amount.value), amount.name
        for limit, other in zip(alone.limits, result.limits, strict=True):
            assert np.broadcast_to(other.need, many.shape)[i] == pytest.approx(limit.need)


LLAMA = Train(model=catalogued("llama-3.1-8b"), tokens=1e11)
GIVEN = Plan(chip=FAST, tensor=2, pipeline=2, data=2, batch=512, shard=1, recompute="full")
MIXED = split(GIVEN, 2, 2)
NAME = "8xh100-sxm+8xa100-sxm-80"


def test_an_answer_names_both_kinds_and_its_layers() -> None:
    found = need(LLAMA, MIXED, NAME)
    assert isinstance(found, Need) and found.plan.rear is not None
    assert found.chips.likely == 16
    one, two = found.plan.stage_layers, found.plan.rear.stage_layers
    assert 2 * one + 2 * two >= 32 and one > two > 0
    assert any(f"{2 * one} of 32 layers on {FAST}" in remark for remark in found.remarks)
    assert need(LLAMA, found.plan, NAME) == found
    names = {ground.name for ground in found.grounds}
    assert {"matmul", "other matmul", f"{FAST} peak bf16", f"{SLOW} peak bf16"} <= names


def test_the_layers_stay_the_same_whatever_is_uncertain() -> None:
    """A slow half is not helped by layers it would have been given, had anybody known."""
    values = with_other(VALUES[FAST], VALUES[SLOW])
    plan = settled(LLAMA, MIXED, FLEET, likely(values))
    result = outcome(LLAMA, plan, FLEET, scenarios(values))
    at = 2 + 2 * list(values).index("other scatter")
    assert result["step_time"][at] > 1.1 * result["step_time"][0]
    assert outcome(LLAMA, plan, FLEET, likely(values))["time"] == pytest.approx(result["time"][0])


def test_both_kinds_are_paid_fed_and_fail() -> None:
    result = priced(LLAMA, MIXED)
    seconds = result["time"]
    rents = {chip: pool_of(chip).rent * ALONE[chip].price for chip in (FAST, SLOW)}
    assert result["money"] == pytest.approx(8 * seconds * sum(rents.values()))
    frail = replace(ALONE[SLOW], failure_interval=ALONE[SLOW].failure_interval / 100)
    weak = outcome(LLAMA, MIXED, FLEET, replace(ALONE[FAST], other=frail))
    assert weak["goodput"] < result["goodput"]


def test_a_half_without_memory_gets_fewer_layers_or_is_named() -> None:
    """On one small chip behind, most layers stand in front; what fits neither is said."""
    small = Fleet(pools=(pool_of(FAST), pool_of("v100-sxm2-32")))
    knobs = replace(ALONE[FAST], other=likely(efficiencies("volta", "training")))
    plan = split(replace(GIVEN, tensor=4), 2, 1, rear="v100-sxm2-32", tensor=1, compute="fp16")
    result = outcome(LLAMA, plan, small, knobs)
    limits = {limit.name: limit for limit in result.limits}
    assert limits["rear memory"].need <= limits["rear memory"].have
    job = replace(LLAMA, model=catalogued("llama-3.1-405b"))
    found = need(job, MIXED, NAME)
    assert isinstance(found, Infeasible) and found.limit in ("memory", "rear memory")


@pytest.mark.parametrize(
    "plan,words",
    [
        (split(GIVEN, 2, 2, data=4), "data of the rear is 4"),
        (split(GIVEN, 2, 2, batch=64), "batch of the rear is 64"),
        (split(GIVEN, 2, 2, expert=8), "expert is 8"),
        (replace(MIXED, schedule="zero-bubble"), "1f1b or gpipe"),
        (replace(MIXED, virtual=2), "1f1b or gpipe"),
        (replace(MIXED, rear=replace(MIXED, data=2)), "two halves at most"),
        (replace(MIXED, replicas=2), "neither"),
        (replace(MIXED, stage_layers=-1), "number of layers"),
    ],
)
def test_halves_that_do_not_go_together_are_refused(plan: Plan, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        check_plan(plan)


@pytest.mark.parametrize(
    "plan,words",
    [
        (split(GIVEN, 2, 4), "takes 16 a100-sxm-80, the fleet has 8"),
        (split(GIVEN, 2, 2, rear=FAST), "takes 16 h100-sxm, the fleet has 8"),
        (split(GIVEN, 2, 2, rear="b200"), "the plan is for b200"),
        (split(replace(GIVEN, tensor=1, data=1), 2, 1, tensor=3), "must divide"),
        (split(replace(GIVEN, tensor=1, data=1), 4, 31, tensor=1), "35 stages in all"),
        (replace(MIXED, stage_layers=40), "leave too few"),
        (replace(split(GIVEN, 2, 2, stage_layers=4), stage_layers=4), "hold 16 layers"),
        (replace(GIVEN, stage_layers=4), "hold 8 layers"),
    ],
)
def test_halves_that_do_not_fit_the_fleet_or_the_model_are_refused(plan: Plan, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        need(LLAMA, plan, NAME)


@pytest.mark.parametrize("job", [Serve(model=LLAMA.model), Align(model=LLAMA.model)])
def test_only_learning_has_a_rear(job: Any) -> None:
    with pytest.raises(BadInput, match="only training and tuning"):
        need(job, MIXED, NAME)


def test_own_measurements_of_both_kinds_at_once_say_the_same() -> None:
    """FLOP per second of the mean chip and seconds per step are one measurement."""
    plain = need(LLAMA, MIXED, NAME)
    assert isinstance(plain, Need)
    seconds = 0.9 * plain.figures["step_time"].span.likely
    rate = plain.figures["flop"].span.likely / plain.figures["steps"].span.likely / 16 / seconds
    found = [
        need(LLAMA, MIXED, NAME, measured=[Measured(metric=name, value=value, conditions={})])
        for name, value in (("step", seconds), ("flops", rate))
    ]
    times = [each.time.likely for each in found if isinstance(each, Need)]
    assert times[0] == pytest.approx(times[1], rel=1e-6) and times[0] < plain.time.likely


def test_two_kinds_are_not_drawn() -> None:
    with pytest.raises(BadInput, match="not drawn"):
        timeline(LLAMA, MIXED, FLEET, ALONE[FAST])


def test_both_halves_run_under_the_engine_of_the_front() -> None:
    found = need(LLAMA, replace(MIXED, engine="megatron"), NAME)
    plain = need(LLAMA, MIXED, NAME)
    assert isinstance(found, Need) and isinstance(plain, Need)
    moved = [
        {ground.name: ground.value for ground in each.grounds}["other turn"]
        for each in (found, plain)
    ]
    assert moved[0] != moved[1]


@given(models(), plans())
def test_an_even_share_said_is_an_even_share(model: Model, plan: Plan) -> None:
    job, count = jobs(model, "tune"), sum(stack.count for stack in model.stacks)
    plain = priced(job, plan)
    said = priced(job, replace(plan, stage_layers=-(-count // plan.pipeline)))
    for amount in plain.amounts:
        assert said[amount.name] == pytest.approx(amount.value), amount.name
