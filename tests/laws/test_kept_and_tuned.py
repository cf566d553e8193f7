"""Carbon, conversations kept between turns, their offload, and fine-tunes served as adapters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import models, plans, pool_of

from eke.catalog.efficiencies import efficiencies
from eke.catalog.models import model as catalogued
from eke.physics.adapters import adapter_bytes, distinct_adapters, miss_chance
from eke.physics.align import align
from eke.physics.footprint import cache_bytes
from eke.physics.outcome import Outcome
from eke.physics.scenarios import likely, scenarios
from eke.physics.serve import serve
from eke.physics.train import train
from eke.physics.tune import lora_parameters, tune
from eke.types.job import Align, Job, Serve, Train, Tune
from eke.types.model import Model
from eke.types.plan import COUNTS, Plan, Plans
from eke.types.record import replace

EFFICIENCIES = efficiencies("hopper")
LIKELY = likely(EFFICIENCIES)
POOL = pool_of("h100-sxm")
LLAMA = catalogued("llama-3.1-8b")


def limit(result: Outcome, name: str) -> Any:
    return next(each for each in result.limits if each.name == name)


def part(result: Outcome, name: str) -> Any:
    return next(each.value for each in result.shares if each.name == name)


def names(result: Outcome) -> set[str]:
    return {amount.name for amount in result.amounts}


@pytest.mark.parametrize(
    "job, price",
    [
        (Serve(model=LLAMA), serve),
        (Train(model=LLAMA, tokens=1e12), train),
        (Tune(model=LLAMA, tokens=1e8, method="lora"), tune),
        (Align(model=LLAMA), align),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Job) else "",
)
def test_carbon_is_energy_times_the_intensity_of_the_grid(job: Job, price: Any) -> None:
    plan = Plan(chip="h100-sxm", tensor=8, data=1 if isinstance(job, Serve) else 4, batch=64)
    assumed = price(job, plan, POOL, LIKELY)
    assert assumed["carbon"] == pytest.approx(assumed["energy"] * LIKELY.carbon)
    assert price(job, plan, replace(POOL, carbon=0.0), LIKELY)["carbon"] == 0
    clean = price(job, plan, replace(POOL, carbon=1e-8), LIKELY)
    assert clean["carbon"] == pytest.approx(clean["energy"] * 1e-8)
    unpowered = replace(POOL, chip=replace(POOL.chip, power=None))
    assert "carbon" not in names(price(job, plan, unpowered, LIKELY))


@given(models(), plans(serving=True), st.floats(0.1, 20))
def test_without_pauses_and_fine_tunes_nothing_is_kept_or_loaded(
    model: Model, plan: Plan, rate: float
) -> None:
    result = serve(Serve(model=model, rate=rate), plan, POOL, LIKELY)
    assert part(result, "kept conversations") == 0
    assert not names(result) & {"loading", "adapter_misses", "conversations_kept"}
    assert not {"host memory", "host link", "replicas"} & {each.name for each in result.limits}
    assert sum(each.value for each in result.shares if each.name == "adapters") == 0


@given(models(), plans(serving=True), st.floats(0.1, 20))
def test_one_fine_tune_merged_into_the_model_costs_nothing(
    model: Model, plan: Plan, rate: float
) -> None:
    job = Serve(model=model, rate=rate)
    plain = serve(job, plan, POOL, LIKELY)
    merged = serve(replace(job, adapters=1), plan, POOL, LIKELY)
    for amount in plain.amounts:
        assert merged[amount.name] == amount.value, amount.name


@given(models(), plans(serving=True), st.floats(0.1, 5), st.floats(1, 200), st.floats(1.1, 10))
def test_a_longer_pause_never_takes_less_memory_or_answers_more(
    model: Model, plan: Plan, rate: float, pause: float, times: float
) -> None:
    job = Serve(model=model, rate=rate, reuse=0.5, pause=pause)
    short = serve(job, plan, POOL, LIKELY)
    long = serve(replace(job, pause=pause * times), plan, POOL, LIKELY)
    assert limit(long, "memory").need >= limit(short, "memory").need
    assert long["concurrency_most"] <= short["concurrency_most"]
    assert long["rate_most"] <= short["rate_most"] * 1.01  # the grid of concurrencies is coarse


@given(models(), plans(serving=True), st.floats(0.1, 5), st.floats(1, 200))
def test_as_many_conversations_are_kept_as_come_in_a_pause(
    model: Model, plan: Plan, rate: float, pause: float
) -> None:
    job = Serve(model=model, rate=rate, prompt=1000, reuse=0.5, pause=pause)
    result = serve(job, plan, POOL, LIKELY)
    each = cache_bytes(model, 500, plan)
    assert part(result, "kept conversations") == pytest.approx(rate / plan.replicas * pause * each)
    assert result["conversations_kept"] == pytest.approx(rate * pause)


@given(models(), plans(serving=True), st.floats(0.1, 5), st.floats(0, 200))
def test_offload_frees_the_chips_and_adds_loading(
    model: Model, plan: Plan, rate: float, pause: float
) -> None:
    job = Serve(model=model, rate=rate, prompt=1000, reuse=0.5, pause=pause)
    here = serve(job, plan, POOL, LIKELY)
    host = serve(job, replace(plan, offload=True), POOL, LIKELY)
    assert limit(host, "memory").need <= limit(here, "memory").need
    assert part(host, "kept conversations") == 0
    need = limit(host, "host memory").need
    assert need == pytest.approx(part(here, "kept conversations"))
    assert host["loading"] == pytest.approx(
        cache_bytes(model, 500, plan) / (POOL.host_speed * LIKELY.host_link)
    )
    if pause == 0 or host["concurrency_most"] == here["concurrency_most"]:
        assert host["ttft"] >= here["ttft"] + host["loading"] * (1 - 1e-9)
        assert host["tpot"] == pytest.approx(here["tpot"])
        assert host["rate_most"] <= here["rate_most"] * (1 + 1e-9)


def test_offload_makes_room_where_conversations_filled_the_memory() -> None:
    job = Serve(model=LLAMA, rate=2, prompt=8000, answer=200, reuse=0.9, pause=60)
    plan = Plan(chip="h100-sxm", batch=256)
    full = serve(job, plan, POOL, LIKELY)
    assert limit(full, "memory").need > limit(full, "memory").have
    assert "--offload" in limit(full, "memory").hint
    assert serve(job, replace(plan, offload=True), POOL, LIKELY).feasible


def test_a_link_that_is_too_slow_bounds_the_rate() -> None:
    job = Serve(model=LLAMA, rate=1, prompt=100_000, answer=1, reuse=0.999)
    slow = replace(POOL, host_speed=1e9)
    result = serve(job, Plan(chip="h100-sxm", offload=True), slow, LIKELY)
    assert not result.feasible
    assert result["rate_most"] == pytest.approx(limit(result, "host link").have)
    assert result["rate_most"] == pytest.approx(1 / result["loading"])


@given(models(), plans(serving=True), st.integers(1, 200), st.integers(1, 64))
def test_factors_only_add_time_and_memory(
    model: Model, plan: Plan, adapters: int, slots: int
) -> None:
    job = Serve(model=model, rate=0.5)
    plain = serve(job, plan, POOL, LIKELY)
    several = replace(plan, adapter_slots=slots)
    tuned = serve(replace(job, adapters=adapters), several, POOL, LIKELY)
    assert tuned["tpot"] > plain["tpot"]
    assert tuned["ttft"] > plain["ttft"]
    assert limit(tuned, "memory").need > limit(plain, "memory").need
    assert tuned["rate_most"] <= plain["rate_most"] * 1.01
    parts = [each.value for each in tuned.shares if each.of == "tpot"]
    assert sum(parts) == pytest.approx(tuned["tpot"])
    assert sum(each.value for each in tuned.shares if each.name == "adapters") > 0


@given(models(), plans(serving=True), st.integers(1, 100), st.integers(0, 100))
def test_enough_places_never_miss(model: Model, plan: Plan, adapters: int, more: int) -> None:
    job = Serve(model=model, adapters=adapters)
    result = serve(job, replace(plan, adapter_slots=adapters + more), POOL, LIKELY)
    assert result["adapter_misses"] == 0
    assert "loading" not in names(result)


@given(st.integers(1, 1000), st.integers(1, 500))
def test_chances_and_counts_of_fine_tunes(adapters: int, sequences: int) -> None:
    there = distinct_adapters(adapters=adapters, sequences=sequences)
    assert 1 - 1e-9 <= there <= min(adapters, sequences) + 1e-9
    assert 0 <= miss_chance(adapters=adapters, resident=sequences) < 1


@given(models(), st.integers(1, 64))
def test_factors_in_memory_are_those_that_tuning_learns(model: Model, rank: int) -> None:
    whole = adapter_bytes(model, rank, Plan(chip=""))
    assert whole == pytest.approx(2 * lora_parameters(model, rank))
    assert adapter_bytes(model, rank, Plan(chip="", pipeline=2)) == pytest.approx(whole / 2)
    assert whole / 8 <= adapter_bytes(model, rank, Plan(chip="", tensor=8)) < whole


def test_merged_copies_need_a_replica_each_and_share_unevenly() -> None:
    job = Serve(model=LLAMA, rate=3, adapters=3)
    few, three, five = (
        serve(job, Plan(chip="h100-sxm", replicas=count, batch=64), POOL, LIKELY)
        for count in (2, 3, 5)
    )
    assert limit(few, "replicas").need > limit(few, "replicas").have
    assert three.feasible and five.feasible
    assert five["rate_most"] == pytest.approx(three["rate_most"])  # one copy is still alone


@given(
    models(),
    st.lists(plans(serving=True), min_size=2, max_size=4),
    st.lists(st.sampled_from([0, 1, 4, 100]), min_size=4, max_size=4),
    st.booleans(),
)
def test_many_plans_equal_each_alone(
    model: Model, several: list[Plan], slots: list[int], offload: bool
) -> None:
    base = replace(several[0], offload=offload)
    job = Serve(model=model, rate=2.0, reuse=0.5, pause=20.0, adapters=5)
    each = [
        replace(base, **{name: getattr(plan, name) for name in COUNTS} | {"adapter_slots": slot})
        for plan, slot in zip(several, slots, strict=False)
    ]
    columns = {name: np.array([getattr(plan, name) for plan in each]) for name in COUNTS}
    together = Plans(base=base, **columns)
    many = serve(job, together, POOL, LIKELY)
    for i, plan in enumerate(each):
        assert together[i] == plan
        equal(many, serve(job, plan, POOL, LIKELY), (len(each),), i)


def test_a_column_of_plans_beside_a_row_of_cases() -> None:
    job = Serve(model=LLAMA, rate=4.0, reuse=0.5, pause=20.0, adapters=5)
    knobs = scenarios(EFFICIENCIES)
    counts = {"tensor": [1, 2, 4], "replicas": [5, 2, 1], "adapter_slots": [0, 2, 8]}
    columns = {name: np.array(values)[:, None] for name, values in counts.items()}
    base = Plan(chip="h100-sxm", batch=64, offload=True)
    many = serve(job, Plans(base=base, batch=64, **columns), POOL, knobs)
    shape = (3, len(knobs.matmul))
    for i in range(3):
        plan = replace(base, **{name: values[i] for name, values in counts.items()})
        equal(many, serve(job, plan, POOL, knobs), shape, i)


def equal(many: Outcome, alone: Outcome, shape: tuple[int, ...], i: int) -> None:
    """Element i of every figure, part and limit."""
    for amount in alone.amounts:
        found = np.broadcast_to(many[amount.name], shape)[i]
        assert np.allclose(found, amount.value, rtol=1e-9), amount.name
    for one, other in zip(many.shares, alone.shares, strict=True):
        assert np.allclose(np.broadcast_to(one.value, shape)[i], other.value), one.name
    for own in alone.limits:
        found = limit(many, own.name)
        assert np.allclose(np.broadcast_to(found.need, shape)[i], own.need), own.name
        assert np.allclose(np.broadcast_to(found.have, shape)[i], own.have), own.name


def test_prompts_are_kept_where_they_are_taken_in() -> None:
    half = Plan(chip="h100-sxm", replicas=2)
    plan = Plan(chip="h100-sxm", batch=64, prefill=half)
    job = Serve(model=LLAMA, rate=1, prompt=2000, reuse=0.5)
    idle, kept = (serve(replace(job, pause=p), plan, POOL, LIKELY) for p in (0.0, 30.0))
    more = limit(kept, "prefill memory").need - limit(idle, "prefill memory").need
    assert more == pytest.approx(30 / 2 * cache_bytes(LLAMA, 1000, half))
    assert limit(kept, "memory").need == limit(idle, "memory").need
    away = replace(plan, prefill=replace(half, offload=True))
    assert serve(replace(job, pause=30.0), away, POOL, LIKELY)["loading"] > 0
