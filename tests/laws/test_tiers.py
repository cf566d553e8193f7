"""Context tiers: what must hold of the users that chips carry, and of conversations kept."""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eke.allocating.tiers import curve as curves
from eke.allocating.tiers import keep
from eke.allocating.tiers.answer import context_tiers
from eke.allocating.tiers.curve import largest_share
from eke.allocating.tiers.layouts import FEW, best_layout, carried, column
from eke.allocating.tiers.load import felt, held, mix, remembered
from eke.allocating.tiers.stage import Stage
from eke.allocating.tiers.ways import Way, Weighed, alone, together, weigh
from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import fleet
from eke.catalog.models import model
from eke.physics import retention
from eke.physics.answer import outcome
from eke.physics.scenarios import likely
from eke.search.serving import all_layouts, plans_of
from eke.types.fleet import Fleet
from eke.types.job import Promise
from eke.types.need import Infeasible, Need
from eke.types.plan import Plan
from eke.types.record import replace
from eke.types.tiers import Conversations, Demand, TierCurve, Tiers, TierUse
from eke.verbs import need

EIGHT = model("llama-3.1-8b")
DAY, USERS = 86400.0, 30_000
CHIPS, POOL = 4, "4xh100-sxm"
BASE = TierUse(
    name="8k",
    context=8192,
    prompt=2500,
    answer=350,
    asks=12 / DAY,
    ttft=Promise(limit=2.0, percentile=0.9),
)
LONG = replace(
    BASE, name="32k", context=32768, prompt=12_000, ttft=Promise(limit=8.0, percentile=0.9)
)
LONGER = replace(
    BASE, name="128k", context=131_072, prompt=48_000, ttft=Promise(limit=40.0, percentile=0.9)
)
TALKS = Conversations(turns=6, think=120.0, repeats=0.8, variation=4.0)
DEMAND = Demand(
    users=USERS,
    peak=2.0,
    base=BASE,
    longer=(LONG, LONGER),
    tpot=Promise(limit=0.05, percentile=0.9),
    conversations=TALKS,
)


def stage(chips: int = CHIPS, demand: Demand = DEMAND) -> Stage:
    values = efficiencies("hopper", "vllm-1")
    values = {name: each for name, each in values.items() if "adapter_time" not in name}
    pool = fleet(f"{chips}xh100-sxm").pools[0]
    return Stage(
        model=EIGHT, demand=demand, pool=pool, values=values, choices={}, names=tuple(values)
    )


def everybody(made: Stage) -> Way | None:
    """All users in the base tier, together."""
    return together(alone(made, made.base()))


def beside(made: Stage, use: TierUse) -> Weighed:
    return weigh(made, use, alone(made, made.base()))


@functools.cache
def learned(chips: int = CHIPS) -> Stage:
    made = stage(chips)
    made = made.learned(made.base())
    for use in DEMAND.longer:
        for share in (1.0, 0.3):
            made = made.learned(made.mix(use, share))
    return made


