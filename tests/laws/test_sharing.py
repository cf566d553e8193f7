"""Laws of sharing scarce supply: the best division, its prices, fairness, promises, whole units."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from tests.supplies import HOURLY, WEEK, large, problem

from eke.allocation.conflict import Conflict
from eke.allocation.divide import divide
from eke.allocation.goals import pursue
from eke.allocation.master import Aim, Master
from eke.allocation.outcome import Division
from eke.allocation.problem import FOREVER, Flow, Problem, Project, Queue, Stage
from eke.allocation.relaxed import begin, relax
from eke.allocation.scale import scaled
from eke.types.record import replace


def divided(of: Problem, goal: Any = "value", gap: float = 0.0) -> Division:
    found = divide(of, goal, gap)
    assert isinstance(found, Division), found
    return found


def flow(use: int, asked: float, worth: float, periods: int = 1, **more: Any) -> Flow:
    """Work of that many chips for whole weeks, worth so much for each chip and second."""
    made = np.full((periods, 1), asked * WEEK)
    return Flow(name=f"line {use}", use=use, worth=worth, asked=made, **more)


# the best, by brute force


def small(seed: int) -> Problem:
    """Two pools, up to three lines of whole units with a few options each."""
    rng = np.random.default_rng(seed)
    number = int(rng.integers(2, 4))
    lines = [
        flow(i, float(rng.uniform(1, 9)), float(rng.uniform(0.5, 3)) * HOURLY, whole=True)
        for i in range(number)
    ]
    options = [
        (
            line,
            pool,
            float(rng.integers(1, 5)),
            float(rng.uniform(0.5, 4)),
            float(rng.choice([1.0, 1.0, 0.8])),
        )
        for line in range(number)
        for pool in range(2)
        for _ in range(int(rng.integers(1, 3)))
    ]
    power = np.array([rng.choice([FOREVER, 7000.0])])
    return problem(lines, options, rng.integers(2, 9, size=(2, 1)), power=power)


def brute(of: Problem) -> float:
    """The best value over every number of units that the supply has room for."""
    options, best = of.options, 0.0
    have = of.pools.have[:, 0]
    most = [
        int(have[pool] // chips) for pool, chips in zip(options.pool, options.chips, strict=True)
    ]
    for units in product(*(range(m + 1) for m in most)):
        used = np.bincount(options.pool, weights=options.chips * units, minlength=len(have))
        if (used > have).any() or (options.power * units).sum() > of.power[0]:
            continue
        best = max(best, value_of(of, np.array(units)))
    return best


def value_of(of: Problem, units: Any) -> float:
    """Of units at work for the week: of work nobody asked for, the least valued is not counted."""
    options, total = of.options, 0.0
    for number, line in enumerate(of.lines):
        mine = options.line == number
        work = options.rate[mine] * units[mine] * WEEK
        left = float(line.asked.sum())
        for i in np.argsort(-options.quality[mine], kind="stable"):
            served = min(work[i], left)
            total += served * options.quality[mine][i] * line.worth
            left -= served
    return total - float((options.cost * units).sum() * WEEK)


@pytest.mark.parametrize("seed", range(20))
def test_small_divisions_are_the_best_of_all(seed: int) -> None:
    of = small(seed)
    found = divided(of)
    assert found.value == pytest.approx(brute(of), rel=1e-6)
    assert found.bound >= found.value * (1 - 1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_small_divisions_with_a_run_are_the_best_of_all(seed: int) -> None:
    of, rng = small(seed), np.random.default_rng(100 + seed)
    number = len(of.lines)
    run = Project(
        name="run",
        use=number,
        choice=0,
        worth=float(rng.uniform(1, 8)) * HOURLY * WEEK,
        begin=0,
        stages=(Stage(until=1),),
    )
    ways = [(number, pool, float(rng.integers(2, 7)), 1.0 / WEEK, 1.0) for pool in (0, 1)]
    rows = zip(
        *(getattr(of.options, n) for n in ("line", "pool", "chips", "rate", "quality")), strict=True
    )
    both = problem([*of.lines, run], [*rows, *ways], of.pools.have, power=of.power)
    best = brute(of)
    for _, pool, chips, _, _ in ways:  # all week on one pool, or on both in turns
        have = of.pools.have.copy()
        have[pool] -= chips
        if have[pool, 0] >= 0 and of.power[0] >= 1000 * chips:
            left = replace(of, pools=replace(of.pools, have=have), power=of.power - 1000 * chips)
            best = max(best, brute(left) + run.worth - 0.02 * HOURLY * chips * WEEK)
    found = divided(both)
    assert found.value >= best * (1 - 1e-6)
    if found.finished[number] is None:
        assert found.value == pytest.approx(best, rel=1e-6)
    else:  # taking turns on both pools may leave more to others, but needs chips all the same
        assert found.done[number].sum() == pytest.approx(1.0, rel=1e-5)
        at_work = of_line(both, found, number)
        assert at_work >= 1.0 - 1e-6
        assert found.value <= brute(of) + run.worth


def of_line(of: Problem, found: Division, number: int) -> float:
    """Work that a line's options have time for."""
    mine = of.options.line[found.held.option] == number
    rate = of.options.rate[found.held.option[mine]]
    return float((rate * found.held.units[mine] * WEEK).sum())


