"""The report page: it stands alone, escapes what it is given, and stays small."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runs import PAGES, page_of, queue, run

from eke.report.axes import Axis, clock, linear, logarithmic, ticks
from eke.report.page import page
from eke.simulation.curves import cumulative, flows, level, occupancy, refusals, running, waiting
from eke.simulation.series import Windows, windows
from eke.simulation.statistics import summary
from eke.types.run import Run

VOID = {"meta", "input", "br"}
MADE = {name: page_of(name) for name in PAGES}
RECORD = Path(__file__).parents[1] / "oracles" / "record" / "page_in_browser.json"


class Reader(HTMLParser):
    """Tags that are open, every tag and attribute met, and the words between."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_stands_alone(name: str) -> None:
    text = MADE[name]
    read = Reader(text)
    assert not read.open and text.startswith("<!doctype html>")
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", text, re.S)
    assert len(scripts) == 1, "only its own script"
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text and "default-src 'none'" in text
    for tag, attributes in read.tags:
        assert tag not in ("link", "img", "iframe", "object", "base", "form", "a")
        assert not [key for key in attributes if key.startswith("on") or key in ("src", "href")]
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert "NaN" not in text.replace("Number", "") and not re.search(r"[\" ,]nan\b", text)


@pytest.mark.parametrize("name", PAGES)
def test_charts_are_well_formed_and_say_what_they_are(name: str) -> None:
    charts = re.findall(r"<svg.*?</svg>", MADE[name], re.S)
    assert len(charts) == len(re.findall("<figure", MADE[name]))
    for chart in charts:
        tree = ElementTree.fromstring(chart)
        assert tree.find("title") is not None and tree.find("desc") is not None
        wide, high = map(float, tree.attrib["viewBox"].split()[2:])
        for circle in tree.iter("circle"):
            assert 0 <= float(circle.attrib["cx"]) <= wide
            assert 0 <= float(circle.attrib["cy"]) <= high
        for path in tree.iter("path"):
            for x, y in re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", path.attrib["d"]):
                assert 0 <= float(x) <= wide and 0 <= float(y) <= high


def test_every_figure_has_its_numbers_as_a_table() -> None:
    for text in MADE.values():
        for figure in re.findall(r"<figure.*?</figure>", text, re.S):
            assert figure.count("<table") == 1 and figure.count("<td") >= 1


def test_names_of_others_stay_words() -> None:
    evil = "<script>alert(1)</script>\"'&"
    made = queue(300, label=evil, tenants=3)
    names = {name: tuple(f"{evil}{each}" for each in of) for name, of in made.names.items()}
    made = Run(
        label=evil,
        end=made.end,
        requests=made.requests,
        timeline=made.timeline,
        names=names,
        source=evil,
        remarks=(evil,),
        facts={evil: 1.0},
    )
    found = summary(made, ttft=1.0)
    for text in (page([made], [found], evil, evil), page([made] * 2, [found] * 2, evil, evil)):
        read = Reader(text)
        assert [tag for tag, _ in read.tags].count("script") == 1
        assert "<script>alert" not in text and escape("<script>alert") in text
        assert evil in read.words and not read.open


def test_a_page_stays_small_whatever_the_run() -> None:
    many = queue(20_000, label="x" * 5000, tenants=200, replicas=300, samples=300)
    names = {name: tuple("y" * 3000 + each for each in of) for name, of in many.names.items()}
    many = Run(
        label=many.label,
        end=many.end,
        requests=many.requests,
        timeline=many.timeline,
        names=names,
    )
    found = summary(many, ttft=1.0)
    assert len(page([many] * 10, [found] * 10, "many")) < 1_500_000
    assert all(len(text) < 700_000 for text in MADE.values())


def test_what_is_said_is_what_was_counted() -> None:
    made = queue(2000)
    read = Reader(page([made], [summary(made, ttft=2.0)], "title", "eke simulate x"))
    words = read.words.replace("\u00a0", " ")
    assert "86.9 % of 2,000 requests were answered as promised: first token 444 ms (p50)" in words
    for said in ("Promised: first token within 2 s", "queue is full", "eke simulate x", "tenant 2"):
        assert said in words
    assert "service times are drawn, not computed" in words


def test_several_are_side_by_side_and_can_be_hidden() -> None:
    text = MADE["five policies"]
    for i in range(5):
        assert f'id="show-{i}"' in text and f"ink-{i} run-{i}" in text
    assert text.count(" best") > 10
    assert 'id="show-8"' not in MADE["ten policies"] and "first 8 runs" in MADE["ten policies"]
    assert "<fieldset" not in MADE["one run"]


