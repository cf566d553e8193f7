"""Learning on an invented world whose true values are known."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tables import serving

from eke.calibrate.blocks import Block, Regime
from eke.calibrate.cross import leave_out
from eke.calibrate.design import base_values, design
from eke.calibrate.fit import Fitted, bounded, fit
from eke.calibrate.parameters import EIGHTY, LEVELS, Space, space
from eke.calibrate.rows import Row
from eke.calibrate.tables import LEFT_OVER, Spreads, spread, spreads, write_tables
from eke.catalog.efficiencies import ABOVE_ONE, read_efficiencies
from eke.types.efficiency import Knobs
from eke.types.record import replace

TRUE = {"matmul": 0.62, "memory": 0.84, "step": 1.2e-3, "sequence": 2e-5}
PUBLISHERS = ("ada", "bo", "cy", "di", "eve", "fay")
ENGINES = {"sglang": "serve", "tgi": "serve"}
REGIME = Regime(task="inference", scenario="static", metric="tpot_ms")


def seconds(knobs: Any, work: Any, bytes_read: Any, sequences: Any) -> Any:
    """The invented physics: computing, reading, and the engine's own work."""
    return work / knobs.matmul + bytes_read / knobs.memory + knobs.step + sequences * knobs.sequence


def world(
    shift: Callable[[str, int], float], engine: str = "sglang", count: int = 40
) -> list[Block]:
    """Blocks of every publisher. shift: of the logarithm of what is measured, by publisher and
    number of the row."""
    chance = np.random.default_rng(7)
    blocks = []
    for who in PUBLISHERS:
        work = 10 ** chance.uniform(-5, -1, (count, 1))
        read = 10 ** chance.uniform(-5, -1, (count, 1))
        crowd = 10 ** chance.uniform(0, 2.5, (count, 1))
        true = Knobs(**dict.fromkeys(Knobs.__annotations__, 1.0) | TRUE)
        exact = seconds(true, work, read, crowd)[:, 0]
        measured = [float(v * np.exp(shift(who, i))) for i, v in enumerate(exact)]
        blocks.append(_block(who, engine, measured, (work, read, crowd)))
    return blocks


def _block(who: str, engine: str, measured: list[float], numbers: tuple[Any, ...]) -> Block:
    rows = tuple(
        serving(id=f"{who}{i}", source=who, batch=i + 1, measured_value=repr(value))
        for i, value in enumerate(measured)
    )

    def predict(knobs: Knobs) -> Any:
        return seconds(knobs, *numbers)

    return Block(
        rows=rows,
        regimes=(REGIME,) * len(rows),
        tables=("hopper", engine),
        predict=predict,
        notes=("",) * len(rows),
        chip="h100-sxm",
        model="llama-3.1-8b",
        engine=engine,
    )


def start() -> Space:
    return space({"hopper"}, ENGINES)


def heavy(who: str, number: int) -> float:
    """Scatter with heavy tails, and one row in twenty off by a factor of five."""
    if number % 20 == 3:
        return float(np.log(5)) * (1 if number % 40 == 3 else -1)
    seed = 1000 * PUBLISHERS.index(who) + number
    return 0.05 * float(np.random.default_rng(seed).standard_t(3))


@cache
def learnt() -> Fitted:
    return fit(world(heavy), start())


def value(fitted: Fitted, name: str) -> float:
    place = fitted.space.place(name, ("hopper", "sglang"))
    return float(fitted.space.parameters[place].value(fitted.at[place]))


def interval(fitted: Fitted, name: str) -> tuple[float, float]:
    """The 99 % interval of a value from its own uncertainty."""
    place = fitted.space.place(name, ("hopper", "sglang"))
    wide = 2.576 * float(np.sqrt(fitted.covariance[place, place]))
    each, at = fitted.space.parameters[place], float(fitted.at[place])
    return float(each.value(at - wide)), float(each.value(at + wide))


@pytest.mark.parametrize("name", list(TRUE))
def test_the_true_values_are_found_under_outliers(name: str) -> None:
    low, high = interval(learnt(), name)
    assert low <= TRUE[name] <= high
    assert value(learnt(), name) == pytest.approx(TRUE[name], rel=0.12)


@pytest.mark.parametrize("name", list(TRUE))
def test_measurements_narrow_what_they_touch_and_nothing_else(name: str) -> None:
    found = learnt()
    place = found.space.place(name, ("hopper", "sglang"))
    each = found.space.parameters[place]
    assert np.sqrt(found.covariance[place, place]) < 0.6 * each.spread
    for other in ("link", "collective", "imbalance"):
        place = found.space.place(other, ("hopper", "sglang"))
        assert found.at[place] == pytest.approx(found.space.parameters[place].centre, abs=1e-9)


