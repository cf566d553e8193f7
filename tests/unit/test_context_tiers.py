"""`eke allocate tiers`: its file, its words, its page."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.test_page import Reader

from eke.allocating.tiers.demand import read_demand
from eke.cli import entry
from eke.errors import EkeError
from eke.report.tiers_page import tiers_page
from eke.types.job import Promise
from eke.types.record import replace
from eke.types.tiers import MONTH, Tiers

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "allocate" / "longer-context.toml"
SMALL = """
users = "60k"
asks = "12/day"
base = "8k"
longer = ["32k"]
ttft = "2s@p90"
tpot = "50ms@p90"
[tiers.8k]
prompt = "2.5k"
answer = 350
price = "20 USD/month"
[tiers.32k]
prompt = "12k"
ttft = "8s@p90"
wanted = "30%"
per_million = "2 USD"
"""


def written(folder: Path, text: str) -> str:
    path = folder / "demand.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def called(*arguments: str) -> Result:
    return CliRunner().invoke(entry, ["allocate", "tiers", "llama-3.1-8b", *arguments])


def test_the_example_says_what_it_says() -> None:
    found = read_demand(EXAMPLE)
    assert found.users == 60_000 and found.peak == 2.0 and found.base.context == 8192
    assert [each.context for each in found.longer] == [32_768, 65_536, 131_072]
    assert found.base.asks == pytest.approx(12 / 86_400)
    assert found.base.ttft == Promise(limit=5.0, percentile=0.9)
    assert found.longer[0].ttft == Promise(limit=12.0, percentile=0.9)
    assert found.base.pays * MONTH == pytest.approx(20)
    talks = found.conversations
    assert talks is not None and (talks.turns, talks.think, talks.repeats) == (6, 120, 0.8)
    assert {each.kind for each in found.grounds} == {"given"} or found.grounds


def test_what_nobody_says_is_assumed_and_said_so(tmp_path: Path) -> None:
    text = 'users = 100\nasks = "5/day"\nbase = "8k"\nlonger = ["32k", "64k"]\n'
    found = read_demand(written(tmp_path, text))
    assert found.longer[0].prompt + found.longer[0].answer == pytest.approx(16_384)
    assumed = {each.name for each in found.grounds if each.kind == "assumed"}
    assert {"peak", "tiers.32k.filled", "tiers.8k.answer"} <= assumed
    shaped = read_demand(written(tmp_path, "day = [1, 3, 2]\n" + text))
    assert shaped.peak == pytest.approx(1.5)


def test_options_stand_in_place_of_the_file() -> None:
    said = {"users": "1.2M", "longer": ["64k"], "ttft": "1s@p99", "tpot": None}
    found = read_demand(EXAMPLE, said)
    assert found.users == 1.2e6 and [each.name for each in found.longer] == ["64k"]
    assert {each.ttft for each in (found.base, *found.longer)} == {
        Promise(limit=1.0, percentile=0.99)
    }
    with pytest.raises(EkeError, match=r"--users: users: 'many'"):
        read_demand(EXAMPLE, {"users": "many"})


MISTAKES = {
    'users = "60k"': ('users = "60 GB"', "users: '60 GB' is in B"),
    'asks = "12/day"': ('asks = "12"', "asks"),
    'base = "8k"': ('base = "lots"', "tiers.8k is neither base (lots)"),
    'longer = ["32k"]': ('longer = ["32k", "lots"]', "longer: 'lots' is not a quantity"),
    "[tiers.32k]": ("[tiers.23k]", "tiers.23k is neither base (8k) nor longer (32k); closest: 32k"),
    'ttft = "2s@p90"': ('ttft = "2s@p200"', "ttft: 'p200' is no percentile"),
    'tpot = "50ms@p90"': ('tpto = "50ms@p90"', "Did you mean tpot"),
    "answer = 350": ('answer = "-3"', "cannot be negative"),
    'prompt = "2.5k"': ('prompt = "9k"', "do not fit a context of 8,192"),
    'price = "20 USD/month"': ('price = "20 USD"', "tiers.8k.price"),
    'wanted = "30%"': ('wanted = "300%"', "wanted is 3; it is a share"),
    'per_million = "2 USD"': ("per_million = nan", "per_million is nan"),
}


@pytest.mark.parametrize("right", MISTAKES)
def test_a_mistake_names_the_file_and_the_field(tmp_path: Path, right: str) -> None:
    wrong, said = MISTAKES[right]
    path = written(tmp_path, SMALL.replace(right, wrong, 1))
    with pytest.raises(EkeError) as caught:
        read_demand(path)
    assert path in str(caught.value) and said in str(caught.value)


TALK = '[conversations]\nturns = 6\nthink = "2min"\nrepeats = "80%"\n'
TALKED = {
    "turns = 6": ('turns = "0.5"', "turns is 0.5"),
    'think = "2min"': ('think = "2 GB"', "conversations.think"),
    'repeats = "80%"': ('repeats = "180%"', "repeats is 1.8"),
    "[conversations]": ('[conversations]\nkeep = "attic"\nkept = "1min"', "expected chip or host"),
    "turns = 6\n": ('turns = 6\nkeep = "host"\n', "say both where"),
}


@pytest.mark.parametrize("right", TALKED)
def test_a_mistake_about_conversations_too(tmp_path: Path, right: str) -> None:
    wrong, said = TALKED[right]
    with pytest.raises(EkeError, match=re.escape(said)):
        read_demand(written(tmp_path, SMALL + TALK.replace(right, wrong, 1)))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_mangled_file_is_an_error_and_no_traceback(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    text = SMALL + TALK
    at = data.draw(st.integers(0, len(text) - 1))
    wide = data.draw(st.integers(0, 12))
    put = data.draw(
        st.sampled_from(["", "-1", "nan", "1e400", '"', "[", "0", "99999999", "\n", "x"])
    )
    path = tmp_path_factory.mktemp("mangled") / "demand.toml"
    path.write_text(text[:at] + put + text[at + wide :], encoding="utf-8")
    try:
        found = read_demand(path)
    except EkeError as error:
        assert "demand.toml" in str(error)
    else:
        assert found.users > 0 and found.longer


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """The words, the record and the page of a small case."""
    folder = tmp_path_factory.mktemp("tiers")
    page = folder / "page.html"
    usual = ("--on", "8xh100-sxm", "--demand", written(folder, SMALL))
    words, record = called(*usual, "--report", str(page)), called(*usual, "--json")
    assert words.exit_code == record.exit_code == 0, words.output
    return words.stdout, record.stdout, page.read_text("utf-8")


def test_the_answer_comes_first_and_both_say_the_same(answer: tuple[str, str, str]) -> None:
    words, found = answer[0], json.loads(answer[1])
    first = words.partition("\n")[0]
    share = found["curves"][0]["share"]
    assert 0 < share["likely"] < 1 and found["answer"] == "tiers"
    assert first.startswith(f"{100 * share['likely']:.3g} % (")
    assert "of 60,000 users may have 32k beside 8k for all on 8xh100-sxm" in first
    assert "users" in words and "next" in words and "grounds" in words
    assert "30 % of users want it (18,000)" in words
    assert "eke plan serve llama-3.1-8b --on 8xh100-sxm --rate 16.7/s" in words
    point = found["curves"][0]["points"][0]
    assert point["share"] == 0 and point["users"]["likely"] > 60_000
    assert point["margin"] == pytest.approx(
        60_000 * 20 / MONTH - point["cost"]["likely"] * point["users"]["likely"] / MONTH, rel=1e-6
    )


def test_the_page_is_whole_and_stands_alone(answer: tuple[str, str, str]) -> None:
    text = answer[2]
    read = Reader(text)
    assert not read.open and [tag for tag, _ in read.tags].count("script") == 1
    assert "src=" not in text and "href=" not in text
    assert not re.search(r"[\" ,]nan\b", text)
    charts = re.findall(r"<svg.*?</svg>", text, re.S)
    assert len(charts) == text.count("<figure") == 8
    for chart in charts:
        tree = ElementTree.fromstring(chart)
        assert tree.find("title") is not None and tree.find("desc") is not None
        wide, high = map(float, tree.attrib["viewBox"].split()[2:])
        for path in tree.iter("path"):
            for x, y in re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", path.attrib["d"]):
                assert 0 <= float(x) <= wide and 0 <= float(y) <= high


def test_names_of_others_stay_words(answer: tuple[str, str, str]) -> None:
    evil = "<script>alert(1)</script>"
    found = msgspec.json.decode(answer[1], type=Tiers)
    found = replace(
        found, demand=replace(found.demand, name=evil), fleet=evil, remarks=(evil,), model=evil
    )
    text = tiers_page(found, evil)
    assert "<script>alert" not in text and escape(evil) in text


def test_what_cannot_be_done_exits_with_3(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL)
    found = called("--on", "2xh100-sxm", "--demand", path, "--users", "5M")
    assert found.exit_code == 3
    assert found.stdout.startswith("not feasible: users with 8k is short by")
    assert "chips of h100-sxm" in found.stdout


def test_what_makes_no_sense_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL)
    for more, said in (
        (("--on", "8xh100-sxm+8xa100-80gb-sxm"), "one pool"),
        (("--on", "8xh100-sxm", "--longer", "16k:3%"), "expected one, as 32k"),
        (("--on", "8xh100-sxm", "--report", "page.pdf"), "ends in .html"),
        (("--on", "8xh100-sxm", "--longer", "32k,64k,32k"), "each longer than base"),
    ):
        found = called(*more, "--demand", path)
        assert found.exit_code != 0 and said in str(found.exception), (more, found.output)