# what it may not do


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("parts", [1, 3])
def test_nothing_is_used_that_is_not_there(seed: int, parts: int) -> None:
    of = large(periods=6, pools=3, uses=10, ways=3, parts=parts, seed=seed)
    found = divided(of, gap=0.01)
    options, held, (_, periods, _) = of.options, found.held, of.shape
    used = np.zeros((3, periods, parts))
    chips = options.chips[held.option] * held.units
    np.add.at(used, (options.pool[held.option], held.period, held.part), chips)
    assert (used <= (of.pools.have + found.rented)[:, :, None] * (1 + 1e-6) + 1e-6).all()
    assert (found.rented <= of.pools.more + 1e-6).all()
    drawn = np.zeros((3, periods, parts))
    site = of.pools.site[options.pool[held.option]]
    np.add.at(drawn, (site, held.period, held.part), options.power[held.option] * held.units)
    assert (drawn <= of.power[:, None, None] * (1 + 1e-6)).all()
    spent = (found.rented * of.pools.price[:, None]).sum(axis=0) * WEEK
    cost = options.cost[held.option] * held.units * of.seconds[held.part]
    spent += np.bincount(held.period, weights=cost, minlength=periods)
    assert (spent <= of.budget * (1 + 1e-6)).all()
    for number, line in enumerate(of.lines):
        if isinstance(line, Flow):
            assert (found.done[number] <= line.asked * (1 + 1e-6)).all()
            whole = held.units[options.line[held.option] == number]
            assert np.abs(whole - np.round(whole)).max(initial=0) < 1e-6
        elif isinstance(line, Queue):
            _queue_keeps_count(found, number, line)
        elif isinstance(line, Project) and found.finished[number] is not None:
            stage = line.stages[found.finished[number]]
            assert found.done[number][line.begin : stage.until].sum() >= 1 - 1e-5
            assert found.done[number][: line.begin].sum() == 0
    assert found.value <= found.bound * (1 + 1e-7)


def _queue_keeps_count(found: Division, number: int, line: Queue) -> None:
    """All that comes is done, waits, or is refused, and none waits longer than it may."""
    done = found.done[number].sum(axis=1)
    came, gone = np.cumsum(line.asked), np.cumsum(done + found.refused[number])
    assert came - gone == pytest.approx(found.waiting[number], rel=1e-4, abs=1e-3 * came[-1])
    longest = line.stages[-1].until
    recent = [line.asked[max(i + 1 - longest, 0) : i + 1].sum() for i in range(len(came))]
    assert (found.waiting[number] <= np.array(recent) * (1 + 1e-6) + 1e-6 * came[-1]).all()