@functools.cache
def answered() -> Tiers:
    """One answer that several laws look at, with half of the times that conversations are kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keep, "TIMES", keep.TIMES[::2])
        found = context_tiers(EIGHT, POOL, DEMAND)
    assert isinstance(found, Tiers)
    return found


def test_users_carried_never_rise_with_the_share_or_the_context() -> None:
    short, long = answered().curves
    for curve in (short, long):
        shares = [point.share for point in curve.points]
        users = [point.users.likely for point in curve.points]
        assert shares == sorted(shares) and users == sorted(users, reverse=True)
        assert users[0] > users[-1] > 0
    by_share = {point.share: point.users.likely for point in short.points}
    for point in long.points:
        assert point.users.likely <= by_share.get(point.share, math.inf)
    assert long.share.likely < short.share.likely


@settings(max_examples=12, deadline=None)
@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_either_way_carries_fewer_where_more_have_the_longer(one: float, other: float) -> None:
    """Before any mending: a hundredth is what whole chunks of prompts may do."""
    low, high = sorted((one, other))
    weighed = beside(learned(), LONG)
    ways = [weighed.best(share) for share in (low, high)]
    assert ways[0] is not None and ways[1] is not None
    assert ways[1].users <= ways[0].users * 1.01


@settings(max_examples=8, deadline=None)
@given(st.integers(2, 64), st.integers(1, 64))
def test_more_chips_never_carry_fewer(chips: int, more: int) -> None:
    def users(count: int) -> float:
        made = stage(count)
        made = made.learned(made.base())
        way = everybody(made)
        return way.users if way is not None else 0.0

    assert users(chips + more) >= users(chips) * (1 - 1e-3)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_best_layout_is_the_best_of_all(share: float) -> None:
    """Against every layout there is, each with its own number of users by bisection."""
    made = stage(4)
    mixed = made.mix(LONG, share)
    knobs = likely(made.values)
    found = best_layout(mixed, made.pool, knobs, {})
    assert found is not None
    best = float(carried(mixed, column([found]), made.pool, knobs).users[0])
    most = 0.0
    for part in all_layouts(mixed.job, made.pool, {}).parts():
        plans = plans_of(mixed.job, made.pool, {}, part.columns, part.most[:, None])
        low, high = np.zeros(len(plans)), np.full(len(plans), 1e6)
        for _ in range(30):  # to a thousandth of a user
            middle = (low + high)[:, None] / 2
            missed = felt(mixed, middle, plans, made.pool, knobs).missed
            kept = np.broadcast_to(missed <= 1, middle.shape)[:, 0]
            low, high = np.where(kept, middle[:, 0], low), np.where(kept, high, middle[:, 0])
        most = max(most, float(low.max()))
    assert most * (1 - 4e-3) <= best <= most * (1 + 1e-6)


def test_at_no_share_all_is_as_need_says() -> None:
    """The base tier alone is a plain job: the same times, the same price, the same limit."""
    found = answered()
    plan = found.plans[found.base.plans[0]]
    job = mix(EIGHT, DEMAND, LONG, 0.0).job
    users = min(DEMAND.users, found.base.users.likely)
    rate = users * BASE.asks * DEMAND.peak
    said = need(replace(job, rate=rate), plan, POOL)
    assert isinstance(said, Need)
    for name, span in (("ttft_promised", found.base.ttft), ("tpot_promised", found.base.tpot)):
        assert span is not None
        assert said.figures[name].span.likely == pytest.approx(span.likely, rel=1e-9)
        assert said.figures[name].span.low == pytest.approx(span.low, rel=1e-6)
        assert said.figures[name].span.high == pytest.approx(span.high, rel=1e-6)
    most = found.base.users.likely * BASE.asks * DEMAND.peak
    over = need(replace(job, rate=most * 1.01), plan, POOL)
    assert isinstance(over, Infeasible)
    assert over.limit in (found.base.limit, found.base.limit.split(" of ")[0])


def test_a_tier_alone_sees_what_the_physics_says() -> None:
    """Both ways to the time to first token meet where a mix has but one kind of request."""
    made = stage()
    plan = Plan(chip="h100-sxm", replicas=CHIPS, engine="vllm-1", batch=64, token_budget=2048)
    twin = replace(BASE, name="twin")
    alike = mix(EIGHT, DEMAND, twin, 0.5)
    for users in (10.0, 2500.0, 6000.0):
        many = np.full((1, 1), users)
        seen = felt(alike, many, column([plan]), made.pool, likely(made.values))
        job = replace(made.base().job, rate=users * made.base().each)
        plain = outcome(job, plan, Fleet(pools=(made.pool,)), likely(made.values))
        for first in seen.ttft:
            assert float(np.ravel(first)[0]) == pytest.approx(
                float(np.ravel(plain["ttft_promised"])[0]), rel=1e-6
            )


def test_longer_prompts_are_taken_in_later_but_wait_alike() -> None:
    made = stage()
    plan = Plan(chip="h100-sxm", replicas=CHIPS, engine="vllm-1", batch=64, token_budget=2048)
    mixed = mix(EIGHT, DEMAND, LONG, 0.3)
    users = np.array([[10.0, 15_000.0, 30_000.0]])
    seen = felt(mixed, users, column([plan]), made.pool, likely(made.values))
    short, long = (np.ravel(each) for each in seen.ttft)
    assert (long > short).all() and (np.diff(short) > 0).all() and (np.diff(long) > 0).all()
    mean = float(
        np.ravel(felt(made.base(), users, column([plan]), made.pool, likely(made.values)).ttft[0])[
            0
        ]
    )
    assert short[0] == pytest.approx(mean, rel=0.05)  # nobody before it


def test_the_share_is_the_largest_that_keeps_every_promise() -> None:
    made = learned()
    weighed = beside(made, LONG)
    share = largest_share(weighed)
    at, beyond = weighed.best(share), weighed.best(min(share + 0.01, 1.0))
    assert 0 < share < 1 and at is not None and beyond is not None
    assert at.users >= DEMAND.users * (1 - 1e-9) > 0
    assert beyond.users < DEMAND.users * 1.005


def test_each_part_of_a_way_keeps_its_own_promises() -> None:
    """Whatever is said to be carried is: asked again one by one, at the number said."""
    made = learned()
    for use in DEMAND.longer:
        for share in (0.1, 0.5):
            for way in beside(made, use).ways(share):
                if way is None:
                    continue
                assert sum(part.plan.chips for part in way.parts) <= made.pool.chips
                assert sum(part.share for part in way.parts) == pytest.approx(1)
                for part in way.parts:
                    users = np.full((1, 1), way.users * part.share * (1 - 1e-9))
                    seen = felt(part.mixed, users, column([part.plan]), made.pool, made.knobs)
                    assert float(np.max(seen.missed)) <= 1 + 1e-6


def test_not_kept_is_not_reused_and_is_no_memory() -> None:
    assert remembered(None) == (0.0, 0.0) == remembered(TALKS)
    for each in answered().keeping:
        first = each.points[0]
        assert first.kept == 0 and first.reuse == 0 and first.conversations == 0
        assert first.users.likely == pytest.approx(answered().base.users.likely, rel=1e-9)
        assert each.points[each.best].users.likely >= first.users.likely
        reuse = [point.reuse for point in each.points]
        assert reuse == sorted(reuse) and reuse[-1] <= TALKS.repeats * 5 / 6
        holds = [point.held for point in each.points]
        assert holds == sorted(holds)


@settings(max_examples=50, deadline=None)
@given(st.floats(1.0, 1e4), st.floats(0.05, 20), st.floats(0, 1e5))
def test_returns_and_holds_are_those_of_the_distribution(
    think: float, variation: float, kept: float
) -> None:
    """Against drawing quantiles: the share below a time, and the mean of the lesser of both."""
    sigma2 = math.log1p(variation)
    normal = NormalDist()
    points = (np.arange(4000) + 0.5) / 4000
    z = np.array([normal.inv_cdf(p) for p in points[::40]])
    times = think * np.exp(z * math.sqrt(sigma2) - sigma2 / 2)
    share = float(retention.lognormal_return_share(kept=kept, think=think, variation=variation))
    assert share == pytest.approx(float(np.mean(times <= kept)), abs=0.011)
    hold = float(retention.lognormal_hold(kept=kept, think=think, variation=variation))
    assert 0 <= hold <= min(kept, think) * (1 + 1e-6)
    least = max(min(think, kept) * 1e-3, 1e-300)
    steps = np.append(0.0, np.geomspace(least, max(kept, least), 4001))
    below = retention.lognormal_return_share(kept=steps, think=think, variation=variation)
    assert hold == pytest.approx(float(np.trapezoid(1 - below, steps)), rel=0.02, abs=1e-6)
    plain = float(retention.exponential_hold(kept=kept, think=think))
    assert plain == pytest.approx(
        think * float(retention.exponential_return_share(kept=kept, think=think))
    )


@settings(max_examples=50, deadline=None)
@given(st.floats(1, 50), st.floats(1, 1e4), st.floats(0.01, 1), st.floats(0.1, 1e5), st.booleans())
def test_what_is_held_is_held_for_as_long_as_it_is(
    turns: float, think: float, repeats: float, kept: float, plain: bool
) -> None:
    """The physics holds reuse × prompt for the pause: as much as repeats × prompt is truly held."""
    talks = Conversations(
        turns=turns,
        think=think,
        repeats=repeats,
        variation=None if plain else 2.0,
        keep="chip",
        kept=kept,
    )
    reuse, pause = remembered(talks)
    assert 0 <= reuse <= repeats * (turns - 1) / turns + 1e-12
    if reuse:
        assert reuse * pause == pytest.approx(repeats * held(talks))
        assert held(talks) <= kept * (1 + 1e-9)


def test_it_cannot_be_done_where_not_even_the_base_fits() -> None:
    crowd = replace(DEMAND, users=10_000_000.0)
    found = context_tiers(EIGHT, POOL, crowd)
    assert isinstance(found, Infeasible) and found.limit == "users with 8k"
    assert found.need == crowd.users and found.by == pytest.approx(found.need - found.have)
    assert found.have == pytest.approx(answered().base.users.likely, rel=1e-9)
    assert found.changes[0].at > CHIPS
    hasty = replace(DEMAND, base=replace(BASE, ttft=Promise(limit=1e-3)))
    impossible = context_tiers(EIGHT, POOL, hasty)
    assert isinstance(impossible, Infeasible) and impossible.limit == "ttft of 8k"
    assert impossible.need > impossible.have == 1e-3 and impossible.unit == "s"


def test_a_promise_no_long_prompt_can_keep_lets_nobody_have_it() -> None:
    hasty = replace(DEMAND, longer=(replace(LONGER, ttft=Promise(limit=0.2)),), conversations=None)
    found = context_tiers(EIGHT, POOL, hasty)
    assert isinstance(found, Tiers)
    curve: TierCurve = found.curves[0]
    assert curve.share.likely == 0 and curve.alone.startswith("ttft of 128k ×")
    assert curve.points[-1].users.likely == 0 and curve.points[-1].plans == ()


def test_the_same_question_has_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "SHARES", (0.2, 1.0))
    short = replace(DEMAND, longer=(LONG,), conversations=None)
    found = [context_tiers(EIGHT, "2xh100-sxm", replace(short, users=10_000.0)) for _ in "12"]
    assert found[0] == found[1] and isinstance(found[0], Tiers)


def test_few_users_are_hardly_any_load() -> None:
    made = stage()
    plan = column([Plan(chip="h100-sxm", replicas=CHIPS, engine="vllm-1")])
    seen = felt(made.base(), np.full((1, 1), FEW), plan, made.pool, likely(made.values))
    assert float(np.max(seen.missed)) < 1
