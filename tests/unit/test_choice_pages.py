"""Pages about chips and designs: they are whole, say what the record says, and escape names."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.choices import CHOICES, DESIGNS, EVIL, choice, designs
from tests.page_checks import check_alone
from tests.unit.test_page import Reader

from eke.report.axes import around, ticks
from eke.report.chip_choice import chance, choice_words, signed
from eke.report.chip_page import chip_page
from eke.report.design_page import design_page
from eke.report.designs import designs_words

RECORD = Path(__file__).parents[1] / "oracles" / "record" / "allocate_pages_in_browser.json"
PAGES = {f"chip {name}": chip_page(choice(name), f"eke {name}") for name in CHOICES}
PAGES |= {f"design {name}": design_page(designs(name), f"eke {name}") for name in DESIGNS}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_stands_alone(name: str) -> None:
    text = PAGES[name]
    check_alone(text)


def test_every_page_was_looked_at_in_a_browser() -> None:
    """Run `make oracles-browser` where one of these pages is new."""
    record = json.loads(RECORD.read_text())
    assert PAGES.keys() <= record["pages"].keys()
    for made in record["pages"].values():
        assert len(made["views"]) == 6
        assert not [fault for view in made["views"].values() for fault in view["faults"]]


@pytest.mark.parametrize("name", ["chip evil", "design evil"])
def test_names_of_others_stay_words(name: str) -> None:
    text = PAGES[name]
    assert "<script>alert" not in text and escape("<script>alert(1)</script>") in text
    assert [tag for tag, _ in Reader(text).tags].count("script") == 1
    assert EVIL[:30] in Reader(text).words


def test_a_page_says_what_the_words_say() -> None:
    """Every chance, gain and cost of the answer in the terminal stands on the page too."""
    found = choice("build")
    words = Reader(PAGES["chip build"]).words.replace("\u00a0", " ")
    for gain in found.gains:
        assert chance(gain.chance) in words and signed(gain.likely) in words
        for swing in gain.swings:
            assert signed(swing.gain_low) in words
    first = choice_words(found, "").partition(" likely")[0].strip()
    assert first[1:] in words and "slow cannot: tpot is short" in words
    assert "What would turn it" in words and "no value" not in words
    sold = Reader(PAGES["chip sold"]).words
    assert "Whether building pays off" not in sold and "What would turn it" not in sold
    assert "No single change" in Reader(PAGES["chip certain"]).words


def test_a_curve_rises_through_all_cases() -> None:
    """A point for each quantile, to the right and upward; the dashed line is none of them."""
    text = PAGES["chip build"]
    curves = re.findall(r'<path class="line ([^"]+)" data-name="[^"]+" d="M([^"]+)"', text)
    assert len(curves) == len(choice("build").gains)
    for _, way in curves:
        places = np.array([[float(n) for n in pair.split(",")] for pair in way.split("L")])
        assert len(places) == 41
        assert (np.diff(places[:, 0]) >= 0).all() and (np.diff(places[:, 1]) < 0).all()


def test_designs_are_numbered_alike_in_words_and_on_the_page() -> None:
    found = designs("plain")
    words, text = designs_words(found, "eke", ""), Reader(PAGES["design plain"]).words
    for number, each in enumerate((*found.points, *found.others), 1):
        name = f"{number} {each.shape} 814 mm2"
        assert name in words and name in text
    assert words.count("best") == len(found.points) and words.count("exists") == 2
    spots = re.findall(r'<g class="spot ([^"]+)">', PAGES["design plain"])
    assert len(spots) == 7 and sum("other" not in style for style in spots) == len(found.points)


@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12))
def test_an_axis_around_nothing_holds_both_ends(one: float, other: float) -> None:
    low, high = sorted((one, other))
    axis = around(low, high, 0, 300)
    little = 1e-8 * (axis.high - axis.low)
    assert axis.low - little <= min(low, 0) and max(high, 0) <= axis.high + little and little > 0
    values = [tick.value for tick in ticks(axis)]
    assert 2 <= len(values) <= 7
    assert 0.0 in values
