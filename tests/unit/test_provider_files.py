"""A provider's file: what it may say, and what is said about mistakes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from eke.allocating.sharing.compare import difference
from eke.allocating.sharing.read import provider_of, read_provider, read_words
from eke.allocating.sharing.verb import again, allocate
from eke.allocating.sharing.ways import Planned
from eke.cli import entry
from eke.errors import EkeError
from eke.types.share import Allocation, Clash

ROOT = Path(__file__).parents[2]
SMALL = """
name = "small"
start = 2026-01-05
periods = 6
gap = "2%"
[day]
night = "8 h"
day = "16 h"
[sites.here]
power = "200 kW"
electricity = "0.08 USD/kWh"
[pools.a]
chip = "h100-sxm"
chips = 100
site = "here"
failing = { every = "50000 h", repair = "3 d" }
coming = [{ date = 2026-01-26, chips = 20 }]
[pools.b]
chip = "a100-sxm-80"
chips = 64
rent = "1.2 USD/h"
[pools.c]
chip = "h200-sxm"
more = { chips = 16, price = "4 USD/h", lost = "5%" }
[uses.chat]
job = "serve"
model = "llama-3.1-8b"
prompt = 1000
answer = 200
day = { night = 0.4, day = 1.3 }
rate = "200/s"
worth = "0.2 USD/Mtoken"
floor = "50%"
growth = "5%/week"
options = [
  { pool = "a", chips = 8, rate = "24/s" },
  { pool = "b", chips = 8, rate = "9/s", power = "5 kW" },
  { pool = "a", chips = 4, rate = "16/s", worth = "80%", name = "smaller" },
]
[uses.lab]
job = "research"
chips = 60
worth = "1 USD/h"
ceiling = "70 chips"
[uses.run]
job = "train"
model = "llama-3.1-8b"
tokens = "1T"
worth = "200 kUSD"
by = 2026-02-09
degrade = [{ later = "1 week", worth = "50%" }]
options = [{ pool = "a", chips = 64, time = "12 d" }]
[uses.tunes]
job = "tune"
model = "llama-3.1-8b"
tokens = "100M"
jobs = "300/week"
worth = "30 USD"
within = "1 week"
degrade = [{ later = "2 weeks", worth = "60%" }]
options = [{ pool = "a", chips = 1, time = "3 h" }, { pool = "b", chips = 1, time = "7 h" }]
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("provider") / "small.toml"
    found.write_text(SMALL)
    return found


@pytest.fixture(scope="module")
def answer(path: Path) -> Allocation:
    found = allocate(path)
    assert isinstance(found, Allocation)
    return found


def test_the_answer_adds_up(answer: Allocation) -> None:
    for line in answer.lines:
        if line.kind == "flow":
            missing = [a - d for a, d in zip(line.asked, line.done, strict=True)]
            assert missing == pytest.approx(line.refused, abs=1e-6 * sum(line.asked))
    assert answer.value <= sum(line.value for line in answer.lines)
    assert answer.value == pytest.approx(
        sum(line.value for line in answer.lines) - answer.rent - answer.electricity, rel=0.02
    )  # moves apart
    assert answer.gap <= 0.02 and answer.value <= answer.bound * (1 + 1e-9)
    for pool in answer.pools:
        mine = [share.chips for share in answer.shares if share.pool == pool.pool]
        used = [sum(each) for each in zip(*mine, strict=True)] or [0.0] * len(pool.used)
        assert used == pytest.approx(pool.used)
        for peak, there, rented in zip(pool.peak, pool.there, pool.rented, strict=True):
            assert peak <= there + rented + 1e-6


def test_failures_and_deliveries_count(answer: Allocation) -> None:
    there = answer.pools[0].there
    assert there[0] == 99 and there[3:] == (119, 119, 119)  # 72 of 50,072 hours in repair


def test_work_of_the_day_is_done_by_day(path: Path) -> None:
    provider = read_provider(path)
    night, day = provider.lines[0].asked[0]
    assert night / day == pytest.approx(0.4 * 8 / (1.3 * 16))
    assert night + day == pytest.approx(200 * 7 * 86400)
    assert sum(provider.lines[0].asked[1]) / (night + day) == pytest.approx(1.05)


def test_a_changed_number_says_what_moves(path: Path, answer: Allocation) -> None:
    known: Planned = {}
    found, moved = again(answer, read_provider(path, ["pools.a.chips=80"]), known)
    assert isinstance(found, Allocation) and moved is not None
    assert moved.changes == (("pools.a.chips", "100", "80"),)
    assert moved.value_after < moved.value_before
    assert moved.expected is not None and moved.expected <= 0
    assert any(each.name.startswith("chat") for each in moved.moved)


def test_nothing_moves_where_nothing_changed(path: Path, answer: Allocation) -> None:
    again_ = allocate(path)
    assert isinstance(again_, Allocation)
    moved = difference("", answer, again_)
    assert not moved.moved and not moved.changes
    assert msgspec.json.encode(again_) == msgspec.json.encode(answer)


