"""`eke allocate chip`: what it reads, what it answers, and which mistakes it names."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from eke.allocating.chips import answer as choosing
from eke.allocating.chips.build_file import read_build
from eke.allocating.chips.loads import loads
from eke.allocating.chips.speed import IDLE, speed
from eke.allocating.chips.ways import named
from eke.catalog.chips import chip
from eke.catalog.fleets import pool, resized
from eke.catalog.nodes import FIELDS, PARTS, memory_values, node, node_of, usual
from eke.catalog.sources import sources
from eke.catalog.uncertain import law
from eke.cli import entry
from eke.errors import EkeError, Unknown
from eke.planning import Asked
from eke.types.fleet import Fleet
from eke.types.goal import Goal
from eke.types.need import Infeasible
from eke.types.record import replace

EXAMPLES = Path(__file__).parents[2] / "examples" / "allocate"
MINE = (EXAMPLES / "my-chip.toml").read_text()
SMALL = "--model llama-3.1-8b --prompt 1000 --answer 300 --samples 500"


CACHE: dict[Any, Any] = {}


def remembered(loads_: Any, pool: Any, whole: bool, progress: Any = None) -> Any:
    """The speed of a chip under a workload, planned once."""
    key = repr((loads_, pool, whole))
    if key not in CACHE:
        CACHE[key] = speed(loads_, pool, whole, progress)
    return CACHE[key]


def asked(words: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        if choosing.speed is speed:
            patch.setattr(choosing, "speed", remembered)
        return invoked(words)


def invoked(words: str) -> Result:
    return CliRunner().invoke(entry, ["allocate", "chip", *words.split()], catch_exceptions=True)


def changed(tmp_path: Path, old: str, new: str) -> Path:
    assert old in MINE
    path = tmp_path / "my-chip.toml"
    path.write_text(MINE.replace(old, new))
    return path


# --- data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["n2", "n3", "n5", "n7", "n10", "n16", "n28"])
def test_every_node_has_what_a_chip_takes(name: str) -> None:
    found = node(name)
    assert {"defects", "defects_start", "wafer_price", "nre", "masks"} <= set(found.values)
    for value in found.values.values():
        assert value.source in sources() and value.unit == FIELDS[value.name].unit


def test_usual_values_leave_nothing_open() -> None:
    have = {name for part in PARTS for name in usual(part)} | set(node("n5").values)
    tables = {"electricity", "pue", "server_power", "power_share", "idle_power"}
    of_the_chip = {"area", "dies", "stacks", "memory_price", "package"}
    assert set(FIELDS) <= have | tables | of_the_chip
    for part in PARTS:
        assert all(value.source in sources() for value in usual(part).values())


def test_nodes_by_name_and_length() -> None:
    assert node("5 nm").id == node_of(4e-9).id == node("n5").id == "n5"
    assert memory_values("HBM3e")["price"].law != memory_values("HBM3")["price"].law
    assert memory_values("on-wafer SRAM") == {}
    with pytest.raises(Unknown, match="closest: n"):
        node("n55")


@pytest.mark.parametrize(
    "text,unit,numbers",
    [
        ("triangular 1, 2, 4 years", "s", (31557600.0, 63115200.0, 126230400.0)),
        ("normal 0.11 ± 0.02 /cm2", "1/m2", (1100.0, 200.0)),
        ("lognormal 30 MUSD × 1.3", "USD", (30e6, 1.3)),
        ("uniform 1..3", "1", (1.0, 3.0)),
        ("chance 30% of 2", "1", (0.3, 2.0)),
        ("12,500 USD", "USD", (12500.0,)),
    ],
)
def test_distributions_are_read(text: str, unit: str, numbers: tuple[float, ...]) -> None:
    assert law(text, unit).numbers == pytest.approx(numbers)


@pytest.mark.parametrize(
    "text,says",
    [
        ("triangular 3, 2, 4", "must rise"),
        ("triangular 1, 2", "expected triangular"),
        ("triangle 1, 2, 3", "closest: triangular"),
        ("uniform 3 .. 1", "low is above its high"),
        ("normal 1 ± -2", "zero or more"),
        ("lognormal 3 × 0.5", "1 or more"),
        ("chance 130% of 1", "between 0 and 100 %"),
        ("much", "no distribution|not a quantity"),
        ("normal 1 ± 2 apples", "no unit"),
    ],
)
def test_bad_distributions_say_what_is_allowed(text: str, says: str) -> None:
    with pytest.raises(EkeError, match=says):
        law(text, "1")


# --- files -----------------------------------------------------------------------------------

MISTAKES = [
    ('area = "1600 mm2" # of all dies together', 'area = "-3 mm2"', "die.area"),
    ("dies = 2", "", "at most 858 mm2"),
    ("stacks = 8", "stacks = 80", "build.stacks"),
    ("stacks = 8", "stacks = 2.5", "whole number"),
    ("stacks = 8", 'stacks = "uniform 2 .. 8"', "not uncertain"),
    ('node = "n3"', 'node = "n33"', r"build.node: no process 'n33'; closest: n3"),
    ('node = "n3"', 'node = "n3"\nbond_yield = "130%"', "build.bond_yield"),
    ('node = "n3"', 'node = "n3"\nrepairable = "120%"', "build.repairable"),
    ('node = "n3"', 'node = "n3"\nwafer_prise = "20 kUSD"', "Did you mean wafer_price"),
    ('node = "n3"', 'node = "n3"\nwafer_price = "-5 USD"', "build.wafer_price"),
    ('node = "n3"', 'node = "n3"\nwafer_price = "5 s"', "build.wafer_price"),
    ('volume = "200k/yr"', 'volume = "200k"', "build.volume"),
    ('volume = "200k/yr"', 'volume = "0/yr"', "build.volume"),
    ('delay = "triangular 0, 0.5, 2 years"', 'delay = "triangular 2, 1, 0 years"', "risk.delay"),
    ('delay = "triangular 0, 0.5, 2 years"', 'delai = "1 year"', "Did you mean delay"),
    ('pue = "triangular 1.08, 1.15, 1.3"', 'pue = "0.5"', "site.pue"),
    ('pue = "triangular 1.08, 1.15, 1.3"', "pue = nan", "finite"),
    ('model = "llama-3.1-70b"', 'modell = "llama-3.1-70b"', "closest: model"),
    ('prompt = "2000"', 'prompt = "2000 apples"', "workload.prompt"),
    ("[chip.power]", "[chip.powder]", "Did you mean power"),
    ('maximum = "1500 W"', "", "chip.power.maximum"),
    ('kind = "asic"', 'kind = "gpo"', "Did you mean gpu"),
    ('type = "HBM4"', 'type = "magnetic drums"', "magnetic drums"),
]


@pytest.mark.parametrize("old,new,says", MISTAKES, ids=[row[1][:30] for row in MISTAKES])
def test_mistakes_name_file_and_field(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = changed(tmp_path, old, new)
    found = asked(f"--build {path} --against buy:h100-sxm {SMALL}")
    assert found.exit_code != 0 and isinstance(found.exception, EkeError | SystemExit)
    message = str(found.exception)
    assert re.search(says, message), message
    if "magnetic" not in says:
        assert "my-chip.toml" in message


@pytest.mark.parametrize(
    "words,says",
    [
        (f"--against buy:h100-sxm,buy:h100-sxm --rate 5/s {SMALL}", "twice"),
        (f"--against lease:h100-sxm --rate 5/s {SMALL}", "no way to have chips"),
        (f"--against buy:maia-100 --rate 5/s {SMALL}", "give a price"),
        (f"--against own:tpu-v7 --rate 5/s {SMALL}", "nobody has published the die area"),
        (f"--against buy:h1000-sxm --rate 5/s {SMALL}", "closest"),
        (f"--against own:h100-sxm=5USD --rate 5/s {SMALL}", "drop the price"),
        (f"--against buy:h100-sxm --volume 5/yr {SMALL}", "--volume"),
        ("--against buy:h100-sxm", "no workload"),
        (SMALL, "compared with what"),
        ("no-such.toml", "no-such.toml"),
    ],
)
def test_mistakes_on_the_command_line(words: str, says: str) -> None:
    found = asked(words)
    assert found.exit_code != 0
    assert says in str(found.exception)


def test_mangled_files_end_in_words(tmp_path: Path) -> None:
    """Reading either works or names what is wrong."""
    random.seed(11)
    path = tmp_path / "mangled.toml"
    for _ in range(400):
        text = list(MINE)
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(text))
            text[at] = random.choice(["", "=", '"', "-", "9", "e", "\n", "[", "nan", "×", "/"])
        path.write_text("".join(text))
        try:
            found = read_build(path)
            loads({}, found)
        except EkeError as error:
            assert str(error)


def test_prices_of_ones_own() -> None:
    way = named("rent:h200=2.5 USD/h")
    assert way.name == "rent:h200-sxm" and way.price == pytest.approx(2.5 / 3600)


# --- answers ---------------------------------------------------------------------------------


def test_without_a_chip_of_ones_own_chips_are_whole() -> None:
    words = f"--against buy:h100-sxm,rent:h100-sxm --rate 20/s {SMALL}"
    found = asked(words)
    assert found.exit_code == 0, found.exception
    first = found.stdout.splitlines()[0]
    assert "cheapest in" in first and "USD" in first and "per million useful tokens" in first
    answer = json.loads(asked(f"{words} --json").stdout)
    offers = {offer["name"]: offer for offer in answer["offers"]}
    assert offers["rent:h100-sxm"]["chips"] == pytest.approx(2.0)
    assert offers["buy:h100-sxm"]["chips"] == pytest.approx(2.0 * 1.03)
    for offer in offers.values():
        cost = offer["cost"]
        assert cost["low"] <= cost["likely"] <= cost["high"]
        assert sum(offer["parts"].values()) == pytest.approx(cost["likely"])
    assert answer["tokens"] == pytest.approx(20 * 1300 * 0.45)


@pytest.fixture(scope="module")
def built() -> dict:
    words = f"--build {EXAMPLES / 'my-chip.toml'} --against buy:h100-sxm,rent:h100-sxm {SMALL}"
    found = asked(f"{words} --json")
    assert found.exit_code == 0, found.exception
    assert asked(f"{words} --json").stdout == found.stdout  # the same seed, the same bytes
    assert asked(f"{words} --json --seed 2").stdout != found.stdout
    answer: dict = json.loads(found.stdout)
    return answer


def test_building_is_weighed(built: dict) -> None:
    gains = {gain["against"]: gain for gain in built["gains"]}
    assert set(gains) == {"buy:h100-sxm", "rent:h100-sxm", "the cheapest of them"}
    for gain in gains.values():
        assert gain["low"] <= gain["middle"] <= gain["high"] and 0 <= gain["chance"] <= 1
    least = gains.pop("the cheapest of them")
    assert least["chance"] <= min(gain["chance"] for gain in gains.values())
    assert least["likely"] == pytest.approx(min(gain["likely"] for gain in gains.values()))


def test_every_number_has_a_source(built: dict) -> None:
    for ground in built["grounds"]:
        assert ground["kind"] and ground["source"]
        if ground["source"] not in ("you", "eke-derived"):
            assert ground["source"] in sources(), ground
    names = {ground["name"] for ground in built["grounds"]}
    assert {"defects", "nre", "price of buy:h100-sxm", "load", "volume"} <= names
    said = {ground["name"]: ground["kind"] for ground in built["grounds"]}
    assert said["nre"] == "given" and said["building"] == "derived"


def test_the_swings_are_ranked_of_each_way(built: dict) -> None:
    *each, least = built["gains"]
    assert not least["swings"] and not least["turnings"] and least["break_even"] is None
    for gain in each:
        widths = [abs(swing["gain_high"] - swing["gain_low"]) for swing in gain["swings"]]
        assert widths == sorted(widths, reverse=True) and widths[0] > 0
        for turn in gain["turnings"]:  # on the side where it does not yet pay, or no longer would
            pays = turn["now"] > turn["at"] if turn["above"] else turn["now"] < turn["at"]
            assert pays == (gain["likely"] > 0)
            assert not (turn["above"] and turn["name"] in ("delay", "nre"))


def test_quantiles_are_those_of_the_cases(built: dict) -> None:
    for gain in built["gains"]:
        told = gain["quantiles"]
        assert len(told) == 41 and told == sorted(told)
        assert told[3] <= gain["low"] <= told[4] and told[20] == pytest.approx(gain["middle"])
        assert sum(value > 0 for value in told) / 41 == pytest.approx(gain["chance"], abs=1 / 41)


def test_one_way_is_cheapest_in_each_case(built: dict) -> None:
    share = {offer["name"]: offer["cheapest"] for offer in built["offers"]}
    assert sum(share.values()) == pytest.approx(1)
    assert share["build:my-chip"] == pytest.approx(built["gains"][-1]["chance"], abs=0.01)


def test_break_even_is_where_it_says() -> None:
    """At the volume named, building and the other cost the same; checked by asking again."""
    dear = "rent:h100-sxm=9USD/h"
    words = f"--build {EXAMPLES / 'my-chip.toml'} --against {dear} {SMALL} --json"
    gain = json.loads(asked(words).stdout)["gains"][0]
    assert gain["likely"] > 0 and gain["break_even"] is not None
    again = json.loads(asked(f"{words} --volume {gain['break_even'] * 31557600:.6f}/yr").stdout)
    cost = {offer["name"]: offer["cost"]["likely"] for offer in again["offers"]}
    assert cost["build:my-chip"] == pytest.approx(cost["rent:h100-sxm"], rel=1e-3)


def test_what_cannot_be_done_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    short = Infeasible(limit="tpot", need=2.0, have=1.0, by=1.0, unit="s", hint="a looser promise")
    monkeypatch.setattr(choosing, "speed", lambda *args: short)
    found = asked(f"--against buy:h100-sxm --rate 5/s {SMALL}")
    assert found.exit_code == 3 and "not feasible" in found.stdout


def test_a_chip_that_cannot_is_named_beside_others_that_can(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    words = f"--against buy:wse-3,buy:h100-sxm --rate 20/s --tpot 4ms {SMALL} --report {page}"
    found = asked(words)
    assert found.exit_code == 0 and found.stdout.startswith("only this can: buy:wse-3")
    assert "buy:h100-sxm: tpot is short by" in found.stdout and "cannot is judged" in found.stdout
    assert "buy:h100-sxm cannot: tpot is short by" in page.read_text("utf-8")
    with pytest.raises(EkeError, match=r"ends in \.html"):
        raise asked(words.replace("page.html", "page.pdf")).exception or AssertionError


def test_what_few_chips_are_too_slow_for_no_number_of_them_mends() -> None:
    """The quick look says no only where a search of many more chips finds nothing either."""
    given = {"model": "llama-3.1-8b", "prompt": 1000.0, "answer": 300.0, "tpot": "4ms"}
    load = loads(given)[0]
    idle = replace(load.job, rate=IDLE)
    of = pool(chip("h100-sxm"), 1)
    found = speed([load], of, True)
    assert isinstance(found, Infeasible) and found.limit == "tpot"
    many = Fleet(pools=(resized(of, 2048),))
    asked_of = Asked(job=idle, fleet=many, goal=Goal(least="chips"), choices={})
    wide = replace(asked_of, disaggregate="never").search()
    assert not wide.best and wide.nearest is not None
    missed = wide.nearest.ratios["tpot"] - 1
    assert missed == pytest.approx(found.by / found.have, rel=1e-6)