def test_a_project_without_chips_is_never_done() -> None:
    run = Project(name="run", use=0, choice=0, worth=1e6, begin=0, stages=(Stage(until=3),))
    slow = problem([run], [(0, 0, 8, 0.2 / WEEK, 1.0)], [[8, 8, 8]])
    assert divided(slow).finished == {0: None}
    fast = problem([run], [(0, 0, 8, 0.4 / WEEK, 1.0)], [[8, 8, 8]])
    found = divided(fast)
    assert found.finished == {0: 0} and found.done.sum() == pytest.approx(1.0)


def test_of_a_projects_versions_one_is_done() -> None:
    about = {"use": 0, "choice": 0, "begin": 0, "stages": (Stage(until=2),)}
    lines = [Project(name=name, worth=w, **about) for name, w in (("big", 9e5), ("small", 5e5))]
    options = [(i, 0, 8, 1.0 / WEEK, 1.0) for i in (0, 1)]
    found = divided(problem(lines, options, [[16, 16]]))
    assert found.finished == {0: 0, 1: None}


# looking for columns finds what all columns would


@pytest.mark.parametrize("seed", range(4))
def test_columns_looked_for_give_the_optimum_of_all(seed: int) -> None:
    ready, _ = scaled(large(periods=5, pools=4, uses=12, ways=4, parts=2, seed=seed, floors=0.0))
    some, every = Master(ready), Master(ready)
    begin(some)
    every.add(*np.nonzero(every.works()))
    ones = np.ones(len(ready.lines))
    values = []
    for master in (some, every):
        master.aim(Aim(worth=ones, cost=ones))
        found = relax(master)
        assert found is not None
        values.append(found.value)
    assert values[0] == pytest.approx(values[1], rel=1e-7)
    assert len(some.columns) < len(every.columns)


# prices


def priced(of: Problem) -> tuple[float, Division]:
    found = divided(of)
    return found.value, found


def divisible(seed: int) -> Problem:
    """Uses that need no whole units, so that the value is concave in what there is."""
    of = large(periods=3, pools=3, uses=8, ways=3, seed=seed, projects=0.0, floors=0.0, moving=0.0)
    lines = tuple(
        replace(each, whole=False) if isinstance(each, Flow) else each for each in of.lines
    )
    return replace(of, lines=lines, budget=np.full(3, 4e6))


@pytest.mark.parametrize("seed", range(4))
def test_prices_are_what_a_little_more_brings(seed: int) -> None:
    of = divisible(seed)
    value, found = priced(of)

    def between(more: Problem, less: Problem, price: float, amount: float) -> None:
        gain, loss = priced(more)[0] - value, value - priced(less)[0]
        slack = 1e-6 * abs(value)
        assert gain - slack <= price * amount <= loss + slack
        if abs(gain - loss) < slack:  # no corner there: the price is the slope
            assert price * amount == pytest.approx(gain, abs=2 * slack)

    for pool, period in ((0, 0), (1, 2), (2, 1)):
        step = np.zeros_like(of.pools.have)
        step[pool, period] = amount = 0.05 * of.pools.have[pool, period]
        between(
            replace(of, pools=replace(of.pools, have=of.pools.have + step)),
            replace(of, pools=replace(of.pools, have=of.pools.have - step)),
            float(found.prices.chip[pool, period].sum()),
            amount,
        )
    watts = np.array([1e5, 0.0, 0.0])
    between(
        replace(of, power=of.power + watts),
        replace(of, power=of.power - watts),
        float(found.prices.watt[0].sum()),
        1e5,
    )
    dollars = np.array([2e4, 0.0, 0.0])
    between(
        replace(of, budget=of.budget + dollars),
        replace(of, budget=of.budget - dollars),
        float(found.prices.dollar[0]),
        2e4,
    )


def test_some_prices_are_not_nothing() -> None:
    found = divided(divisible(0))
    assert found.prices.chip.max() > 0 and found.prices.watt.max() > 0