def test_later_deliveries_are_looked_at(answer: Allocation) -> None:
    assert answer.slip is not None
    assert answer.slip.value_after <= answer.slip.value_before * (1 + answer.gap)


def test_an_answer_comes_back_from_json(path: Path, answer: Allocation, tmp_path: Path) -> None:
    runner = CliRunner()
    first = runner.invoke(entry, ["allocate", str(path), "--json"])
    assert first.exit_code == 0
    (tmp_path / "before.json").write_text(first.stdout)
    assert msgspec.json.decode(first.stdout, type=Allocation) == answer
    changed = tmp_path / "changed.toml"
    changed.write_text(SMALL.replace("chips = 64\nrent", "chips = 32\nrent"))
    second = runner.invoke(
        entry, ["allocate", str(changed), "--against", str(tmp_path / "before.json")]
    )
    assert second.exit_code == 0
    assert "pools.b.chips from 64 to 32" in second.stdout
    assert second.stdout.splitlines()[0].count("USD") >= 2


def test_promises_that_clash_end_with_3(tmp_path: Path) -> None:
    clash = tmp_path / "clash.toml"
    clash.write_text(SMALL.replace('floor = "50%"', 'floor = "100%"').replace("200/s", "300/s"))
    words = clash.read_text().replace('ceiling = "70 chips"', 'floor = "60 chips"')
    clash.write_text(words)
    found = CliRunner().invoke(entry, ["allocate", str(clash)])
    assert found.exit_code == 3 and found.stdout.startswith("not feasible")
    assert "uses.chat" in found.stdout and "chips of" in found.stdout
    told = json.loads(CliRunner().invoke(entry, ["allocate", str(clash), "--json"]).stdout)
    assert told["answer"] == "clash" and isinstance(allocate(clash), Clash)


@pytest.mark.parametrize("goal", ["cost", "max-min", "proportional"])
def test_other_goals(path: Path, goal: str) -> None:
    words = read_words(path) | {"goal": goal}
    if goal == "cost":
        words["uses"]["chat"]["rate"] = "100/s"
        del words["uses"]["run"]
    found = allocate(provider_of(words, "small.toml"), slip=False)
    assert isinstance(found, Allocation)
    if goal == "cost":
        assert found.value < 0
        assert all(line.share > 0.49 for line in found.lines)
    else:
        assert min(line.share for line in found.lines) > 0.4


def _with(*steps: Any) -> Callable[[dict[str, Any]], None]:
    *way, last, value = steps

    def change(words: dict[str, Any]) -> None:
        at: Any = words
        for step in way:
            at = at[step]
        if value is None:
            del at[last]
        else:
            at[last] = value

    return change


MISTAKES = [
    (_with("start", "tomorrow"), "start"),
    (_with("start", None), "start"),
    (_with("periods", 0), "periods"),
    (_with("periods", 10**9), "periods"),
    (_with("period", "5 s"), "period"),
    (_with("goal", "fame"), "goal"),
    (_with("gap", "200%"), "gap"),
    (_with("budget", "-5 USD"), "budget"),
    (_with("budget", ["1 USD"]), "budget"),
    (_with("day", "night", "9 h"), "day"),
    (_with("day", "night", "-8 h"), "day.night"),
    (_with("sites", "here", "power", "12 km"), "sites.here.power"),
    (_with("sites", "here", "pue", 0.5), "sites.pue"),
    (_with("sites", "here", "powr", "1 W"), "power"),
    (_with("pools", {}), "pools"),
    (_with("pools", "a", "chip", "no-such-chip"), "pools.a.chip"),
    (_with("pools", "a", "chips", -5), "pools.a.chips"),
    (_with("pools", "a", "chips", 1.5), "pools.a.chips"),
    (_with("pools", "a", "chips", True), "pools.a.chips"),
    (_with("pools", "a", "chips", float("nan")), "pools.a.chips"),
    (_with("pools", "a", "site", "there"), "pools.a.site"),
    (_with("pools", "a", "more", {"chips": 5, "price": "1 USD/h"}), "pools.a.more"),
    (_with("pools", "a", "leaving", [{"date": "2026-01-12", "chips": 500}]), "pools.a.leaving"),
    (_with("pools", "a", "coming", 0, "date", "2026-13-01"), "pools.a.coming[0].date"),
    (_with("pools", "b", "buy", "1 USD"), "pools.b"),
    (_with("pools", "c", "more", "lost", "99%"), "pools.c.more.lost"),
    (_with("uses", {}), "uses"),
    (_with("uses", "chat", "job", "sreve"), "serve"),
    (_with("uses", "chat", "model", "lama-9"), "uses.chat"),
    (_with("uses", "chat", "model", None), "uses.chat.model"),
    (_with("uses", "chat", "worth", None), "uses.chat.worth"),
    (_with("uses", "chat", "worth", "5 W"), "uses.chat.worth"),
    (_with("uses", "chat", "rate", None), "uses.chat.rate"),
    (_with("uses", "chat", "rate", ["1/s"]), "uses.chat.rate"),
    (_with("uses", "chat", "rate", "-1/s"), "uses.chat.rate"),
    (_with("uses", "chat", "floor", "150%"), "uses.chat.floor"),
    (_with("uses", "chat", "growth", "fast"), "uses.chat.growth"),
    (_with("uses", "chat", "demand", [{"floor": "5 chips"}]), "uses.chat.demand[0].floor"),
    (_with("uses", "run", "floor", "50%"), "uses.run.floor"),
    (_with("uses", "chat", "day", "noon", 2), "uses.chat.day"),
    (_with("uses", "chat", "promt", 5), "uses.chat.promt"),
    (_with("uses", "chat", "prompt", 0), "uses.chat"),
    (_with("uses", "chat", "on", ["z"]), "uses.chat.on"),
    (_with("uses", "chat", "options", 0, "pool", "z"), "uses.chat.options[0].pool"),
    (_with("uses", "chat", "options", 0, "rate", None), "uses.chat.options[0]"),
    (_with("uses", "chat", "options", 0, "chips", 0), "uses.chat.options[0].chips"),
    (_with("uses", "chat", "degrade", [{"worth": "90%"}]), "uses.chat.degrade[0]"),
    (_with("uses", "chat", "degrade", [{"later": "1 d", "worth": "90%"}]), "uses.chat.degrade"),
    (_with("uses", "lab", "ceiling", "half"), "uses.lab.ceiling"),
    (_with("uses", "lab", "floor", "80 chips"), "uses.lab.ceiling"),
    (_with("uses", "run", "by", "2025-01-01"), "uses.run.by"),
    (_with("uses", "run", "begins", "2027-01-01"), "uses.run.begins"),
    (_with("uses", "tunes", "within", None), "uses.tunes.within"),
    (_with("uses", "tunes", "tokens", "many"), "uses.tunes.tokens"),
]


