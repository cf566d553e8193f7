"""What passes through a stream, however the network cuts it into pieces."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eke.gateway.stream import Broken, Stream

LAST = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


def event(record: Any, field: str = "data: ") -> bytes:
    return field.encode() + json.dumps(record).encode() + b"\n\n"


def word(text: str = "a", reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}


TOLD = {"choices": [], "usage": USAGE}
STOP = event(word("", "stop"))
WHOLE = event(word()) + STOP + event(TOLD) + LAST


def passed(stream: Stream, pieces: list[bytes]) -> bytes:
    """What a client gets; "broken" at the end where it is told that it broke."""
    found = b""
    try:
        for piece in pieces:
            found += stream.feed(piece)
        return found + stream.end()
    except Broken:
        return found + b"broken"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Some bytes in pieces."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[low:high] for low, high in pairwise(edges) if low < high]


events = st.one_of(
    st.text(max_size=20).map(lambda text: event(word(text))),
    st.just(event(word("", "stop"))),
    st.just(event(TOLD)),
    st.just(event({**word(), "usage": None})),
    st.just(event(TOLD, field="data:")),
    st.just(b": a comment\n\n"),
    st.just(b": ping\ndata: " + json.dumps(TOLD).encode() + b"\n\n"),
    st.just(b'data: {"choices": [],\ndata: "usage": {"prompt_tokens": 1}}\n\n'),
    st.just(b'event: message\nid: 7\ndata: {"choices":[{"delta":{}}]}\n\n'),
    st.just(b"data: {not json}\n\n"),
    st.just(b'data: {"usage": 3, oh no\n\n'),
    st.just(b'data: {"usage": {"prompt_tokens": 3}, oh no\n\n'),
    st.just(b"data: {oh no\n\n"),
    st.just(b"\n\n"),
    st.just(b"retry: 10\n\n"),
    st.just(LAST),
    st.just(b"data:[DONE]\n\n"),
    st.just(b'data: {"error": {"message": "out of memory"}}\n\n'),
    st.just(event(word("[DONE]"))),
    st.just(event(word('"usage": {"prompt_tokens": 3}'))),
)
ends = st.sampled_from([b"", b"data: [DONE]", b"data: {", b": half a comment", b"\n", LAST])
cuts = st.lists(st.integers(0, 10_000), max_size=12)
puts = st.sampled_from([None, {"service_tier": "flex"}])


@given(st.lists(events, max_size=8), ends, cuts, st.booleans(), puts, st.booleans())
def test_any_cutting_gives_the_client_the_same(
    told: list[bytes], end: bytes, places: list[int], strip: bool, put: Any, crlf: bool
) -> None:
    data = b"".join(told) + end
    if crlf:
        data = data.replace(b"\n", b"\r\n")
    one, many = Stream(strip, put), Stream(strip, put)
    at_once, later = passed(one, [data]), passed(many, cut(data, places))
    if at_once.endswith(b"broken"):  # what stood before it in the same piece is not sent
        assert later.endswith(b"broken") and later.startswith(at_once.removesuffix(b"broken"))
        return
    assert at_once == later
    for name in ("usage", "tokens", "done", "finished", "failed"):
        assert getattr(one, name) == getattr(many, name), name


@given(st.lists(events, max_size=8), ends, st.booleans(), puts)
def test_the_last_event_is_there_once_and_last(
    told: list[bytes], end: bytes, strip: bool, put: Any
) -> None:
    stream = Stream(strip, put)
    found = passed(stream, [*told, end] if end else told)
    if found.endswith(b"broken"):
        assert LAST not in found and not stream.done
    else:
        assert found.endswith(LAST) and found.count(LAST) == 1


@given(st.lists(events, max_size=8), cuts, puts)
def test_whole_events_pass_and_nothing_else(told: list[bytes], places: list[int], put: Any) -> None:
    """What breaks never ends inside an event."""
    stream = Stream(True, put)
    for piece in cut(b"".join(told), places):
        try:
            found = stream.feed(piece)
        except Broken:
            return
        assert not found or found.endswith(b"\n\n")


@pytest.mark.parametrize("strip", [True, False])
@pytest.mark.parametrize("field", ["data: ", "data:", ": ping\ndata: ", "id: 1\ndata: "])
def test_usage_is_kept_and_passed_on_where_it_was_asked_for(strip: bool, field: str) -> None:
    stream = Stream(strip)
    found = passed(stream, [event(word()), STOP, event(TOLD, field), LAST])
    assert (b"prompt_tokens" in found) != strip
    assert stream.usage is not None and stream.usage.prompt_tokens == 5
    assert stream.tokens == 7


def test_usage_beside_words_is_passed_on_and_kept() -> None:
    stream = Stream(True)
    last = event({**word("", "stop"), "usage": USAGE})
    assert passed(stream, [last, LAST]) == last + LAST
    assert stream.tokens == 7


def test_without_usage_tokens_are_about_the_events() -> None:
    stream = Stream(True)
    passed(stream, [event(word())] * 9 + [STOP, LAST])
    assert stream.usage is None and stream.tokens == 9


def test_fields_are_put_into_every_event() -> None:
    stream = Stream(False, {"service_tier": "flex"})
    had = event({**word(), "service_tier": "auto"})
    found = passed(stream, [event(word()), had, b"data: {}\n\n", b": hello\n\n", STOP, LAST])
    lines = [line[6:] for line in found.decode().split("\n\n") if line.startswith("data: {")]
    assert [json.loads(line)["service_tier"] for line in lines] == ["flex"] * 4
    assert b": hello\n\n" in found


def test_an_event_over_several_lines_is_one() -> None:
    stream = Stream(True, {"service_tier": "flex"})
    found = stream.feed(b'event: m\ndata: {"choices":\ndata: [{"delta": {}}]}\n\n')
    lines = found.decode().strip().split("\n")
    assert lines[0] == "event: m"
    data = json.loads("".join(line.removeprefix("data: ") for line in lines[1:]))
    assert data == {"choices": [{"delta": {}}], "service_tier": "flex"}


@pytest.mark.parametrize(
    "pieces,words",
    [
        ([event(word())], "before the answer did"),
        ([], "before the answer did"),
        ([event(word()), b"data: {"], "inside an event"),
        ([event(word()), STOP, b'data: {"choices'], "inside an event"),
        ([b'data: {"usage": {"prompt_tokens": 3}\n\n'], "not JSON"),
    ],
)
def test_every_way_of_breaking_off_is_noticed(pieces: list[bytes], words: str) -> None:
    stream = Stream(True)
    with pytest.raises(Broken, match=words):
        for piece in pieces:
            stream.feed(piece)
        stream.end()


def test_an_event_without_end_does_not_fill_the_memory() -> None:
    stream = Stream(True)
    with pytest.raises(Broken, match="without end"):
        for _ in range(40):
            stream.feed(b"x" * (1 << 19))


def test_some_engines_leave_the_last_event_out() -> None:
    assert passed(Stream(True), [event(word()), STOP]) == event(word()) + STOP + LAST


def test_an_error_that_the_engine_tells_of_is_noticed() -> None:
    stream = Stream(True)
    error = event({"error": {"message": "out of memory"}})
    assert passed(stream, [event(word()), error, LAST]) == event(word()) + error + LAST
    assert stream.failed
