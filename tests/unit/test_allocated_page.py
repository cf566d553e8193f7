"""The page of who gets which chips: it is whole, escapes names, adds up, and stays small."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from html import escape, unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from tests.page_checks import check_alone
from tests.shares import ALLOCATIONS, EVIL, allocated, moves, provided
from tests.unit.test_page import Reader

from eke.cli import entry
from eke.report.allocated import headline, moved_values, name, prices_words, takes_words
from eke.report.allocated_figures import MOST, STEPS, chips_by_use, inks, over, times
from eke.report.allocated_lines import LINES, STATES, rows_of
from eke.report.allocated_page import allocated_page
from eke.types.record import replace
from eke.types.share import Allocation
from eke.units import show

FOUND = {each: provided(each) for each in ALLOCATIONS}
PAGES = {each: allocated_page(FOUND[each], None, f"eke {each}") for each in ALLOCATIONS}
PAGES["moved"] = allocated_page(FOUND["plain"], moves(), "eke moved")


def words_of(page: str) -> str:
    return Reader(page).words.replace("\u00a0", " ")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole_and_stands_alone(page: str) -> None:
    text = PAGES[page]
    check_alone(text, rounding=0.1)
    for each in re.findall(r"<figure.*?</figure>", text, re.S):
        assert each.count("<table") == 1 and each.count("<td") >= 1


@pytest.mark.parametrize("page", PAGES)
def test_no_chart_is_empty(page: str) -> None:
    """Each has a line, an area or a bar that is seen; where nothing is done, what is asked."""
    for each in re.findall(r"<svg.*?</svg>", PAGES[page], re.S):
        wide = [float(x) for x in re.findall(r'<rect[^>]*width="([\d.]+)"', each)]
        assert re.search(r'<path class="(line|area) ink-[0-9abt]', each) or max(wide) > 1


def test_names_of_others_stay_words() -> None:
    text = allocated_page(FOUND["evil"], moves(EVIL), EVIL)
    assert "<script>alert" not in text and escape("<script>alert(1)</script>") in text
    assert [tag for tag, _ in Reader(text).tags].count("script") == 1
    assert EVIL in Reader(text).words  # the command, which nothing is cut of
    titles = re.findall(r"<h3>(.*?)</h3>", text)
    assert max(len(unescape(each)) for each in titles) <= 90


def test_a_page_says_what_the_words_say() -> None:
    found = FOUND["plain"]
    text = words_of(PAGES["moved"])
    for said in (headline(found), takes_words(found)):
        assert said[1:] in text
    for _, said in prices_words(replace(found, pools=())):
        assert said in text
    for line in found.lines:
        assert name(line)[:60] in text and show(line.value, "USD") in text and line.why in text
    for each in moves().moved:
        for said in (each.name, each.what, *moved_values(each), each.first, each.why):
            assert said in text
    assert "−1 million USD of value; by the shadow prices alone it would be −900,000 USD" in text
    assert "What moved" in text and "pools.h100.chips" in text
    assert "What moved" not in words_of(PAGES["plain"])
    untitled = allocated_page(found, replace(moves(), title=""), "")
    assert "What moved−1 million USD of value" in words_of(untitled)
    assert "If deliveries come later" not in words_of(PAGES["alone"])
    assert "Promises not kept to the last" in words_of(PAGES["evil"])


def test_what_is_enough_is_said() -> None:
    assert "Nothing: there is enough of everything." in words_of(PAGES["alone"])
    assert "No chip is at work." in words_of(PAGES["idle"])
    assert "There are enough chips of pool 0, pool 1." in words_of(PAGES["idle"])
    assert "means of 24 periods" in words_of(PAGES["hourly"])


def drawn_layers(page: str) -> dict[str, list[tuple[str, str, list[float]]]]:
    """By the title of a chart of areas: name, class and values of its layers."""
    found = {}
    for svg in re.findall(r"<svg[^>]*data-edges.*?</svg>", page, re.S):
        layers = re.findall(
            r'<path class="area ([^"]+)" data-name="([^"]+)" data-values="([^"]+)"', svg
        )
        title = unescape(re.findall(r"<title>(.*?)</title>", svg)[0])
        found[title] = [(unescape(name), ink, json.loads(values)) for ink, name, values in layers]
    return found


@pytest.mark.parametrize("page", ["plain", "large", "alone", "hourly"])
def test_areas_add_up_to_the_chips_at_work(page: str) -> None:
    found, layers = FOUND[page], drawn_layers(PAGES[page])
    at = times(found)
    shown = [pool for pool in found.pools if pool.pool in layers]
    assert len(shown) == min(len(found.pools), MOST)
    for pool in shown:
        sums = np.sum([values for _, _, values in layers[pool.pool]], axis=0)
        assert sums == pytest.approx(over(at, pool.used), rel=1e-3)
    least = min(float(np.dot(pool.price, pool.there)) for pool in shown)
    for pool in found.pools:
        assert pool in shown or np.dot(pool.price, pool.there) <= least


@pytest.mark.parametrize("page", ["plain", "large"])
def test_a_use_has_one_colour_in_every_pool(page: str) -> None:
    found = FOUND[page]
    pools = {pool.pool for pool in found.pools}
    pairs = {
        (name, ink)
        for title, each in drawn_layers(PAGES[page]).items()
        if title in pools
        for name, ink, _ in each
        if "other use" not in name
    }
    assert len({name for name, _ in pairs}) == len({ink for _, ink in pairs}) == len(pairs)
    assert "ink-all" not in {ink for _, ink in pairs}


@given(st.integers(1, 20))
def test_at_most_eight_uses_have_colours_of_their_own(uses: int) -> None:
    """Those with most chips, each another; the others are grey, which none of them then is."""
    held = chips_by_use(allocated(periods=3, pools=2, uses=uses, seed=uses))
    own = inks(held)
    sums = {use: sum(float(v.sum()) for v in pools.values()) for use, pools in held.items()}
    assert len(set(own.values())) == len(own) == (uses if uses <= MOST else MOST - 1)
    assert all(sums[use] <= min(sums[each] for each in own) for use in sums if use not in own)
    assert uses <= MOST or "ink-6" not in own.values()


@given(st.integers(1, 1000), st.floats(3600.0, 40 * 86400.0))
def test_stretches_of_time_hold_every_period_once(periods: int, period: float) -> None:
    start = date(2026, 2, 27)
    found = replace(
        FOUND["alone"],
        start=start.isoformat(),
        period=period,
        dates=tuple((start + timedelta(seconds=period * i)).isoformat() for i in range(periods)),
    )
    at = times(found)
    assert len(at.edges) == len(at.counts) + 1 <= STEPS + 1
    assert list(at.edges) == sorted(set(at.edges)) and at.edges[0] == found.start
    assert at.counts.sum() == periods and at.counts.min() >= 1
    values = np.random.default_rng(periods).uniform(0, 9, periods)
    assert (over(at, values) * at.counts).sum() == pytest.approx(values.sum())


@pytest.mark.parametrize("page", ["plain", "large", "idle", "evil"])
def test_what_becomes_of_asks_adds_up(page: str) -> None:
    """Shares of a line to all of it, but for what is too little to see; values to the whole."""
    found = FOUND[page]
    rows = rows_of(found)
    for row in rows:
        assert sum(row.shares.values()) == pytest.approx(1, abs=len(STATES) * 5e-4)
    assert sum(row.value for row in rows) == pytest.approx(sum(x.value for x in found.lines))
    asked = sum(line.worth * sum(line.asked) for line in found.lines)
    assert sum(row.whole for row in rows) == pytest.approx(asked)


def test_very_many_stay_few() -> None:
    """52 periods, 20 pools and 200 uses: a small page that says what it leaves out."""
    text = words_of(PAGES["large"])
    assert len(PAGES["large"]) < 1_000_000
    assert f"Drawn are the {MOST} of 20 pools at work whose chips are worth most" in text
    assert "and 140 more" in text
    rows = rows_of(FOUND["large"])
    assert len(rows) == LINES + 1 and rows[-1].line is None
    least = min(row.whole for row in rows[:-1])
    others = {line.use for line in FOUND["large"].lines} - {r.line.use for r in rows if r.line}
    for line in FOUND["large"].lines:
        assert line.use not in others or line.worth * sum(line.asked) <= least
    for pool in FOUND["large"].pools:
        assert pool.pool in text
    longest = allocated(periods=1000, pools=60, uses=30)
    assert len(allocated_page(longest, None, "")) < 3_000_000


def test_a_finished_lesser_version_is_the_reason() -> None:
    found = FOUND["plain"]
    last = (0.0,) * 25 + (1.0,)
    best = replace(
        found.lines[2], line="", asked=last, done=(0.0,) * 26, refused=last, finished="", value=0.0
    )
    lesser = replace(
        best, line="model small", done=last, refused=(0.0,) * 26, finished="2027-02-01"
    )
    text = words_of(allocated_page(replace(found, lines=(best, lesser)), None, ""))
    assert "use 2: model small is done instead" in text and "never" in text


SMALL = """
name = "two pools"
start = "2026-12-07"
period = "1 week"
periods = 4
[pools.one]
chip = "h100-sxm"
chips = 64
coming = [{ date = "2026-12-21", chips = 64 }]
[pools.two]
chip = "a100-sxm-80"
chips = 32
[uses.chat]
job = "serve"
model = "llama-3.1-8b"
prompt = 1000
answer = 100
rate = "400/s"
growth = "20%/month"
worth = "0.01 USD"
options = [{ pool = "one", chips = 8, rate = "30/s" }, { pool = "two", chips = 8, rate = "9/s" }]
[uses.research]
job = "research"
chips = 30
worth = "0.5 USD/h"
"""


def run(*words: str) -> Any:
    return CliRunner().invoke(entry, ["allocate", *words], catch_exceptions=False)


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    file, page = tmp_path / "small.toml", tmp_path / "page.html"
    file.write_text(SMALL)
    change = "pools.two.chips=64"
    result = run(str(file), "--set", change, "--report", str(page), "--json")
    assert result.exit_code == 0, result.output
    found, moved = json.loads(result.stdout)
    text = words_of(page.read_text("utf-8"))
    assert "What moved" in text and "pools.two.chips" in text
    assert "If deliveries come later" in text and moved["moved"][0]["name"] in text
    chat = next(line for line in found["lines"] if line["use"] == "chat")
    assert sum(chat["refused"]) > 0 and chat["why"] in text
    used = {pool["pool"]: pool["used"] for pool in found["pools"]}
    for pool, layers in drawn_layers(page.read_text("utf-8")).items():
        if pool in used:
            sums = np.sum([values for _, _, values in layers], axis=0)
            assert sums == pytest.approx(used[pool], rel=1e-3)


def test_an_old_answer_that_lacks_a_line_still_makes_a_page() -> None:
    """Shares of a use that has no line, as where an answer was put together by hand."""
    found: Allocation = replace(FOUND["plain"], lines=FOUND["plain"].lines[:2])
    assert "use 7" in words_of(allocated_page(found, None, ""))
