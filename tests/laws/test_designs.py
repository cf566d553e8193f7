"""Laws of co-design: areas add up, known chips are rebuilt, nothing reported is beaten."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eke.allocating.chips.loads import loads
from eke.allocating.designs.answer import Priced, Wish, design, nondominated
from eke.allocating.designs.costs import costs_of, flow_of
from eke.allocating.designs.price import bound_of, worth
from eke.allocating.designs.shapes import (
    NETWORK,
    SHAPES,
    Blueprint,
    Kit,
    blueprints,
    kit,
    room_for_stacks,
    slower,
)
from eke.catalog.chips import chip
from eke.economics.unit_cost import RETICLE, WHOLE
from eke.physics import silicon
from eke.types.silicon import Designs

NODES = ("n7", "n5", "n3", "n2")
LOADS = loads({"model": "llama-3.1-8b", "prompt": 1000.0, "answer": 300.0, "tpot": "30ms"})


@pytest.mark.parametrize("process", NODES)
@pytest.mark.parametrize("memory", ["HBM2e", "HBM3e", "HBM4"])
def test_areas_add_up_and_nothing_gets_too_hot(process: str, memory: str) -> None:
    parts = kit(process, memory)
    every = list(blueprints(parts, SHAPES, 3300e-6))
    assert {each.shape for each in every} == set(SHAPES)
    for each in every:
        of = each.chip
        assert of.die_area is not None and of.power is not None
        assert sum(each.areas.values()) == pytest.approx(of.die_area)
        assert min(each.areas.values()) > 0
        if each.shape == "wafer":
            assert of.die_area == WHOLE
            continue
        assert of.power <= parts.density["power_density"] * of.die_area * (1 + 1e-9)
        assert each.stacks <= room_for_stacks(of.die_area, each.dies)
        assert of.die_area / each.dies <= RETICLE
        assert of.memory_speed and of.memory_speed <= each.stacks * parts.stack_speed * (1 + 1e-9)


def test_a_larger_budget_only_adds_designs() -> None:
    parts = kit("n5", "HBM3e")
    names: set[str] = set()
    for budget in (400e-6, 858e-6, 1300e-6, 3300e-6):
        more = {each.chip.id for each in blueprints(parts, ("gpu", "systolic"), budget)}
        assert names < more
        names = more


def test_a_newer_process_packs_more_for_less_power() -> None:
    kits = [kit(process, "HBM3e").density for process in NODES]
    for name in ("gpu", "systolic", "wafer", "scratch", "serdes", "controller", "gpu_power"):
        values = [density[name] for density in kits]
        assert values == sorted(values, reverse=True), name


def rebuilt(parts: Kit, dies: int, stacks: int, store: float, link: float, peak: float) -> float:
    """Area of a GPU with these parts [m2]."""
    of = parts.density
    area = peak / 1e12 * of["gpu"] + stacks * (parts.phy + of["controller"])
    area += store / 1e6 * of["cache"] + link / 1e9 * of["serdes"]
    return area / (1 - of["rest"] - (of["joint"] if dies > 1 else 0.0))


@pytest.mark.parametrize(
    "process,memory,dies,stacks,store,link,peak,area",
    [  # whole dies, spare units included: 128 units of GA100, 144 of GH100, 2 × 80 of GB100
        ("n7", "HBM2e", 1, 6, 48e6, 300e9, 370e12, 826e-6),
        ("n5", "HBM3", 1, 6, 60e6, 450e9, 1079e12, 814e-6),
        ("n5", "HBM3e", 2, 8, 128e6, 900e9, 2432e12, 1600e-6),
    ],
    ids=["A100", "H100", "B200"],
)
def test_known_dies_are_rebuilt(
    process: str,
    memory: str,
    dies: int,
    stacks: int,
    store: float,
    link: float,
    peak: float,
    area: float,
) -> None:
    """Within 12 %; the densities of n7 are A100's own, those of n5 lie between H100 and B200."""
    found = rebuilt(kit(process, memory), dies, stacks, store, link, peak)
    assert found == pytest.approx(area, rel=0.12)


@pytest.mark.parametrize("name,process", [("wse-2", "n7"), ("wse-3", "n5")])
def test_known_wafers_are_rebuilt(name: str, process: str) -> None:
    of, wafer = kit(process, "HBM3e").density, chip(name)
    assert wafer.memory_size
    area = wafer.peak["bf16"] / 1e12 * of["wafer"] + wafer.memory_size / 1e6 * of["wafer_memory"]
    assert area == pytest.approx(WHOLE, rel=0.05)


