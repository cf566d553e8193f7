"""Items become messages and answers become items, and nothing is lost on either way."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter
from tests.responding import call, delta

from eke.gateway.refusal import Refusal
from eke.gateway.responses.chunks import chunks_of
from eke.gateway.responses.events import Events
from eke.gateway.responses.ids import Ids, ids_of, owner_of
from eke.gateway.responses.items import Item, items_of
from eke.gateway.responses.messages import Message, messages_of
from eke.gateway.responses.opaque import MARK, Unpacking, packed
from eke.gateway.responses.speech import Speech
from eke.gateway.responses.trimming import trimmed

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

words = st.text(min_size=1, max_size=12)
names = st.sampled_from(("weather", "search", "add"))


@st.composite
def users(draw: st.DrawFn) -> Item:
    """What a user, or a developer, says: a text, or parts."""
    role = draw(st.sampled_from(("user", "user", "developer", "system")))
    if draw(st.booleans()):
        return {"role": role, "content": draw(words)}
    text = st.fixed_dictionaries({"type": st.just("input_text"), "text": words})
    link = st.builds("https://{}".format, st.integers(0, 99))
    picture = st.fixed_dictionaries({"type": st.just("input_image"), "image_url": link})
    return {"role": role, "content": draw(st.lists(text | picture, min_size=1, max_size=3))}


@st.composite
def turns(draw: st.DrawFn) -> list[Item]:
    """What a user says, what the model thinks, calls and says, and what the calls gave."""
    items = [draw(users())]
    for step in range(draw(st.integers(0, 2))):
        if draw(st.booleans()):
            thought = [{"type": "reasoning_text", "text": draw(words)}]
            items.append({"type": "reasoning", "summary": [], "content": thought})
        stamp = draw(st.integers(0, 1 << 64))
        calls = [f"call_{stamp}_{step}_{each}" for each in range(draw(st.integers(1, 3)))]
        for id in calls:
            said = {"name": draw(names), "arguments": json.dumps({"x": draw(words)})}
            items.append({"type": "function_call", "call_id": id, **said})
        for id in draw(st.permutations(calls)):
            items.append({"type": "function_call_output", "call_id": id, "output": draw(words)})
    if draw(st.booleans()):
        items.append({"role": "assistant", "content": draw(words)})
    return items


def said_in(items: list[Item]) -> list[tuple[str, ...]]:
    """Everything items say, in order, however it is written."""
    found: list[tuple[str, ...]] = []
    for item in items_of(items, Ids()):
        kind = item["type"]
        if kind == "function_call":
            found.append(("call", item["call_id"], item["name"], item["arguments"]))
        elif kind == "function_call_output":
            found.append(("output", item["call_id"], item["output"]))
        elif kind == "reasoning":
            found.append(("thought", item["content"][0]["text"]))
        else:
            for part in item["content"]:
                picture = part["type"] == "input_image"
                found.append(("picture", part["image_url"]) if picture else ("text", part["text"]))
    return found


def said_by(messages: list[Message]) -> list[tuple[str, ...]]:
    """The same of messages. Texts that were joined for the system are not told apart."""
    found: list[tuple[str, ...]] = []
    for message in messages:
        if message["role"] == "tool":
            found.append(("output", message["tool_call_id"], message["content"]))
            continue
        if "reasoning_content" in message:
            found += [("thought", message["reasoning_content"])]
        for each in message.get("tool_calls", ()):
            function = each["function"]
            found.append(("call", each["id"], function["name"], function["arguments"]))
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in parts:
            picture = part["type"] == "image_url"
            told = ("picture", part["image_url"]["url"]) if picture else ("text", part["text"])
            found += [told] if told[-1] else []
    return found


@given(st.lists(turns(), min_size=1, max_size=4))
def test_every_item_is_said_once(conversation: list[list[Item]]) -> None:
    items = [item for turn in conversation for item in turn]
    messages = messages_of(items_of(items, Ids()))
    kept = sorted(each for each in said_by(messages) if each[0] != "text")
    assert kept == sorted(each for each in said_in(items) if each[0] != "text")
    texts = "\n\n".join(each[1] for each in said_in(items) if each[0] == "text")
    assert "\n\n".join(each[1] for each in said_by(messages) if each[0] == "text") == texts


@given(st.lists(turns(), min_size=1, max_size=5), words | st.none())
def test_a_chain_says_what_one_request_says(
    conversation: list[list[Item]], instructions: str | None
) -> None:
    at_once = items_of([item for turn in conversation for item in turn], Ids())
    chained = [item for turn in conversation for item in items_of(turn, Ids())]
    assert messages_of(chained, instructions) == messages_of(at_once, instructions)


@given(st.lists(turns(), min_size=1, max_size=4))
def test_what_was_read_is_read_again_as_it_is(conversation: list[list[Item]]) -> None:
    items = items_of([item for turn in conversation for item in turn], Ids())
    again = items_of(items, Ids())
    assert [{**item, "id": ""} for item in again] == [{**item, "id": ""} for item in items]
    assert len({item["id"] for item in items}) == len(items)


@st.composite
def spoken(draw: st.DrawFn) -> list[bytes]:
    """An answer as an engine streams it: thoughts, texts and calls, cut anywhere."""
    chunks = []
    if draw(st.booleans()):
        key = draw(st.sampled_from(("reasoning_content", "reasoning")))
        chunks += [delta(**{key: text}) for text in draw(st.lists(words, min_size=1, max_size=3))]
    for key in draw(st.lists(st.sampled_from(("content", "refusal")), max_size=2, unique=True)):
        chunks += [delta(**{key: text}) for text in draw(st.lists(words, min_size=1, max_size=4))]
    calls = draw(st.integers(0, 3))
    firsts = [call(n, id=f"call_{n}", name=draw(names)) for n in range(calls)]
    more = [
        call(n, draw(words)) for n in draw(st.lists(st.integers(0, 9), max_size=6)) if n < calls
    ]
    chunks += [delta(tool_calls=[each]) for each in firsts + more]
    return [*chunks, delta(draw(st.sampled_from(("stop", "length", "tool_calls"))))]


def heard(chunks: list[bytes], whole: bool = True) -> tuple[Speech, list[dict[str, Any]]]:
    """What is made of chunks, and the events that were told."""
    speech = Speech(Events(), Ids())
    told = [each for data in chunks for chunk in chunks_of(data) for each in speech.hear(chunk)]
    told += speech.end(whole)
    return speech, [json.loads(each.partition(b"data: ")[2]) for each in told]


def replayed(events: list[dict[str, Any]]) -> list[Item]:
    """The items that somebody has who saw the events: each said piece by piece, then as a whole."""
    texts: dict[tuple[str, Any], str] = {}
    items: dict[int, Item] = {}
    begun, parts = set(), set()
    for event in events:
        where = (event.get("item_id", ""), event.get("content_index"))
        kind, _, step = event["type"].removeprefix("response.").rpartition(".")
        if kind == "output_item" and step == "added":
            assert event["output_index"] == len(begun) and event["item"]["status"] == "in_progress"
            begun.add(event["item"]["id"])
        elif kind == "output_item":
            assert event["item"]["id"] in begun and event["output_index"] not in items
            items[event["output_index"]] = event["item"]
        elif kind == "content_part":
            assert (where in parts) == (step == "done")
            parts.add(where)
        elif step == "delta":
            assert where[0] in begun
            texts[where] = texts.get(where, "") + event["delta"]
        else:
            field = {"refusal": "refusal", "function_call_arguments": "arguments"}
            assert event[field.get(kind, "text")] == texts.pop(where, "")
    assert not texts and len(items) == len(begun)
    return [items[place] for place in sorted(items)]


@given(spoken())
def test_events_add_up_to_the_answer(chunks: list[bytes]) -> None:
    speech, events = heard(chunks)
    assert replayed(events) == speech.items
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        EVENT.validate_python(event)


@given(spoken(), st.integers(0, 20))
def test_an_answer_that_breaks_off_is_told_in_order_too(chunks: list[bytes], length: int) -> None:
    speech, events = heard(chunks[:length], whole=False)
    assert replayed(events) == speech.items
    statuses = [item["status"] for item in speech.items]
    assert statuses == ["completed"] * (len(statuses) - 1) + ["incomplete"] * bool(statuses)


@given(spoken())
def test_an_answer_comes_back_as_it_was_said(chunks: list[bytes]) -> None:
    """Its items become one message, with all its thoughts, words and calls in it."""
    speech, _ = heard(chunks)
    deltas = [chunk.choices[0].delta for data in chunks for chunk in chunks_of(data)]
    thought = "".join(each.reasoning_content or each.reasoning or "" for each in deltas if each)
    text = "".join(each.content or "" for each in deltas if each)
    outputs: list[Item] = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "", "id": ""}
        for item in speech.items
        if item["type"] == "function_call"
    ]
    messages = messages_of(speech.items + outputs)
    assert len(messages) == bool(speech.items) + len(outputs)
    if messages:
        assert messages[0].get("reasoning_content", "") == thought
        said = messages[0]["content"]
        parts = [said] if isinstance(said, str) else [part["text"] for part in said]
        assert "".join(parts).startswith(text) or "".join(parts).endswith(text)
        assert len(messages[0].get("tool_calls", ())) == len(outputs)


@given(spoken())
def test_an_event_is_read_however_it_is_written(chunks: list[bytes]) -> None:
    """With lines beside its data, which may be several."""
    for data in chunks:
        lines = json.dumps(json.loads(data[5:]), indent=1).encode().split(b"\n")
        event = [b"event: message", b"id: 7", *(b"data: " + line for line in lines)]
        assert chunks_of(b"\n".join(event) + b"\n\n") == chunks_of(data) != []


def size(characters: int, media: int) -> float:
    return characters + 1000.0 * media


@given(st.lists(turns(), min_size=1, max_size=6), st.floats(0, 3000), st.floats(0, 500))
def test_what_is_trimmed_is_the_oldest(
    conversation: list[list[Item]], room: float, more: float
) -> None:
    items = [item for turn in conversation for item in turn]
    messages = messages_of(items_of(items, Ids()))
    kept = trimmed(messages, room, size)
    rest = [message for message in messages if message["role"] != "system"]
    left = [message for message in kept if message["role"] != "system"]
    assert left == rest[len(rest) - len(left) :]
    assert len(kept) - len(left) == len(messages) - len(rest)
    assert not left or left[0]["role"] == "user" or len(left) == len(rest)
    assert bool(left) == bool(rest)
    assert len(trimmed(messages, room + more, size)) >= len(kept)
    users = [place for place, message in enumerate(left) if message["role"] == "user"]
    if users and users[-1] > 0:  # more than the last turn: it fits
        assert sum(len(msgspec.json.encode([message])) for message in kept) <= room


@given(st.text())
def test_text_handed_out_comes_back(text: str) -> None:
    said = text.encode(errors="replace")
    unpacking = Unpacking(2 * len(said) + 1)
    for _ in range(2):
        assert unpacking.text(packed(text)) == said.decode()
    assert Unpacking().text(text) is None or text.startswith(MARK)
    with pytest.raises(Refusal) as refused:
        unpacking.text(packed(text + "aa"))
    assert refused.value.status == 413


@given(st.binary(max_size=40))
def test_nonsense_handed_in_is_no_text(data: bytes) -> None:
    assert Unpacking().text(MARK + data.decode("latin-1")) is None
    assert Unpacking().text(packed("x" * 50)[:-8]) is None


def test_an_item_tells_which_response_it_came_with() -> None:
    ids = Ids()
    first, second = ids.item("msg"), ids.item("fc")
    assert first != second and owner_of(first) == owner_of(second) == ids.response
    assert ids_of(ids.response, 2).item("msg") not in (first, second)
    assert owner_of("msg_of_somebody_else") is None