@pytest.mark.parametrize("seed", range(3))
def test_more_chips_are_never_worth_less(seed: int) -> None:
    of = large(periods=3, pools=3, uses=8, ways=3, seed=seed)
    bounds = [
        divided(replace(of, pools=replace(of.pools, have=of.pools.have * k)), gap=0.01).bound
        for k in (1.0, 1.1, 1.5)
    ]
    assert bounds[0] <= bounds[1] * (1 + 1e-6) and bounds[1] <= bounds[2] * (1 + 1e-6)


# goals


def shares(of: Problem, found: Division) -> Any:
    return np.array([found.done[i].sum() / line.asked.sum() for i, line in enumerate(of.lines)])


def alike(asks: list[float], chips: float, worths: list[float]) -> Problem:
    """Lines that ask for chips of one pool, by the chip."""
    lines = [flow(i, a, w * HOURLY) for i, (a, w) in enumerate(zip(asks, worths, strict=True))]
    return problem(lines, [(i, 0, 1, 1.0, 1.0) for i in range(len(asks))], [[chips]])


def test_the_least_served_come_first() -> None:
    of = alike([10, 20, 70], 50, [1, 2, 9])
    assert shares(of, divided(of, "max-min")) == pytest.approx(0.5, abs=1e-4)


def test_what_some_cannot_use_goes_to_the_next() -> None:
    of = alike([10, 20, 70], 50, [1, 2, 9])
    few = replace(of, most=np.array([[2.0], [FOREVER], [FOREVER]]))
    found = shares(few, divided(few, "max-min"))
    assert found == pytest.approx([0.2, 48 / 90, 48 / 90], abs=1e-4)


def test_in_proportion_each_gets_equally_many_until_it_has_enough() -> None:
    of = alike([10, 40, 70], 50, [5, 1, 2])
    assert shares(of, divided(of, "proportional")) == pytest.approx([1.0, 0.5, 20 / 70], abs=2e-3)


def test_value_takes_the_most_valued_first() -> None:
    of = alike([10, 20, 70], 50, [3, 2, 1])
    assert shares(of, divided(of)) == pytest.approx([1.0, 1.0, 20 / 70], abs=1e-6)


def test_a_class_of_priority_is_served_as_if_it_were_alone() -> None:
    of = alike([10, 20, 70], 50, [3, 2, 1])
    lines = tuple(replace(line, priority=1 if i == 2 else 2) for i, line in enumerate(of.lines))
    first = replace(of, lines=lines)
    assert shares(first, divided(first)) == pytest.approx([0.0, 0.0, 50 / 70], abs=1e-4)
    room = replace(first, pools=replace(of.pools, have=np.array([[75.0]])))
    assert shares(room, divided(room)) == pytest.approx([0.5, 0.0, 1.0], abs=1e-4)


def test_least_cost_takes_the_cheaper_chips() -> None:
    lines = [flow(0, 10, HOURLY, floor=1.0)]
    of = problem(
        lines,
        [(0, 0, 1, 1.0, 1.0), (0, 1, 1, 2.0, 1.0)],
        [[0.0], [0.0]],
        more=np.full((2, 1), 100.0),
        price=np.array([1.0, 1.5]) * HOURLY,
    )
    found = divided(of, "cost")
    assert found.rented[:, 0] == pytest.approx([0.0, 5.0], abs=1e-6)
    assert found.value < 0


def test_moving_costs_keep_uses_where_they_are() -> None:
    worths = [[2.0, 1.9], [1.9, 2.0]]
    made = np.full((4, 1), 10.0 * WEEK)
    lines = [Flow(name="a", use=0, worth=HOURLY, asked=made)]
    options = [(0, pool, 1, 1.0, worths[0][pool] / 2) for pool in (0, 1)]
    of = problem(lines, options, [[10, 5, 10, 5], [10, 10, 10, 10]])
    free, held = divided(of), divided(replace(of, moving=np.full((1, 2), HOURLY * WEEK)))
    assert free.moved.sum() == 0  # nothing is counted where nothing is charged
    chips = np.zeros((2, 4))
    np.add.at(chips, (of.options.pool[held.held.option], held.held.period), held.held.units)
    assert np.ptp(chips, axis=1).max() < 1e-6
    assert held.value < free.value