@pytest.mark.parametrize("name,process", [("a100-sxm-80", "n7"), ("h100-sxm", "n5")])
def test_known_powers_come_near(name: str, process: str) -> None:
    """Within 30 %: makers set the clock of a product, and H100 lies above what B200 needs."""
    of, known = kit(process, "HBM3").density, chip(name)
    assert known.memory_speed and known.link_speed and known.power
    watts = known.peak["bf16"] / 1e12 * of["gpu_power"]
    watts += known.memory_speed / 1e12 * of["memory_power"]
    watts += (known.link_speed + NETWORK) / 1e12 * of["serdes_power"]
    assert watts * (1 + of["rest_power"]) == pytest.approx(known.power, rel=0.3)


@given(numbers=st.integers(64, 10**8))
def test_no_blocking_beats_the_bound(numbers: int) -> None:
    """Square tiles that leave room for a row and a column come near it and never above."""
    side = int(sqrt(numbers + 1)) - 1  # side² + 2 side numbers are held
    moved = 2.0 / side  # numbers per multiply-add: a row and a column for side² of them
    reached = 2.0 / moved
    bound = silicon.fed_speed(size=2.0 * numbers, speed=2.0, width=2.0, work=2.0) / 1.0
    assert reached <= bound * 1.0000001
    assert reached >= 0.35 * bound


@given(clock=st.floats(0.3, 0.99), share=st.floats(0.3, 0.9))
def test_slower_is_frugal(clock: float, share: float) -> None:
    less = silicon.voltage_energy(share=share, clock=clock)
    assert share**2 < less < 1 == silicon.voltage_energy(share=share, clock=1.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_slower_clock_takes_less_per_operation(shape: str) -> None:
    parts = kit("n5", "HBM3e")
    fast = next(blueprints(parts, (shape,), 858e-6))  # type: ignore[arg-type]
    slow = slower(parts, fast, 0.6)
    assert slow.chip.power and fast.chip.power and slow.chip.power < fast.chip.power
    assert slow.chip.peak["bf16"] == pytest.approx(0.6 * fast.chip.peak["bf16"])
    assert slow.areas == fast.areas


def priced(dollar: float, joule: float, name: str) -> Priced:
    made = next(blueprints(KIT, ("systolic",), 400e-6))
    named = Blueprint(
        shape=made.shape,
        chip=chip("h100-sxm"),
        areas={name: 1.0},
        dies=1,
        stacks=1,
        store=1.0,
    )
    return Priced(blueprint=named, per_dollar=dollar, per_joule=joule)


KIT = kit("n5", "HBM3e")


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=20))
def test_the_front_is_what_brute_force_finds(rows: list[tuple[int, int]]) -> None:
    every = [priced(d, j, str(i)) for i, (d, j) in enumerate(rows)]
    kept = {(each.per_dollar, each.per_joule) for each in nondominated(every)}
    wanted = {
        (d, j)
        for d, j in rows
        if not any((a >= d and b >= j) and (a > d or b > j) for a, b in rows)
    }
    assert kept == wanted
    assert len(nondominated(every)) == len(kept)


def test_no_design_exceeds_its_ceiling() -> None:
    costs = costs_of({}, "n5", None)
    for each in list(blueprints(KIT, SHAPES, 858e-6))[::37]:
        flow = flow_of(each.chip, each.stacks, costs)
        found = worth(LOADS, each.chip, flow)
        dollar, joule = bound_of(LOADS, each.chip, flow)
        if found is not None:
            assert found.per_dollar <= dollar and found.per_joule <= joule


@pytest.fixture(scope="module")
def swept() -> list[Designs]:
    """A small and a larger budget of one shape."""
    found = []
    for area in (400e-6, 600e-6):
        wish = Wish(loads=LOADS, area=area, shapes=("systolic",), references=())
        answer = design(wish)
        assert isinstance(answer, Designs)
        found.append(answer)
    return found


def test_a_larger_budget_is_never_worse(swept: list[Designs]) -> None:
    small, large = swept
    for measure in ("per_dollar", "per_joule"):
        best = [max(getattr(each, measure) for each in answer.points) for answer in (small, large)]
        assert best[1] >= best[0]
    assert large.considered > small.considered


def test_no_point_is_beaten(swept: list[Designs]) -> None:
    for answer in swept:
        for one in answer.points:
            assert not any(
                other.per_dollar >= one.per_dollar and other.per_joule >= one.per_joule
                for other in (*answer.points, *answer.others)
                if other.name != one.name
            )
            assert sum(one.areas.values()) == pytest.approx(one.chip.die_area)
            assert one.binds and one.speed.low < one.speed.likely < one.speed.high


def test_the_same_question_has_the_same_answer(swept: list[Designs]) -> None:
    wish = Wish(loads=LOADS, area=400e-6, shapes=("systolic",), references=())
    assert design(wish) == swept[0]
