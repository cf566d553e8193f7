"""Batches: what must hold for any choice, any division of bytes, and beside any traffic."""

from __future__ import annotations

import json
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.batching import line
from tests.troughs import traffic

from eke.gateway.batches.batch import Usage, urgency
from eke.gateway.batches.choosing import Standing, choose
from eke.gateway.batches.line import Names
from eke.gateway.batches.result import answered, plus
from eke.gateway.files.lines import Lines, Mistake, example
from eke.gateway.files.multipart import Form
from eke.gateway.settings import POLICY

TENANTS = st.sampled_from(["a", "b", "c"])


@st.composite
def standings(draw: Any) -> list[Standing]:
    count = draw(st.integers(0, 8))
    return [
        Standing(f"b{i}", draw(TENANTS), draw(st.floats(0, 1e6)), draw(st.integers(0, 20)))
        for i in range(count)
    ]


@given(standings(), st.integers(0, 60), st.dictionaries(TENANTS, st.integers(0, 30)))
def test_all_room_is_given_and_no_batch_gets_more_than_it_can_use(
    found: list[Standing], room: int, flying: dict[str, int]
) -> None:
    given_to = choose(found, room, flying, {})
    left = {each.batch: each.left for each in found}
    assert all(0 < count <= left[batch] for batch, count in given_to.items())
    assert sum(given_to.values()) == min(room, sum(left.values()))


@given(
    standings(),
    st.integers(0, 60),
    st.dictionaries(TENANTS, st.integers(0, 30)),
    st.dictionaries(TENANTS, st.sampled_from([0.5, 1.0, 2.0, 4.0])),
)
def test_a_tenant_with_more_than_another_got_nothing_the_other_could_use(
    found: list[Standing], room: int, flying: dict[str, int], weights: dict[str, float]
) -> None:
    given_to = choose(found, room, flying, weights)
    got = dict.fromkeys("abc", 0)
    wants = dict.fromkeys("abc", 0)
    for each in found:
        got[each.tenant] += given_to.get(each.batch, 0)
        wants[each.tenant] += each.left
    for one in "abc":
        for other in "abc":
            if got[one] and got[other] < wants[other]:
                before = (flying.get(one, 0) + got[one] - 1) / weights.get(one, 1.0)
                assert before <= (flying.get(other, 0) + got[other]) / weights.get(other, 1.0)


@given(standings(), st.integers(0, 60))
def test_of_a_tenants_batches_the_one_that_ends_first_is_served_first(
    found: list[Standing], room: int
) -> None:
    given_to = choose(found, room, {}, {})
    for one in found:
        for other in found:
            if one.tenant == other.tenant and one.ends < other.ends and given_to.get(other.batch):
                assert given_to.get(one.batch, 0) == one.left


