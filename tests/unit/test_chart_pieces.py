"""Pieces of pages: they hold what they are given, escape it, stay inside, and do not overlap."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html import escape
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.pieces import EVIL, holders, pieces_page, weeks
from tests.unit.test_page import Reader

from eke.errors import BadInput
from eke.report.areas import areas, key_of, layers
from eke.report.axes import logarithmic, ticks
from eke.report.charts import LABELS, LETTER, RIGHT, WIDE
from eke.report.periods import over_dates, stepped
from eke.report.scatter import Spot, across_values, scatter, up_values
from eke.report.spans import Piece, Ranged, parts, ranges
from eke.report.tornado import Swing, ranked, tornado
from eke.types.need import Span

PAGES = {name: pieces_page(name) for name in ("plain", "evil")}
DATES = st.dates(date(1950, 1, 1), date(2200, 1, 1))


def charts(text: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(each) for each in re.findall(r"<svg.*?</svg>", text, re.S)]


@pytest.mark.parametrize("name", PAGES)
def test_every_piece_is_well_formed_told_and_inside(name: str) -> None:
    assert len(charts(PAGES[name])) == 10 and not Reader(PAGES[name]).open
    for tree in charts(PAGES[name]):
        assert tree.find("title") is not None and tree.find("desc") is not None
        high = float(tree.attrib["viewBox"].split()[3])
        for path in tree.iter("path"):
            for x, y in re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", path.attrib["d"]):
                assert 0 <= float(x) <= WIDE and 0 <= float(y) <= high
        for each in tree.iter("rect"):
            left, wide = float(each.attrib["x"]), float(each.attrib["width"])
            assert wide >= 0 and 0 <= left <= left + wide <= WIDE
        for circle in tree.iter("circle"):
            assert 0 <= float(circle.attrib["cx"]) <= WIDE
    assert "nan" not in PAGES[name] and PAGES[name].count("<table") == 10


def test_names_of_others_stay_words_and_are_cut() -> None:
    text = PAGES["evil"]
    assert "<script>alert" not in text and escape("<script>alert") in text
    assert [tag for tag, _ in Reader(text).tags].count("script") == 1
    assert EVIL not in Reader(text).words and EVIL[:40] in Reader(text).words
    assert "y" * 301 not in Reader(text).words and len(text) < 200_000


def heights(svg: str) -> list[np.ndarray]:
    """What each layer takes of the picture in each period [pixels]."""
    found = []
    for path in re.findall(r'<path class="area[^>]* d="M([^"]*)z"', svg):
        places = np.array([[float(n) for n in pair.split(",")] for pair in path.split("L")])
        half = len(places) // 2
        found.append((places[half:][::-1] - places[:half])[::2, 1])
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 14), st.integers(1, 30))
def test_areas_are_as_high_as_what_is_held(names: int, periods: int) -> None:
    held = holders([f"use {i}" for i in range(names)], periods)
    made = layers(held)
    assert sum(each.values for each in made) == pytest.approx(sum(held.values()))
    assert len(made) == min(names, 9) and len({each.style for each in made}) == len(made)
    svg = areas("t", "a", made, weeks(periods), "chips")
    drawn = [each for each in made if each.values.any()]
    seen = heights(svg)
    assert len(seen) == len(drawn) and key_of(made).count("<li>") == len(drawn)
    most = max(float(each.values.max()) for each in drawn) if drawn else 1.0
    scale = max((float(each.max()) for each in seen), default=1.0) / most
    for pixels, each in zip(seen, drawn, strict=True):
        assert pixels == pytest.approx(each.values * scale, abs=0.21)


def test_the_largest_are_named_and_in_the_order_given() -> None:
    held = {f"use {i}": np.full(3, float(i % 7)) for i in range(12)}
    made = layers(held)
    assert [each.name for each in made[:8]] == sorted(
        (each.name for each in made[:8]), key=lambda name: list(held).index(name)
    )
    named = [float(each.values.sum()) for each in made[:8]]
    others = [float(v.sum()) for n, v in held.items() if n not in {m.name for m in made}]
    assert min(named) >= max(others) and made[8].name == "4 others"


def test_areas_refuse_what_cannot_be_stacked() -> None:
    for values in (np.ones(3), np.array([1.0, -1.0]), np.array([1.0, np.nan])):
        with pytest.raises(BadInput):
            areas("t", "a", layers({"use": values}), weeks(2), "chips")


@settings(max_examples=150, deadline=None)
@given(DATES, st.integers(1, 1000) | st.integers(1, 30_000), st.sampled_from([RIGHT, LABELS]))
@example(date(2025, 1, 1), 149, LABELS)
def test_dates_have_a_few_ticks_that_do_not_meet(start: date, length: int, right: float) -> None:
    across = over_dates([start, start + timedelta(days=length)], right)
    told = across.ticks
    assert len(told) <= 8 and (told or length < 10)
    places = [float(across.axis.at(tick.value)) for tick in told]
    words = [LETTER * len(tick.words) for tick in told]
    for i in range(len(told) - 1):
        assert places[i + 1] - places[i] > (words[i] + words[i + 1]) / 2
    for tick in told:
        assert across.axis.low <= tick.value <= across.axis.high
        day = date.fromordinal(int(tick.value))
        assert f"{day.year}" in tick.words + across.name or "–" in across.name


def test_a_stepped_line_holds_its_value_through_each_period() -> None:
    edges = ["2027-01-01", "2027-02-01", "2027-04-01"]
    x, y = stepped(edges, [3.0, 5.0])
    assert y.tolist() == [3, 3, 5, 5] and x[0] == date(2027, 1, 1).toordinal()
    assert x[1] == x[2] == date(2027, 2, 1).toordinal()
    for wrong in (["2027-01-01"], ["2027-02-01", "2027-01-01"], ["soon", "later"]):
        with pytest.raises(BadInput):
            stepped(wrong, [1.0])
    with pytest.raises(BadInput):
        stepped(edges, [1.0])


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-9, 1e9), st.floats(1, 1e9))
def test_plain_logarithmic_ticks_are_plain_numbers(least: float, factor: float) -> None:
    axis = logarithmic(least, least * factor, 0, 300, "1")
    told = ticks(axis)
    assert 1 <= len(told) <= 12 and len({tick.words for tick in told}) == len(told)
    assert all(axis.low * 0.999 <= tick.value <= axis.high * 1.001 for tick in told)
    assert not [tick for tick in told if re.search(r"[a-z]s$|\bs\b|min|day", tick.words)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 99), st.floats(0.1, 99)), min_size=1, max_size=14))
def test_names_of_points_never_overlap(places: list[tuple[float, float]]) -> None:
    spots = [
        Spot(x=x, y=y, name=f"a design {i}", style="ink-1", told="", label=True)
        for i, (x, y) in enumerate(places)
    ]
    axes = across_values([s.x for s in spots], "x"), up_values([s.y for s in spots]), "y"
    tree = ElementTree.fromstring(scatter("t", "a", spots, axes))
    named = [e for e in tree.iter("text") if e.attrib.get("class") == "value"]
    assert named or len(places) > 1
    boxes = []
    for each in named:
        left, foot = float(each.attrib["x"]), float(each.attrib["y"])
        wide = LETTER * len(each.text or "")
        left -= wide if each.attrib.get("text-anchor") == "end" else 0
        boxes.append((left, foot - 10, left + wide, foot))
    for one, other in combinations(boxes, 2):
        across = min(one[2], other[2]) - max(one[0], other[0])
        down = min(one[3], other[3]) - max(one[1], other[1])
        assert across <= 0.1 or down <= 0.1


def swing(name: str, low: float, high: float) -> Swing:
    return Swing(name=name, low=low, high=high, words=(f"{low:g}", f"{high:g}"))


def test_a_tornado_is_ranked_and_its_bars_begin_at_the_middle() -> None:
    swings = [swing("small", 9.0, 11.0), swing("large", 2.0, 15.0), swing("one side", 12.0, 13.0)]
    assert [each.name for each in ranked(swings)] == ["large", "small", "one side"]
    tree = ElementTree.fromstring(tornado("t", "a", (10.0, "10"), swings, "years"))
    bars = [
        (float(e.attrib["x"]), float(e.attrib["x"]) + float(e.attrib["width"]))
        for e in tree.iter("rect")
    ]
    middle = bars[0][1]  # the longest side first: from 2 to 10
    assert all(min(abs(a - middle), abs(b - middle)) < 0.11 for a, b in bars)
    unit = (bars[0][1] - bars[0][0]) / 8
    lengths = sorted(b - a for a, b in bars)
    assert lengths == pytest.approx(sorted(unit * n for n in (8, 5, 1, 1, 3, 2)), abs=0.25)
    words = [e.text for e in tree.iter("text")]
    assert "15" in words and "13" in words and "12" not in words  # inner end told on hovering
    assert tornado("t", "a", (0.0, "0"), [swing("nothing", 0.0, 0.0)], "x")


def test_bars_are_as_long_as_their_values() -> None:
    rows = [
        Ranged(name=f"r{v:g}", span=Span(low=v / 2, likely=v, high=2 * v), words="w")
        for v in (1.0, 4.0)
    ]
    wide = [float(w) for w in re.findall(r'<rect[^>]*width="([\d.]+)"', ranges("t", "a", rows))]
    assert wide[1] == pytest.approx(4 * wide[0], rel=0.01)
    made = [("a", [Piece(value=v, style="ink-0", told="") for v in (1.0, 2.0, 3.0)], "6")]
    wide = [float(w) for w in re.findall(r'<rect[^>]*width="([\d.]+)"', parts("t", "a", made))]
    assert [w / wide[0] for w in wide] == pytest.approx([1, 2, 3], rel=0.01)
    assert ranges("t", "a", []) and parts("t", "a", [])
