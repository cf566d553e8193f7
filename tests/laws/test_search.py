"""The search against brute force over small spaces, its bounds, and what must hold for any goal."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eke import Align, Infeasible, Serve, Train, Tune, fleet, model
from eke.catalog.efficiencies import efficiencies
from eke.errors import BadInput
from eke.physics.answer import outcome
from eke.physics.scenarios import likely
from eke.planning import frontier, plan
from eke.search.front import pareto
from eke.search.learning import least_time
from eke.search.tally import Tally
from eke.types.fleet import Fleet
from eke.types.goal import AtMost, Goal, Planned
from eke.types.job import Promise
from eke.types.plan import Plan, Plans, check_plan
from eke.verbs import check_fits, values_of

SMALL = model("qwen2.5-7b")
ROUTED = model("qwen3-30b-a3b")
FIGURES = {"cost": "money", "chips": "chips", "time": "time", "energy": "energy"}


def priced(job: Any, one: Plan, where: Fleet) -> dict[str, float] | None:
    """The figures of a plan by itself; None where it makes no sense or misses a limit."""
    try:
        check_fits(one, job, where)
    except BadInput:
        return None
    result = outcome(job, one, where, likely(values_of(job, one, where)))
    if not np.all(result.feasible):
        return None
    return {a.name: float(a.value) for a in result.amounts if a.value is not None}


def least(job: Any, plans: list[Plan], where: Fleet, goal: str) -> float:
    """The best figure of all plans, each priced by itself."""
    found = [figures for one in plans if (figures := priced(job, one, where)) is not None]
    return min((figures[FIGURES[goal]] for figures in found), default=np.inf)


def degrees(most: int) -> range:
    return range(1, most + 1)


SERVED = {"batch": (16, 256), "token_budget": (2048,)}


def served(job: Serve, chip: str, most: int) -> list[Plan]:
    """Every plan that serves on so many chips, prompts and answers on the same."""
    base = plan_of(job, chip)
    ranks = (1, 2, 4) if job.model is ROUTED else (1,)
    return [
        replace_all(base, tensor=t, pipeline=p, data=d, expert=e, replicas=r, batch=b)
        for t, p, d, r in product(degrees(most), degrees(most), ranks, degrees(most))
        if t * p * d * r <= most
        for e in degrees(t * d)
        if job.model is ROUTED or e == 1
        for b in SERVED["batch"]
    ]


def plan_of(job: Any, chip: str) -> Plan:
    found = plan(
        job, f"64x{chip}", choices={"token_budget": 2048} if isinstance(job, Serve) else {}
    )
    assert isinstance(found, Planned)
    base = found.need.plan
    return replace_all(base, tensor=1, pipeline=1, data=1, expert=1, replicas=1, prefill=None)


def replace_all(one: Plan, **changes: Any) -> Plan:
    from eke.types.record import replace

    return replace(one, **changes)


QUICK = Promise(limit=0.6, percentile=0.9)
STEADY = Promise(limit=0.04, percentile=0.9)


@pytest.mark.parametrize("goal", ["cost", "time", "energy"])
@pytest.mark.parametrize(
    ("served_model", "rate", "ttft", "tpot"),
    [
        (SMALL, 30.0, None, None),
        (SMALL, 12.0, QUICK, STEADY),
        (SMALL, 0.05, None, None),
        (ROUTED, 20.0, QUICK, None),
    ],
    ids=["loose", "promised", "idle", "experts"],
)
def test_serving_is_as_good_as_brute_force(
    served_model: Any, rate: float, ttft: Promise | None, tpot: Promise | None, goal: str
) -> None:
    job = Serve(model=served_model, rate=rate, prompt=1500, answer=200, ttft=ttft, tpot=tpot)
    where = fleet("6xl40s") if served_model is SMALL else fleet("4xh100-sxm")
    chip = where.pools[0].chip.id
    found = plan(job, where, Goal(least=goal), choices=SERVED, disaggregate="never")
    truth = least(job, served(job, chip, where.chips), where, goal)
    assert value(found) <= truth * 1.01 < np.inf


def value(found: Planned | Infeasible) -> float:
    return found.value.likely if isinstance(found, Planned) else np.inf


@pytest.mark.parametrize("goal", ["cost", "time"])
def test_disaggregated_serving_is_as_good_as_brute_force(goal: str) -> None:
    job = Serve(model=SMALL, rate=5, prompt=3000, answer=300, ttft=Promise(limit=2), tpot=STEADY)
    where = fleet("6xl40s")
    found = plan(job, where, Goal(least=goal), choices={"batch": 64}, disaggregate="must")
    base = replace_all(plan_of(job, "l40s"), batch=64, token_budget=2048)
    halves = [
        replace_all(base, tensor=t, pipeline=p, replicas=r)
        for t, p, r in product(degrees(5), degrees(5), degrees(5))
        if t * p * r <= 5
    ]
    pairs = [
        replace_all(one, prefill=other)
        for one, other in product(halves, halves)
        if one.chips + other.chips <= 6
    ]
    assert value(found) <= least(job, pairs, where, goal) * 1.01 < np.inf
    assert isinstance(found, Planned) and found.need.plan.prefill is not None


def learnt(most: int, sequences: int, choices: dict[str, Any]) -> list[Plan]:
    """Every plan that learns on so many chips with that global batch."""
    base = Plan(chip="a100-sxm-80", batch=sequences)
    rows = product(degrees(most), degrees(most), (1, 2, 4), (1, 2), degrees(most), (1, 2, 4))
    found = []
    for t, p, v, c, d, m in rows:
        if t * p * c * d > most or (v > 1 and p == 1) or sequences % (d * m * (p if v > 1 else 1)):
            continue
        for shard, again in product((0, 1, 2, 3), ("none", "selective", "full")):
            if shard and d * c == 1:
                continue
            one = replace_all(
                base, tensor=t, pipeline=p, virtual=v, context=c, data=d, micro_batch=m
            )
            found.append(replace_all(one, shard=shard, recompute=again))
    return found


@pytest.mark.parametrize(
    ("job", "goal"),
    [
        (Train(model=SMALL, tokens=1e9, sequence=4096, batch=16 * 4096), "time"),
        (Train(model=SMALL, tokens=1e9, sequence=4096, batch=16 * 4096, within=1e6), "chips"),
        (Train(model=SMALL, tokens=1e9, sequence=4096, batch=16 * 4096, within=6e5), "cost"),
        (Tune(model=SMALL, tokens=1e8, sequence=2048, batch=8 * 2048, method="lora"), "cost"),
        (Align(model=SMALL, method="grpo", prompts=1e4, samples=4, batch=4), "time"),
    ],
    ids=["train-time", "train-chips", "train-cost", "tune", "align"],
)
def test_learning_is_as_good_as_brute_force(job: Any, goal: str) -> None:
    most = 3 if isinstance(job, Align) else 4
    where = fleet(f"{most}xa100-sxm-80")
    fixed = {"tensor": (1, 2, 4), "virtual": (1, 2, 4), "context": (1, 2), "micro_batch": (1, 2, 4)}
    found = plan(job, where, Goal(least=goal), choices=fixed)
    sequences = 16 if not isinstance(job, Tune) else 8
    ways = [job]
    if isinstance(job, Align):
        ways = [job, *(replace_all(job, split=s) for s in (0.25, 0.375, 0.5, 0.625, 0.75))]
    truth = min(least(each, learnt(most, sequences, fixed), where, goal) for each in ways)
    assert value(found) <= truth * 1.01 < np.inf


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_the_bound_of_learning_is_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    power = lambda most: 2 ** rng.integers(0, most + 1, 64)  # noqa: E731
    pipeline = power(3)
    job = Train(model=rng.choice([SMALL, ROUTED]), tokens=1e11, sequence=4096)
    if rng.random() < 0.4:
        job = Tune(model=job.model, tokens=1e9, objective=str(rng.choice(["sft", "reward", "dpo"])))
    data, micro = power(5), power(2)
    plans = Plans(
        base=Plan(
            chip="h100-sxm",
            shard=int(rng.integers(0, 4)),
            recompute=str(rng.choice(["none", "selective", "full"])),
        ),
        tensor=power(2),
        pipeline=pipeline,
        virtual=np.where(pipeline > 1, power(1), 1),
        context=power(1),
        data=data,
        micro_batch=micro,
        batch=data * micro * power(4),
    )
    where = fleet("65536xh100-sxm")
    knobs = likely(efficiencies("hopper", "training"))
    from eke.physics.machine import machine

    result = outcome(job, plans, where, knobs)
    seconds = least_time(job, plans, machine(where.pools[0], plans, knobs))
    assert np.all(seconds <= result["time"] * (1 + 1e-9))
    for figure in ("money", "energy", "chips", "time"):
        floor = Tally(figure).floor(plans.chips, seconds, where.pools[0], knobs, seconds)
        assert np.all(floor <= result[figure] * (1 + 1e-9))


@settings(max_examples=6, deadline=None)
@given(
    rate=st.floats(0.5, 40),
    ttft=st.floats(0.1, 3),
    goal=st.sampled_from(["cost", "chips", "time", "energy", "carbon"]),
)
def test_more_room_is_never_worse(rate: float, ttft: float, goal: str) -> None:
    """A looser promise, more chips and more freedom never cost more."""
    job = Serve(model=SMALL, rate=rate, ttft=Promise(limit=ttft, percentile=0.9))
    tight = value(plan(job, "8xl40s", Goal(least=goal), disaggregate="never"))
    loose = replace_all(job, ttft=Promise(limit=1.3 * ttft, percentile=0.9))
    for easier in (
        plan(loose, "8xl40s", Goal(least=goal), disaggregate="never"),
        plan(job, "12xl40s", Goal(least=goal), disaggregate="never"),
        plan(job, "8xl40s", Goal(least=goal)),
        plan(job, "8xl40s+4xh100-sxm", Goal(least=goal), disaggregate="never"),
    ):
        assert value(easier) <= tight * 1.002


@settings(max_examples=6, deadline=None)
@given(rate=st.floats(1, 60), sure=st.floats(0.55, 0.9))
def test_limits_are_kept_and_sureness_costs(rate: float, sure: float) -> None:
    job = Serve(model=SMALL, rate=rate, ttft=QUICK, tpot=STEADY)
    where, limit = fleet("16xl40s"), AtMost(figure="cost_per_hour", most=12.0)
    goal = Goal(least="cost", within=(limit,), headroom=0.1)
    found = plan(job, where, goal, disaggregate="never")
    surer = plan(job, where, replace_all(goal, sure=sure), disaggregate="never")
    assert value(surer) >= value(found) * (1 - 1e-9)
    for answer in (found, surer):
        if not isinstance(answer, Planned):
            continue
        assert answer.need.figures["cost_per_hour"].span.likely <= 12.0 * (1 + 1e-9)
        assert all(kept.need.likely <= kept.have * (1 + 1e-9) for kept in answer.kept)
        check_plan(answer.need.plan)
    if isinstance(surer, Planned):
        assert min(kept.chance for kept in surer.kept) >= sure


def test_a_frontier_is_beaten_by_no_plan() -> None:
    job = Serve(model=SMALL, rate=12, prompt=1500, answer=200, ttft=Promise(limit=1.0))
    where = fleet("4xl40s")
    found = frontier(job, where, ("cost", "tpot"), choices=SERVED, disaggregate="never")
    assert not isinstance(found, Infeasible)
    points = np.array([point.values for point in found.points]).T
    assert len(pareto(points)) == points.shape[1]
    for one in served(job, "l40s", 4):
        figures = priced(job, one, where)
        if figures is not None:
            mine = figures["cost_per_million_tokens"], figures["tpot"]
            beaten = (points[0] <= mine[0] * 1.003) & (points[1] <= mine[1] * 1.003)
            assert beaten.any(), one


@given(st.lists(st.tuples(*[st.floats(0.1, 10)] * 3), min_size=1, max_size=60))
def test_pareto_keeps_what_nothing_beats(rows: list[tuple[float, ...]]) -> None:
    for measures in (2, 3):
        values = np.array(rows).T[:measures]
        kept = set(pareto(values).tolist())
        for i, mine in enumerate(values.T):
            beaten = [
                j
                for j, other in enumerate(values.T)
                if np.all(other <= mine * (1 + 1e-9)) and np.any(other < mine * (1 - 1e-8))
            ]
            assert (i in kept) <= (not beaten)
            assert beaten or any(np.allclose(values.T[j], mine, rtol=1e-6) for j in kept)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**9))
def test_a_block_of_two_axes_is_its_plans(seed: int) -> None:
    """Layouts down and copies across price as one plan after the other."""
    rng = np.random.default_rng(seed)
    job = Serve(model=SMALL, rate=9, ttft=QUICK, tpot=STEADY)
    down = {name: 2 ** rng.integers(0, most + 1, (5, 1)) for name, most in (("tensor", 2),)}
    half = Plans(base=Plan(chip="l40s"), tensor=2 ** rng.integers(0, 2, (1, 3)), replicas=2)
    plans = Plans(
        base=Plan(chip="l40s"),
        **down,
        batch=2 ** rng.integers(3, 9, (5, 1)),
        replicas=rng.integers(1, 5, (1, 3)),
        prefill=half if rng.random() < 0.5 else None,
    )
    where, knobs = fleet("64xl40s"), likely(efficiencies("ada", "vllm-1"))
    result = outcome(job, plans, where, knobs)
    assert plans.shape == (5, 3) and len(plans) == 15
    for i in range(15):
        one = outcome(job, plans[i], where, knobs)
        for amount in result.amounts:
            if amount.value is not None:
                all_of_them = np.broadcast_to(amount.value, plans.shape).ravel()
                assert all_of_them[i] == pytest.approx(float(one[amount.name]), rel=1e-12)
    assert [plans.take(np.array([7, 2]))[k] for k in (0, 1)] == [plans[7], plans[2]]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**9))
def test_norms_split_over_the_sequence_are_never_worse(seed: int) -> None:
    """Why the search leaves `sequence` as it is."""
    rng = np.random.default_rng(seed)
    data = 2 ** rng.integers(0, 4, 50)
    columns = {name: 2 ** rng.integers(0, 4, 50) for name in ("tensor", "pipeline")}
    split = Plans(base=Plan(chip="h100-sxm", shard=1), data=data, batch=8 * data, **columns)
    whole = replace_all(split, base=replace_all(split.base, sequence=False))
    job = Train(model=rng.choice([SMALL, ROUTED]), tokens=1e11)
    where, knobs = fleet("65536xh100-sxm"), likely(efficiencies("hopper", "training"))
    one, other = (outcome(job, plans, where, knobs) for plans in (split, whole))
    for figure in ("time", "memory"):
        assert np.all(one[figure] <= other[figure] * (1 + 1e-12))