@given(st.floats(1, 1e6), st.lists(st.floats(0, 2), min_size=2, max_size=9))
def test_lines_only_get_more_urgent(window: float, shares: list[float]) -> None:
    levels = [urgency(1e9, window, 1e9 + share * window) for share in sorted(shares)]
    assert levels == sorted(levels, reverse=True)
    assert urgency(0.0, window, 0.0) == 2 and urgency(0.0, window, window) == 0


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Data in pieces, divided at some places."""
    edges = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(edges)]


LINES = st.lists(
    st.one_of(
        st.sampled_from([b"", b"  ", b"{", b"[]", b"\xff"]),
        st.builds(
            lambda name, text: json.dumps(line(name, text)).encode(),
            st.sampled_from("abc"),
            st.text(max_size=8),
        ),
    ),
    max_size=6,
)
PLACES = st.lists(st.integers(0, 500), max_size=8)


@given(LINES, PLACES, st.booleans())
def test_how_bytes_are_divided_changes_nothing_of_what_is_found(
    texts: list[bytes], places: list[int], ended: bool
) -> None:
    data = b"\n".join(texts) + b"\n" * ended

    def found(pieces: list[bytes]) -> tuple[int, list[Mistake]]:
        lines = Lines(Names().check, 140)
        for each in pieces:
            lines.feed(each)
        mistakes = lines.end()
        return lines.count, mistakes

    whole = found([data])
    assert found(cut(data, places)) == whole
    assert whole[0] == sum(bool(text.strip()) for text in texts)
    long = sum(len(text) > 140 for text in texts)
    assert sum(each.code == "line_too_long" for each in whole[1]) == long
    names = [json.loads(t)["custom_id"] for t in texts if t.startswith(b'{"') and len(t) <= 140]
    twice = len(names) - len(set(names))
    assert sum(each.code == "duplicate_custom_id" for each in whole[1]) == twice
    assert (not whole[1]) == (whole[0] > 0 and whole[0] == len(names) and not twice)


@given(LINES, PLACES, st.integers(0, 6))
def test_nothing_is_read_behind_the_last_line_there_may_be(
    texts: list[bytes], places: list[int], most: int
) -> None:
    read: list[int] = []

    def check(number: int, text: bytes) -> None:
        read.append(number)

    lines = Lines(check, 1000, most)
    for each in cut(b"\n".join(texts), places):
        lines.feed(each)
    codes = [each.code for each in lines.end()]
    count = sum(bool(text.strip()) for text in texts)
    assert len(read) == min(count, most)
    assert codes == ["too_many_tasks"] * (count > most) + ["empty_file"] * (not count)


@given(st.binary(max_size=300), PLACES)
def test_a_form_gives_back_any_file_however_it_is_divided(data: bytes, places: list[int]) -> None:
    edge = b"----boundary-of-this-form"
    body = (
        b"--" + edge + b'\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nevals\r\n'
        b"--" + edge + b'\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n--" + edge + b"--\r\n"
    )
    form = Form(b"multipart/form-data; boundary=" + edge)
    parts = [part for piece in cut(body, places) for part in form.feed(piece)]
    form.end()
    assert b"".join(part.data for part in parts if part.name == "file") == data
    assert b"".join(part.data for part in parts if part.name == "purpose") == b"evals"
    assert [part.name for part in parts if part.ends] == ["purpose", "file"]
    assert {part.filename for part in parts if part.name == "file"} <= {"f"}


@given(st.binary(max_size=60))
def test_any_bytes_are_an_example_or_a_mistake(data: bytes) -> None:
    found = example(3, data)
    assert found is None or (found.line == 3 and found.message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), JSON), st.text(max_size=9), st.sampled_from([None, 2]))
def test_an_output_line_is_one_line_with_what_was_answered(
    body: dict[str, Any], name: str, indent: int | None
) -> None:
    text = answered("batch_req_1", name, 200, "req_1", json.dumps(body, indent=indent).encode())
    assert b"\n" not in text
    found = json.loads(text)
    assert found["custom_id"] == name and found["response"]["body"] == body
    plus(Usage(), text)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=5))
def test_usage_is_the_sum_of_what_was_answered(counts: list[tuple[int, int]]) -> None:
    usage = Usage()
    for prompt, tokens in counts:
        told = {"prompt_tokens": prompt, "completion_tokens": tokens}
        usage = plus(usage, answered("i", "n", 200, "r", json.dumps({"usage": told}).encode()))
    assert (usage.prompt, usage.tokens) == tuple(map(sum, zip(*counts, strict=True))) or not counts


@pytest.mark.parametrize(
    ("policy", "share"), [("classes+queue", 0.99), ("fair+backfill(spare=5%)", 0.9), (POLICY, 0.7)]
)
def test_a_batch_fills_the_troughs_and_slows_nobody(policy: str, share: float) -> None:
    alone, beside = traffic(policy, batch=0), traffic(policy, batch=400)
    assert len(beside.waits) == len(alone.waits) > 100
    assert median(beside.waits) <= 1.2 * median(alone.waits)
    assert alone.used == 0 and beside.used >= share * beside.idle > 0