def test_outliers_hardly_move_the_values() -> None:
    clean = fit(world(lambda who, i: heavy(who, i) if i % 20 != 3 else 0.0), start())
    for name in TRUE:
        assert value(learnt(), name) == pytest.approx(value(clean, name), rel=0.05)


def test_levels_of_stacks_are_not_taken_for_physics() -> None:
    off = dict(zip(PUBLISHERS, (-0.15, 0.15, -0.1, 0.1, -0.05, 0.05), strict=True))
    found = fit(world(lambda who, i: off[who] + heavy(who, i)), start())
    for name in TRUE:
        low, high = interval(found, name)
        assert low <= TRUE[name] <= high


def test_a_perfect_world_is_found_again() -> None:
    found = fit(world(lambda who, i: 0.0), start())
    assert np.abs(found.design.predicted - found.design.measured).max() < 0.03


def test_no_measurement_leaves_the_priors() -> None:
    blocks = [_block("ada", "sglang", [1.0], tuple(np.zeros((1, 1)) for _ in range(3)))]
    still = [replace(each, predict=lambda knobs: np.ones((1, 1))) for each in blocks]
    found = fit(still, start())
    assert found.at == pytest.approx(found.space.centres, abs=1e-9)


def test_slopes_are_those_of_the_predictions() -> None:
    blocks, where = world(heavy), start()
    at = where.centres
    now = design(blocks, where, at)
    for name in TRUE:
        place = where.place(name, ("hopper", "sglang"))
        moved = at.copy()
        moved[place] += 1e-5
        changed = (base_values(blocks[0], where, moved) - base_values(blocks[0], where, at)) / 1e-5
        assert now.moves[: len(changed), place] == pytest.approx(changed, abs=0.06)


def test_fitting_twice_gives_the_same_bits() -> None:
    again = fit(world(heavy), start())
    assert np.array_equal(again.at, learnt().at)
    assert np.array_equal(again.covariance, learnt().covariance)


# leaving out


def only(blocks: list[Block], who: str, factor: float) -> list[Block]:
    """The blocks with one publisher's measurements multiplied."""
    return [
        replace(block, rows=tuple(_times(row, factor) for row in block.rows))
        if block.rows[0].source == who
        else block
        for block in blocks
    ]


def _times(row: Row, factor: float) -> Row:
    return replace(row, value=row.value * factor)


@pytest.mark.parametrize("who", PUBLISHERS[:2])
def test_leaving_a_publisher_out_does_not_see_its_rows(who: str) -> None:
    """Around the same point, other measurements of the publisher change nothing that is said of
    it, and something of the others."""
    found, blocks = learnt(), only(world(heavy), who, 1.5)
    other = replace(found, design=design(blocks, found.space, found.at))
    before = leave_out(found, world(heavy), "publisher")
    after = leave_out(other, blocks, "publisher")
    labels, names = found.design.labels["publisher"], found.design.names["publisher"]
    own = labels == names.index(who)
    assert np.array_equal(before.predicted[own], after.predicted[own])
    assert np.array_equal(before.wide[own], after.wide[own])
    assert not np.array_equal(before.predicted[~own], after.predicted[~own])


def test_every_publisher_is_left_out_once_and_a_single_chip_never() -> None:
    told: list[str] = []
    found = leave_out(learnt(), world(heavy), "publisher", told.append)
    assert told == [f"without {who}" for who in PUBLISHERS]
    assert np.all(np.isfinite(found.predicted)) and np.all(found.wide > 0)
    alone = leave_out(learnt(), world(heavy), "chip")
    assert np.all(np.isnan(alone.predicted))


def test_left_out_predictions_are_less_sure() -> None:
    found = leave_out(learnt(), world(heavy), "publisher")
    moves = learnt().design.moves
    whole = np.sqrt(np.einsum("ij,jk,ik->i", moves, learnt().covariance, moves))
    assert np.median(found.wide / whole) > 1


def test_what_is_left_over_holds_four_in_five() -> None:
    found = learnt()
    left = leave_out(found, world(heavy), "publisher")
    over = spreads(found, left, left)
    own = np.array([spread(found, i) for i in range(len(found.at))])
    for index, each in enumerate(found.space.parameters):
        if each.name in LEFT_OVER:
            own[index] = 0.0
    wide = np.sqrt(((found.design.moves * own) ** 2).sum(axis=1) + over.scatter["serve"] ** 2)
    inside = np.abs(found.design.measured - left.predicted) <= EIGHTY * wide
    assert inside.mean() >= 0.8 - 1e-9


