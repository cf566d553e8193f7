"""What the small YAML writer writes, PyYAML reads back unchanged."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml as reader
from hypothesis import given
from hypothesis import strategies as st

from eke.launch import yaml

WORDS = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.sampled_from(
        ["yes", "No", "null", "~", "1e3", "0x1F", "1:30", "- a", "a: b", "#", "=", "<<"]
    ),
    st.sampled_from(["2026-11-25", ".5", "+1", "a:", ": a", "{", "[", "@x", "`", "!t", "&a", "*a"]),
    st.sampled_from(
        ["nvcr.io/x:1.3.1", "hf://a/b", "", " a", "a ", "a\nb", "\t", "\x85", "\u2028"]
    ),
)
SCALARS = st.one_of(
    WORDS, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS,
    lambda inside: st.one_of(
        st.lists(inside, max_size=4), st.dictionaries(WORDS, inside, max_size=4)
    ),
    max_leaves=20,
)


@given(value=VALUES, header=st.lists(st.text()))
def test_it_reads_back_as_it_was(value: Any, header: list[str]) -> None:
    assert reader.safe_load(yaml.text(value, header)) == value


@given(values=st.lists(st.dictionaries(WORDS, VALUES, min_size=1), min_size=1, max_size=3))
def test_several_documents_read_back(values: list[Any]) -> None:
    assert list(reader.safe_load_all(yaml.documents(values, ["head"]))) == values


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_endless_numbers(value: float) -> None:
    assert reader.safe_load(yaml.text([value])) == [value]


def test_a_comment_stays_one() -> None:
    assert yaml.comments(["eke plan\nmodel: other"]) == "# eke plan model: other\n"


def test_a_list_of_mappings_reads_well() -> None:
    value = {"spec": {"containers": [{"name": "main", "args": ["a", "-b"], "env": []}]}}
    assert yaml.text(value) == (
        'spec:\n  containers:\n  - name: main\n    args:\n    - a\n    - "-b"\n    env: []\n'
    )