def test_a_reason_has_one_colour_in_all_runs() -> None:
    """Even where another reason is more frequent in one of them."""
    key = re.findall(r'<li><i class="(reason-\d)"></i>([^<]*)</li>', MADE["five policies"])
    assert len(key) > 4 and len(set(key)) == len({name for _, name in key})


def test_the_same_run_gives_the_same_page() -> None:
    assert page_of("five policies") == MADE["five policies"]


def test_the_browser_found_no_fault() -> None:
    """What tests/oracles/page_in_browser.py wrote down; run it after a change of the page."""
    record = json.loads(RECORD.read_text())
    assert record["pages"].keys() == PAGES.keys()
    for made in record["pages"].values():
        assert len(made["views"]) == 6
        assert not [fault for view in made["views"].values() for fault in view["faults"]]


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-9, 1e7), st.floats(1, 1e9))
def test_ticks_lie_on_their_axis(least: float, factor: float) -> None:
    for axis in (logarithmic(least, least * factor, 0, 300), linear(least * factor, 300, 0)):
        told = ticks(axis)
        places = [float(axis.at(tick.value)) for tick in told]
        assert 1 <= len(told) <= 12 and len({tick.words for tick in told}) == len(told)
        assert all(axis.low * 0.999 <= tick.value <= axis.high * 1.001 for tick in told)
        assert places == sorted(places, reverse=axis.start > axis.end)


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-6, 1e9))
def test_a_clock_has_a_few_round_ticks(length: float) -> None:
    _, _, told = clock(length)
    assert 1 <= len(told) <= 11 and told[0].value == 0 and told[-1].value <= length * 1.0001


def test_an_axis_places_a_number_as_it_does_an_array() -> None:
    axis = Axis(low=1.0, high=100.0, start=0.0, end=200.0, log=True)
    values = np.array([0.1, 1.0, 10.0, 100.0, 1e9])
    assert axis.at(values).tolist() == pytest.approx([0, 0, 100, 200, 200])
    assert [float(axis.at(value)) for value in values] == axis.at(values).tolist()


def test_a_short_curve_keeps_both_ends_and_the_tail() -> None:
    values = np.random.default_rng(1).exponential(1, 100_000)
    x, y = cumulative(np.append(values, np.nan))
    assert len(x) <= 170 and x[0] == values.min() and x[-1] == values.max() and y[-1] == 1
    assert float(np.interp(0.99, y, x)) == pytest.approx(np.quantile(values, 0.99), rel=1e-3)
    assert all(float(np.mean(values <= a)) == pytest.approx(b) for a, b in zip(x, y, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=12), st.integers(1, 9))
def test_levels_are_those_of_every_moment(stretches: list[tuple[int, int]], count: int) -> None:
    at = Windows(start=0, end=36, count=count)
    start, end = np.array(stretches, dtype=float).reshape(-1, 2).T
    found = level(at, start, end)
    moments = (np.arange(36 * 20) + 0.5) / 20  # between the whole numbers nothing changes
    there = (start[:, None] <= moments) & (moments < end[:, None])
    slowly = there.sum(axis=0).reshape(count, -1) if (36 * 20) % count == 0 else None
    if slowly is not None:
        assert found.mean == pytest.approx(slowly.mean(axis=1), abs=0.03 * len(stretches) + 1e-9)
        assert (found.high >= slowly.max(axis=1)).all() and (found.low <= slowly.min(axis=1)).all()


def test_flows_and_refusals_add_up() -> None:
    made = queue(2000, refuse=0.3)
    at = windows(made, 50)
    rates, found = flows(made, at), summary(made)
    for name, outcome in (("finished", "finished"), ("refused", "refused")):
        assert rates[name].sum() * at.width == pytest.approx(found.counts[outcome])
    assert rates["arrived"].sum() * at.width == pytest.approx(2000)
    assert {name: of.sum() for name, of in refusals(made, at).items()} == {
        each.reason: each.count for each in found.refusals
    }
    assert waiting(made, at).high.max() >= 1 and running(made, at).high.max() == 2


def test_many_replicas_are_drawn_in_bands() -> None:
    made = queue(200, replicas=100)
    at = windows(made, 10)
    found = occupancy(made, at, 64)
    assert found.shape == (64, 10) and np.nanmax(found) == made.timeline["cache"].max()
    assert occupancy(run(1, arrived=1.0), at, 64).shape == (0, 10)
