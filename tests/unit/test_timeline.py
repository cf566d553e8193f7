"""What a timeline looks like in a trace viewer and as a picture."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.conftest import pool_of

from eke import Need, Serve, Train, fleet, model, need
from eke.catalog.efficiencies import efficiencies
from eke.errors import BadInput
from eke.physics.scenarios import likely
from eke.physics.timeline import MOST_SLOTS, Timeline, timeline
from eke.report.engine_step import step_picture
from eke.report.timeline import schedule_picture
from eke.report.trace import trace_json
from eke.types.fleet import Fleet
from eke.types.plan import Plan

JOB = Train(model=model("llama-3.1-70b"), tokens=1e12)
FLEET = Fleet(pools=(pool_of("h100-sxm", 8192),))
COMMAND = "eke need train llama-3.1-70b --on 256xh100-sxm --tokens 1T"
CASES: dict[str, dict[str, Any]] = {
    "four stages": {"pipeline": 4, "batch": 32},
    "a second line of chunks": {"pipeline": 8, "virtual": 2, "batch": 100},
    "weights apart": {"pipeline": 4, "schedule": "zero-bubble", "recompute": "full", "batch": 32},
    "many": {"pipeline": 16, "batch": 4 * 2048},
    "many, there and back": {"pipeline": 8, "schedule": "gpipe", "batch": 1024},
    "no pipeline": {"batch": 32, "shard": 3},
    "one micro-batch": {"batch": 4},
}


def made(name: str) -> Timeline:
    plan = Plan(**{"chip": "h100-sxm", "tensor": 8, "data": 4, **CASES[name]})
    return timeline(JOB, plan, FLEET, likely(efficiencies("hopper", "training")))


@pytest.mark.parametrize("name", CASES)
def test_a_trace_is_in_the_trace_event_format(name: str) -> None:
    """Fields of the Trace Event Format's JSON object: complete events and metadata events."""
    found = made(name)
    trace = json.loads(trace_json(found, COMMAND))
    assert set(trace) == {"traceEvents", "displayTimeUnit", "otherData"}
    assert trace["displayTimeUnit"] in ("ms", "ns")
    assert trace["otherData"]["command"] == COMMAND
    assert all(isinstance(words, str) for words in trace["otherData"].values())
    named, rows = set(), defaultdict(list)
    for event in trace["traceEvents"]:
        assert isinstance(event["name"], str) and isinstance(event["args"], dict)
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
            if event["name"] == "thread_name":
                named.add(event["tid"])
            continue
        assert event["ph"] == "X" and event["cat"] and event["ts"] >= 0 and event["dur"] >= 0
        rows[event["tid"]].append((round(event["ts"] * 1e3), round(event["dur"] * 1e3)))
    assert named == set(rows)
    for row in rows.values():  # in whole nanoseconds, as viewers keep them
        assert all(start + long <= after for (start, long), (after, _) in pairwise(sorted(row)))
    last = max(start + long for row in rows.values() for start, long in row)
    assert last / 1e9 == pytest.approx(found.length)


def test_a_long_step_says_what_it_leaves_out() -> None:
    found = made("many")
    assert found.cuts and len(found.slots) <= 1.01 * MOST_SLOTS
    trace = json.loads(trace_json(found, COMMAND))
    assert any("left out from" in words for words in trace["otherData"])
    assert any("left out" in event["name"] for event in trace["traceEvents"])


@pytest.mark.parametrize("name", CASES)
def test_a_picture_stands_alone_and_keeps_its_words_apart(name: str) -> None:
    found = made(name)
    drawing = schedule_picture(found)
    root = ElementTree.fromstring(drawing)
    wide, high = float(root.get("width", 0)), float(root.get("height", 0))
    assert "href" not in drawing and "script" not in drawing
    words = [each for each in root.iter() if each.tag.endswith("text")]
    lines = defaultdict(list)
    for each in words:
        text, x, y = each.text or "", float(each.get("x", 0)), float(each.get("y", 0))
        long = 0.57 * float(each.get("font-size", 12)) * len(text)
        anchor = each.get("text-anchor") or ("middle" if text.isdigit() else "start")
        left = x - {"start": 0.0, "middle": long / 2, "end": long}[anchor]
        assert left >= 0 and left + long <= wide and 0 < y < high, text
        if not text.isdigit():  # numbers stand inside their bars
            lines[y].append((left, left + long, text))
    for row in lines.values():
        assert all(one[1] <= other[0] for one, other in pairwise(sorted(row))), row
    said = " ".join(each.text or "" for each in words)
    assert "waiting" in said if found.stages > 1 else "waiting" not in said
    assert ("alike" in said) == (found.micro_batches > 64)
    assert all(remark.split(":")[0][:60] in said for remark in found.remarks)
    assert len(re.findall(r"stage \d+", said)) == found.stages


def test_where_the_schedule_departs_from_the_closed_form_the_picture_says_so() -> None:
    assert "7.6 % longer" in schedule_picture(made("a second line of chunks"))
    assert "by the closed form" in schedule_picture(made("weights apart"))
    assert "closed form" not in schedule_picture(made("four stages"))


def test_an_engine_step_shows_every_part_with_its_span() -> None:
    job = Serve(model=model("llama-3.1-70b"), rate=5, prompt=2000, answer=500)
    found = need(job, fleet=fleet("8xh100-sxm"))
    assert isinstance(found, Need)
    root = ElementTree.fromstring(step_picture(found))
    said = [each.text or "" for each in root.iter() if each.tag.endswith("text")]
    parts = [part for part in found.parts if part.of == "tpot"]
    assert len(parts) > 4 and all(part.name in said for part in parts)
    bars = [each for each in root.iter() if each.get("stroke") == "white"]
    assert len(bars) == len(parts)
    widths = [float(each.get("width", 0)) for each in bars]
    total = sum(part.span.likely for part in parts)
    for part, each in zip(parts, widths, strict=True):
        assert each / sum(widths) == pytest.approx(part.span.likely / total, abs=1e-3)


def test_only_serving_has_an_engine_step() -> None:
    found = need(Train(model=model("llama-3.1-8b"), tokens=1e9), fleet=fleet("64xh100-sxm"))
    assert isinstance(found, Need)
    with pytest.raises(BadInput, match="only serving"):
        step_picture(found)