# promises in conflict


def promised(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    number = 5
    lines = [
        flow(i, float(rng.uniform(2, 10)), HOURLY, floor=float(rng.choice([0.0, 0.5, 0.9, 1.0])))
        for i in range(number)
    ]
    options = [
        (i, pool, 1, 1.0, 1.0) for i in range(number) for pool in (0, 1) if rng.random() < 0.7
    ]
    options += [(i, 0, 1, 0.5, 1.0) for i in range(number)]
    return problem(lines, options, [[float(rng.uniform(2, 9))], [float(rng.uniform(2, 9))]])


def only(of: Problem, kept: tuple[int, ...]) -> Problem:
    lines = [
        line if number in kept else replace(line, floor=0.0) for number, line in enumerate(of.lines)
    ]
    return replace(of, lines=tuple(lines))


@pytest.mark.parametrize("seed", range(12))
def test_the_smallest_set_of_promises_in_conflict(seed: int) -> None:
    of = promised(seed)
    found = divide(of)
    with_floor = [i for i, line in enumerate(of.lines) if line.floor > 0]
    sets = [
        kept
        for size in range(len(with_floor) + 1)
        for kept in combinations(with_floor, size)
        if isinstance(divide(only(of, kept)), Conflict)
    ]
    if not sets:
        assert isinstance(found, Division) and not found.lacking
        return
    assert isinstance(found, Conflict)
    named = tuple(line for _, line in found.promises)
    assert len(named) == min(map(len, sets)) and named in sets
    assert found.supply and found.supply[0][0].startswith("chips")


def test_chips_promised_to_a_use() -> None:
    of = alike([10, 20], 15, [1, 5])
    some = replace(of, least=np.array([[6.0], [0.0]]))
    assert shares(some, divided(some)) == pytest.approx([0.6, 9 / 20], abs=1e-5)
    found = divide(replace(of, least=np.array([[9.0], [9.0]])))
    assert isinstance(found, Conflict) and len(found.promises) == 2


# the same again


def test_the_same_problem_has_the_same_division() -> None:
    of = large(periods=6, pools=3, uses=10, ways=3, parts=2)
    one, other = divided(of, gap=0.01), divided(of, gap=0.01)
    assert one.value == other.value and (one.held.units == other.held.units).all()


def test_a_larger_problem_is_proven_close() -> None:
    assert divided(large(periods=8, pools=5, uses=30, ways=4), gap=0.01).gap <= 0.01


@pytest.mark.parametrize("goal", ["max-min", "proportional"])
def test_fair_shares_are_nearly_kept_in_whole_units(goal: Any) -> None:
    of = large(periods=8, pools=5, uses=30, ways=4, projects=0.0)
    found = divided(of, goal, gap=0.01)
    assert found.gap <= 0.06  # replicas of up to 32 chips, of which small uses have one or none
    split = replace(
        of, lines=tuple(replace(e, whole=False) if isinstance(e, Flow) else e for e in of.lines)
    )
    one, other = (worst(of, each) for each in (found, divided(split, goal)))
    assert one >= other * (1 - found.gap - 1e-3)


def worst(of: Problem, found: Division) -> float:
    return float(shares(of, found).min())


def test_steps_of_classes_are_kept() -> None:
    ready, _ = scaled(large(periods=3, pools=3, uses=8, ways=2))
    lines = tuple(replace(each, priority=i % 3) for i, each in enumerate(ready.lines))
    master = Master(replace(ready, lines=lines))
    begin(master)
    steps = pursue(master, "value")
    assert steps is not None and len(steps) == 3
    assert steps[0].value <= steps[1].value + 1e-6 <= steps[2].value + 2e-6