@pytest.mark.parametrize("mistake,named", MISTAKES, ids=[named for _, named in MISTAKES])
def test_a_mistake_names_file_and_field(path: Path, mistake: Any, named: str) -> None:
    words = copy.deepcopy(read_words(path))
    mistake(words)
    with pytest.raises(EkeError) as error:
        provider_of(words, "my.toml")
    assert "my.toml" in str(error.value) and named in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "change,named",
    [
        ("pools.a.chips", "FIELD=VALUE"),
        ("pools.z.chips=5", "no 'z'"),
        ("uses.chat.options.9.rate=5", "no '9'"),
        ("pools.a.chips=-1", "pools.a.chips"),
    ],
)
def test_a_change_that_makes_no_sense(path: Path, change: str, named: str) -> None:
    with pytest.raises(EkeError) as error:
        read_provider(path, [change])
    assert named in str(error.value)


def test_bad_files_are_one_line(tmp_path: Path) -> None:
    for name, text in (
        ("none.toml", None),
        ("empty.toml", ""),
        ("no.toml", "a = ["),
        ("x.toml", "\x00"),
    ):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(EkeError):
            allocate(tmp_path / name)


@pytest.mark.parametrize(
    "name,verb",
    [
        ("athena", "chip"),
        ("wafer", "chip"),
        ("my-chip", "chip"),
        ("longer-context", "tiers"),
        ("forecast", "forecast"),
        ("design", "design"),
    ],
)
def test_a_file_of_another_question_says_whose_it_is(name: str, verb: str) -> None:
    with pytest.raises(EkeError) as error:
        allocate(ROOT / "examples" / "allocate" / f"{name}.toml")
    assert f"eke allocate {verb}" in str(error.value)


GARBAGE: list[Any] = [
    None,
    "",
    "many",
    "-3",
    "1e400",
    "5 km",
    "NaN",
    "9" * 300,
    -1,
    0,
    1e30,
    float("inf"),
    True,
    [],
    [1, "x"],
    {},
    {"a": 1},
    "2026-02-30",
    "all",
    "1/s",
]


def _places(words: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of nested tables and lists."""
    items = (
        words.items()
        if isinstance(words, dict)
        else enumerate(words)
        if isinstance(words, list)
        else ()
    )
    found = [way] if way else []
    for key, value in items:
        found += _places(value, (*way, key))
    return found


def test_no_garbage_is_a_traceback(path: Path) -> None:
    """Every field of the file and of a demand, replaced by a third of the kinds of garbage each."""
    whole = read_words(path)
    whole["uses"]["chat"]["demand"] = [
        {"name": "a", "rate": "5/s", "day": {"night": 1}, "priority": 2, "context": "8k"}
    ]
    whole["uses"]["lab"]["options"] = [{"pool": "a", "counts": 2}]
    refused = 0
    for number, way in enumerate(_places(whole)):
        for garbage in GARBAGE[number % 3 :: 3]:
            words = copy.deepcopy(whole)
            _with(*way, garbage)(words)
            try:
                provider_of(words, "my.toml")
            except EkeError as error:
                refused += 1
                assert "my.toml" in str(error), (way, garbage, error)
    assert refused > 300
