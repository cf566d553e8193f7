"""What holds for every page that `--report` writes."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from eke.report.charts import WIDE
from tests.unit.test_page import Reader


def check_alone(text: str, rounding: float = 0.0) -> None:
    """A page is whole, loads nothing, and its charts stay inside. rounding: of the sum of a bar's
    places, which have one decimal each."""
    read = Reader(text)
    assert not read.open and [tag for tag, _ in read.tags].count("script") == 1
    assert "src=" not in text and "href=" not in text
    assert not re.search(r"[\" ,](nan|inf)\b", text)
    charts = re.findall(r"<svg.*?</svg>", text, re.S)
    assert len(charts) == text.count("<figure") >= 2
    for each in charts:
        tree = ElementTree.fromstring(each)
        assert tree.find("title") is not None and tree.find("desc") is not None
        high = float(tree.attrib["viewBox"].split()[3])
        for path in tree.iter("path"):
            for x, y in re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", path.attrib["d"]):
                assert 0 <= float(x) <= WIDE and 0 <= float(y) <= high
        for bar in tree.iter("rect"):
            left, wide = float(bar.attrib["x"]), float(bar.attrib["width"])
            assert wide >= 0 and 0 <= left <= left + wide <= WIDE + rounding