# tables

OVER = Spreads(
    scatter={"any": 0.3, "training": 0.2, "serve": 0.15, "train": 0.1},
    experts={"serve": 0.1, "train": 0.1},
    full={"any": 0.4, "serve": 0.3},
    first={"any": 0.5, "serve": 0.4},
)


def test_tables_are_read_back_and_the_same_bit_for_bit(tmp_path: Path) -> None:
    first = write_tables(learnt(), OVER, tmp_path / "first", ENGINES)
    second = write_tables(learnt(), OVER, tmp_path / "second", ENGINES)
    assert [path.name for path in first] == [path.name for path in second]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        found = read_efficiencies(one, one.stem)
        assert found
        for each in found.values():
            assert 0 <= each.low <= each.likely <= each.high
    names = {path.stem for path in first}
    assert {"any", "hopper", "sglang"} <= names


def test_tables_hold_what_was_learnt_and_say_so(tmp_path: Path) -> None:
    write_tables(learnt(), OVER, tmp_path, ENGINES)
    chip = read_efficiencies(tmp_path / "hopper.csv", "hopper")
    runs = read_efficiencies(tmp_path / "sglang.csv", "sglang")
    for name, table in (("matmul", chip), ("memory", chip), ("step", runs), ("sequence", runs)):
        assert table[name].likely == pytest.approx(value(learnt(), name), rel=1e-3)
        assert table[name].low < TRUE[name] < table[name].high
        assert (table[name].kind, table[name].source) == ("fitted", "truth")
    assert "collective" not in runs
    assert np.log(runs["scatter"].high / runs["scatter"].low) == pytest.approx(
        2 * EIGHTY * OVER.scatter["serve"], rel=0.01
    )
    everything = read_efficiencies(tmp_path / "any.csv", "any")
    assert np.log(everything["scatter"].high / everything["scatter"].low) == pytest.approx(
        2 * EIGHTY * OVER.scatter["any"], rel=0.01
    )
    assert everything["pue"].likely == 1.18  # the priors' own stay


# bounds


@pytest.mark.parametrize("far", [-50.0, 50.0])
def test_bounded_keeps_values_where_they_make_sense(far: float) -> None:
    where = start()
    at = bounded(where, where.centres + far)
    for each, place in zip(where.parameters, at, strict=True):
        found = float(each.value(place))
        assert each.lowest * (1 - 1e-12) <= found <= each.highest * (1 + 1e-12)
        if each.unit == "1" and each.name not in ABOVE_ONE:
            assert 0 <= found <= 1
    inside = where.centres
    assert bounded(where, inside) == pytest.approx(inside, abs=1e-12)


def test_values_stay_within_their_bounds_whatever_is_measured() -> None:
    """A world ten times faster than the physics allows pushes shares to their limit, not past."""
    found = fit(world(lambda who, i: -np.log(10)), start())
    for each, place in zip(found.space.parameters, found.at, strict=True):
        assert each.value(place) <= each.highest * (1 + 1e-12)
    assert 0.62 < value(found, "matmul") <= 1 and 0.84 < value(found, "memory") <= 1


def test_an_engine_without_a_prior_is_drawn_to_that_of_any() -> None:
    where = start()
    mine = where.parameters[where.place("step", ("hopper", "tgi"))]
    assert (mine.table, mine.linked) == ("tgi", "any")
    found = learnt()
    other = found.at[found.space.place("step", ("hopper", "tgi"))]
    assert other == pytest.approx(found.at[found.space.places["any", "step"]], abs=1e-9)
    assert set(LEVELS) == {each.name for each in where.parameters}


def test_a_stack_far_out_bends_nothing_for_the_others() -> None:
    """One publisher twice as slow for reasons of its own."""
    found = fit(world(lambda who, i: 0.7 * (who == "ada") + heavy(who, i)), start())
    for name in TRUE:
        assert value(found, name) == pytest.approx(value(learnt(), name), rel=0.12)


def test_waits_in_a_queue_teach_nothing_but_the_length_of_queues() -> None:
    blocks = world(lambda who, i: 1.0)
    waits = Regime(task="inference", scenario="queued", metric="ttft_ms")
    queued = [replace(each, regimes=(waits,) * len(each.rows)) for each in blocks]
    found = fit(queued, start())
    for index, each in enumerate(found.space.parameters):
        if each.name != "first":
            assert found.at[index] == pytest.approx(each.centre, abs=1e-9)
