"""Laws of what the stand-in says: the same to the same, as much as it counts, as it was asked."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.standins import REPLICA, ask, chat, standin, told

from eke.standin.english import number_of, spoken
from eke.standin.schema import written
from eke.standin.tokens import pieces
from eke.standin.vectors import vector
from eke.types.record import replace

NUMBERS = st.integers(0, 2**64 - 1)
WORDS = st.text(st.characters(codec="utf-8"), max_size=200)


@given(st.text(max_size=300))
def test_tokens_of_a_text_are_the_text(text):
    assert "".join(pieces(text)) == text


@given(NUMBERS, st.integers(1, 300), st.integers(1, 300))
def test_an_answer_is_as_long_as_it_is_counted(number, least, most):
    said = spoken(number, least, most)
    assert pieces("".join(said)) == said
    assert min(least, most) <= len(said) <= most
    longer = spoken(number, 2 * least, 2 * most)
    assert longer[: len(said)] == said
    if len(said) < most:
        assert said[-1] == "."


BODIES = st.fixed_dictionaries(
    {"messages": st.lists(st.builds(lambda w: {"role": "user", "content": w}, WORDS), min_size=1)},
    optional={
        "max_tokens": st.integers(1, 80),
        "min_tokens": st.just(1),
        "ignore_eos": st.just(False),
        "seed": st.integers(0, 5),
        "stop": st.sampled_from([".", [" the", "xyz"], ["", "chips"]]),
        "response_format": st.sampled_from([{"type": "text"}, {"type": "json_object"}]),
    },
)


@given(BODIES)
def test_a_stream_says_what_comes_at_once_and_both_count_it_alike(body):
    body = {"model": "toy", **body}
    once, again = told(standin(), body=body).json(), told(standin(), body=body).json()
    used = {"stream": True, "stream_options": {"include_usage": True}}
    events = told(standin(), body={**body, **used}).events()
    said = once["choices"][0]
    assert said["message"] == again["choices"][0]["message"]
    assert events.pop() == "[DONE]"
    usage = events.pop()
    assert usage["choices"] == []
    assert usage["usage"] == once["usage"]
    deltas = [event["choices"][0]["delta"] for event in events]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content", "") for delta in deltas) == said["message"]["content"]
    finishes = [event["choices"][0]["finish_reason"] for event in events]
    assert finishes == [None] * (len(events) - 1) + [said["finish_reason"]]
    check_counts(body, once)


def check_counts(body: dict[str, Any], once: dict[str, Any]) -> None:
    """What usage says adds up, and is no more than was asked for."""
    usage, choice = once["usage"], once["choices"][0]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 0 <= usage["prompt_tokens_details"]["cached_tokens"] < usage["prompt_tokens"]
    assert 1 <= usage["completion_tokens"] <= body.get("max_tokens", 10**9)
    shown = len(pieces(choice["message"]["content"]))
    assert shown <= usage["completion_tokens"]
    if "stop" not in body:
        assert shown == usage["completion_tokens"]
    if choice["finish_reason"] == "length":
        assert usage["completion_tokens"] == body["max_tokens"]
    stops = [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop", [])
    if body.get("response_format", {}).get("type") != "json_object":
        assert not any(stop and stop in choice["message"]["content"] for stop in stops)


@given(st.lists(st.tuples(st.floats(0, 0.02), st.booleans(), st.integers(1, 400)), max_size=12))
def test_clients_who_leave_at_any_moment_free_everything(clients):
    app = standin(replace(REPLICA, most=3, blocks=60), pace=20.0)

    async def all_of_them() -> list[Any]:
        asked = [
            ask(app, "/v1/chat/completions", body(many, stream), leave=after)
            for after, stream, many in clients
        ]
        replies = await asyncio.gather(*asked)
        for _ in range(100):  # steps under way end
            await asyncio.sleep(0.001)
            if not app.driver.engine.busy:
                break
        return replies

    def body(many: int, stream: bool) -> dict[str, Any]:
        return chat(f"question {many}", max_tokens=many, ignore_eos=True, stream=stream)

    asyncio.run(all_of_them())
    engine = app.driver.engine
    assert not (engine.busy or app.driver.waiting)
    assert engine.cache.free == engine.limits.blocks


SIMPLE = st.one_of(
    st.fixed_dictionaries({"type": st.just("boolean")}),
    st.fixed_dictionaries({"enum": st.lists(st.integers() | st.text(max_size=3), min_size=1)}),
    st.fixed_dictionaries({"const": st.integers()}),
    st.builds(
        lambda kind, low, room: {"type": kind, "minimum": low, "maximum": low + room},
        st.sampled_from(["integer", "number"]),
        st.integers(-1000, 1000),
        st.integers(0, 1000),
    ),
    st.builds(
        lambda low, room: {"type": "string", "minLength": low, "maxLength": low + room},
        st.integers(0, 50),
        st.integers(0, 50),
    ),
)
SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds(
            lambda items, low, room: {
                "type": "array",
                "items": items,
                "minItems": low,
                "maxItems": low + room,
            },
            inner,
            st.integers(0, 3),
            st.integers(0, 3),
        ),
        st.builds(
            lambda known: {"type": "object", "properties": known, "required": list(known)},
            st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
        ),
        st.builds(lambda first, rest: {"anyOf": [first, rest]}, inner, inner),
    ),
    max_leaves=8,
)


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value fits a simple schema."""
    if "anyOf" in schema:
        return any(fits(value, each) for each in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds = {"boolean": bool, "integer": int, "number": int | float, "string": str}
    kind = schema["type"]
    if kind == "array":
        many = schema["minItems"] <= len(value) <= schema["maxItems"]
        return many and all(fits(each, schema["items"]) for each in value)
    if kind == "object":
        known = schema["properties"]
        return value.keys() == known.keys() and all(fits(value[n], known[n]) for n in known)
    if not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return False
    if kind == "string":
        return schema["minLength"] <= len(value) <= schema["maxLength"]
    return kind == "boolean" or schema["minimum"] <= value <= schema["maximum"]


@given(SCHEMAS, NUMBERS)
def test_json_fits_the_schema_it_was_asked_for(schema, number):
    assert fits(json.loads(written(schema, number)), schema)
    assert written(schema, number) == written(schema, number)


@given(WORDS, st.integers(1, 300))
def test_vectors_have_length_one_and_are_those_of_their_text(text, size):
    found = vector(number_of(text), size)
    assert len(found) == size
    assert abs(sum(each * each for each in found) - 1) < 1e-9
    assert found == vector(number_of(text), size)
    if size > 4:
        assert found != vector(number_of(text + "x"), size)
