"""Whatever JSON comes, the stand-in answers or refuses it; it never fails."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.standins import chat, standin, told

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
SCHEMA = {
    "type": "object",
    "properties": {
        "whole": {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 2},
        "part": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 5, "multipleOf": 0.5},
        "text": {"type": ["string", "null"], "minLength": 2, "maxLength": 9, "format": "date"},
        "list": {"type": "array", "items": {"const": 1}, "prefixItems": [{}], "minItems": 3},
        "one": {"anyOf": [{"$ref": "#/$defs/a"}, {"enum": ["x", 2]}]},
        "all": {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"type": "object"}]},
    },
    "required": ["whole", "other"],
    "$defs": {"a": {"type": "boolean"}},
}
TOOL = {"type": "function", "function": {"name": "book", "parameters": SCHEMA}}
PARTS = [
    {"type": "text", "text": "What is it?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
]
TALK: dict[str, Any] = {
    "model": "toy", "max_tokens": 40, "min_tokens": 1, "ignore_eos": False, "stop": ["x"], "n": 1,
    "seed": 3, "priority": 2, "stream": False, "stream_options": {"include_usage": True},
}  # fmt: skip
TURNS = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
    {"role": "user", "content": PARTS[:2]},
]
BOOK = {"type": "function", "function": {"name": "book"}}
SHAPE = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
TOLD: list[tuple[str, dict[str, Any]]] = [
    (CHAT, {**TALK, "messages": TURNS, "max_completion_tokens": 30}),
    (CHAT, {**TALK, "messages": [{"role": "user", "content": PARTS}]}),
    (CHAT, {**TALK, "messages": TURNS, "tools": [TOOL], "tool_choice": "required"}),
    (CHAT, {**TALK, "messages": TURNS, "tools": [TOOL], "tool_choice": BOOK}),
    (CHAT, {**TALK, "messages": TURNS, "response_format": SHAPE}),
    (COMPLETIONS, {**TALK, "prompt": ["hello"]}),
    (COMPLETIONS, {**TALK, "prompt": [[1, 2, 3]]}),
    (EMBEDDINGS, {"model": "toy", "input": ["a", [1, 2]], "encoding_format": "base64"}),
    (EMBEDDINGS, {"model": "toy", "input": [1, 2], "dimensions": 8}),
]
NAMES = sorted({name for _, body in TOLD for name in body} | set(SCHEMA["properties"]))
WORDS = [*NAMES, *SCHEMA, "minimum", "const", "#", "#/$defs/a", "toy", "user", "required"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**20, -(10**20), 10**400, 1e30, -1e30, 1e308, 2**63, 2**63 - 1, 10**9])
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab", max_size=2) | st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Everything in a JSON value: in what it lies, and where there."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    found = [(value, at) for at, _ in inside]
    deeper = [each[at] for each, at in found if isinstance(each[at], dict | list)]
    return [*found, *(place for each in deeper for place in places(each))]


@st.composite
def mangled(draw: st.DrawFn) -> tuple[str, Any]:
    """A path and a body of which a few things are others than they should be, or are not there."""
    path, body = deepcopy(draw(st.sampled_from(TOLD)))
    for _ in range(draw(st.integers(1, 3))):
        if there := places(body):
            holder, at = draw(st.sampled_from(there))
            holder[at] = draw(JSON)
            if draw(st.integers(0, 9)) == 0:
                del holder[at]
    return path, body


def check(path: str, body: Any) -> None:
    """It is answered or refused, and nothing is left of it."""
    app = standin(pace=1e9, faults=False)
    reply = told(app, path, body)
    assert not reply.cut
    if reply.status != 200:
        assert 400 <= reply.status < 500, reply.body
        assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
    assert not (app.driver.engine.busy or app.driver.waiting)


@pytest.mark.parametrize(("path", "body"), TOLD)
def test_what_is_mangled_makes_sense_before(path, body):
    reply = told(standin(pace=1e9), path, body)
    assert reply.status == 200 or "no encoder for sound" in reply.json()["error"]["message"]


@settings(max_examples=400)
@given(mangled())
def test_no_body_makes_it_fail(asked):
    check(*asked)


@given(
    st.sampled_from([CHAT, COMPLETIONS, EMBEDDINGS]), st.dictionaries(st.sampled_from(NAMES), JSON)
)
def test_no_fields_make_it_fail(path, fields):
    check(path, {**fields, "model": "toy"})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat(tools=[TOOL], tool_choice={"function": {"name": []}})),
        (CHAT, chat(max_tokens=10**4299)),
        (EMBEDDINGS, {"model": "toy", "input": [True]}),
        (EMBEDDINGS, {"model": "toy", "input": ["a", 1]}),
        (EMBEDDINGS, {"model": "toy", "input": "a", "dimensions": 10**4299}),
    ],
)
def test_what_cannot_be_read_is_refused(path, body):
    assert told(standin(), path, body).status == 400


def test_a_sound_of_an_odd_format_is_still_a_sound():
    sound = [{"type": "input_audio", "input_audio": {"data": "x", "format": []}}]
    assert "no encoder for sound" in told(standin(), CHAT, chat(sound)).json()["error"]["message"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 1e30},
        {"const": 10**30},
        {"required": [None]},
        {"type": "array", "items": {"minLength": 1e9}, "minItems": 1e9},
        {"type": "array", "items": {"const": "x" * 10_000_000}, "minItems": 1e9},
    ],
)
def test_a_schema_that_asks_for_too_much_is_refused_or_cut(schema):
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    reply = told(standin(), CHAT, chat(response_format=shape, max_tokens=5))
    assert reply.status == 200 or "no JSON schema" in reply.json()["error"]["message"]


@pytest.mark.parametrize("asked", ["!status 7", "!status 999", "!len " + "9" * 5000])
def test_faults_that_cannot_be_are_not_heeded(asked):
    assert told(standin(), CHAT, chat(asked)).status == 200


def test_what_goes_wrong_in_here_is_told_in_a_line_and_nobody_waits(caplog):
    app = standin()

    async def wrong(receive: Any, send: Any) -> None:
        raise KeyError("a user's words")

    app._routes["POST", CHAT] = wrong
    reply = told(app, CHAT, chat())
    assert reply.status == 500
    assert reply.json()["error"]["message"] == "the engine failed: KeyError."
    assert "KeyError in " in caplog.text and "test_standin_bodies.py:" in caplog.text
    assert len(caplog.text.splitlines()) == 1 and "words" not in caplog.text
