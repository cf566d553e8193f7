"""Whatever is sent is understood or refused with its name; nothing else ever happens."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from eke.gateway.refusal import Refusal
from eke.gateway.responses.answer import begun
from eke.gateway.responses.ask import read
from eke.gateway.responses.bodies import chat
from eke.gateway.responses.chunks import chunks_of
from eke.gateway.responses.events import Events
from eke.gateway.responses.ids import Ids
from eke.gateway.responses.items import REFERENCE, items_of
from eke.gateway.responses.messages import messages_of
from eke.gateway.responses.speech import Speech
from eke.gateway.stream import Broken

BODY: dict[str, Any] = {
    "model": "m",
    "input": [
        {"role": "developer", "content": "a"},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "b"},
                {"type": "input_image", "image_url": "http://x", "detail": "low"},
                {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
            ],
        },
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "c"}],
            "content": [{"type": "reasoning_text", "text": "d"}],
            "encrypted_content": "e",
        },
        {"role": "assistant", "content": [{"type": "output_text", "text": "f"}]},
        {"type": "function_call", "call_id": "1", "name": "n", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "1",
            "output": [{"type": "input_text", "text": "g"}],
        },
        {"type": "compaction", "encrypted_content": "eke1.eJwDAAAAAAE="},
    ],
    "instructions": "h",
    "tools": [{"type": "function", "name": "n", "parameters": {}, "strict": True}],
    "tool_choice": {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "n"}],
    },
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "metadata": {"a": "b"},
    "include": ["message.output_text.logprobs"],
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
    "background_options": {"completion_window": "2h"},
    "conversation": {"id": "conv_1"},
    "truncation": "auto",
    "top_logprobs": 3,
    "top_k": 5,
}
CHUNK: dict[str, Any] = {
    "choices": [
        {
            "index": 0,
            "delta": {
                "content": "a",
                "reasoning_content": "b",
                "refusal": "c",
                "tool_calls": [
                    {"index": 0, "id": "d", "function": {"name": "e", "arguments": "f"}}
                ],
            },
            "logprobs": {"content": [{"token": "a", "logprob": -1.0, "top_logprobs": []}]},
            "finish_reason": None,
        }
    ],
    "usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}},
}

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 1 << 70)
    | st.floats(allow_nan=False)
    | st.text(max_size=4)
    | st.sampled_from(["text", "message", "n", "1", "none", "item_reference"]),
    lambda deeper: (
        st.lists(deeper, max_size=2) | st.dictionaries(st.text(max_size=3), deeper, max_size=2)
    ),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a value."""
    found = [path]
    pairs: Any = []
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, inner in pairs:
        found += places(inner, (*path, key))
    return found


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with something else in one place; nothing there for ..."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and new is ...:
        del copy[path[0]]
    else:
        copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


@st.composite
def broken(draw: st.DrawFn, whole: dict[str, Any]) -> Any:
    """A value with up to three things in it missing, or junk."""
    value: Any = whole
    for _ in range(draw(st.integers(0, 3))):
        there = places(value)
        path = draw(st.sampled_from(there))
        value = put(value, path, draw(junk | st.just(...)) if path else draw(junk))
    return value


@given(broken(BODY))
@example(BODY)
def test_a_request_is_read_or_refused(body: Any) -> None:
    data = json.dumps(body).encode()
    try:
        ask = read(data)
        items = [item for item in items_of(ask.input, Ids()) if item["type"] != REFERENCE]
        messages = messages_of(items, ask.instructions)
        _, sent = chat(ask, messages, "s")
    except Refusal as refusal:
        assert refusal.status in (400, 404) and refusal.message
        return
    assert json.loads(sent)["messages"] == json.loads(msgspec.json.encode(messages))
    assert json.loads(msgspec.json.encode(begun(ask, "resp_1", 0.0, True)))["model"] == ask.model


@given(broken(CHUNK))
@example(CHUNK)
def test_a_chunk_is_heard_or_breaks_the_stream(chunk: Any) -> None:
    speech = Speech(Events(), Ids(), logprobs=True, sealed=True)
    try:
        chunks = chunks_of(b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n")
    except Broken:
        return
    told = [each for chunk in chunks for each in speech.hear(chunk)] + speech.end()
    for each in told:
        json.loads(each.partition(b"data: ")[2])


@given(st.binary(max_size=60))
def test_bytes_are_no_request(data: bytes) -> None:
    try:
        read(data)
    except Refusal as refusal:
        assert refusal.status == 400
