"""Bodies on their way: changed where they must be, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eke.gateway.asked import CHAT, COMPLETION, EMBEDDING, Asked, read, tier_of
from eke.gateway.changes import usage_of, with_fields
from eke.gateway.refusal import Refusal

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.text(max_size=8),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
things = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner)
)
names = st.sampled_from(["model", "stream_options", "max_tokens", "priority", "other", "größe"])
objects = st.dictionaries(st.one_of(names, st.text(max_size=5)), things, max_size=6)
spaces = st.sampled_from([None, 1, 2])


@given(objects, st.dictionaries(names, things, max_size=3), spaces, st.booleans())
def test_setting_fields_is_decoding_changing_and_encoding(
    body: dict[str, Any], fields: dict[str, Any], indent: int | None, ascii_: bool
) -> None:
    data = json.dumps(body, indent=indent, ensure_ascii=ascii_).encode()
    assert json.loads(with_fields(data, fields)) == {**body, **fields}


@given(objects, spaces)
def test_what_is_not_known_stays_byte_for_byte(body: dict[str, Any], indent: int | None) -> None:
    body = {f"x{name}": value for name, value in body.items()}
    data = json.dumps(body, indent=indent).encode()
    assert with_fields(data, {}) is data
    changed = with_fields(data, {"model": "a"})
    if b'"model"' not in data:
        assert changed.startswith(data.rstrip()[:-1])


def test_the_last_word_counts_even_of_names_in_disguise() -> None:
    """A reader of JSON takes the last of two fields of one name; that one is the gateway's."""
    body = b'{"mod\\u0065l": "dear", "messages": []}'
    assert json.loads(with_fields(body, {"model": "cheap"}))["model"] == "cheap"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    for endpoint in (CHAT, COMPLETION, EMBEDDING):
        try:
            read(data, endpoint)
        except Refusal as refusal:
            assert refusal.status == 400


fields = st.sampled_from([field.name for field in msgspec.structs.fields(Asked)])


@given(st.dictionaries(fields, things, max_size=6))
def test_any_object_is_a_request_or_refused_for_a_field(body: dict[str, Any]) -> None:
    whole = {"model": "m", "messages": [], **body}
    try:
        asked = read(json.dumps(whole).encode(), CHAT)
        assert tier_of(asked, ("default", "priority", "flex")) in ("default", "priority", "flex")
    except Refusal as refusal:
        assert refusal.status == 400
        assert refusal.param is None or refusal.param.split(".")[0].split("[")[0] in whole


@pytest.mark.parametrize(
    "body,param,words",
    [
        (b"", None, "could not parse"),
        (b"{", None, "could not parse"),
        (b"[]", None, "expected an object, but got an array"),
        (b'{"messages": []}', "model", "missing required parameter: 'model'"),
        (b'{"model": 3, "messages": []}', "model", "invalid type for 'model': expected a string"),
        (b'{"model": "m"}', "messages", "Missing required parameter: 'messages'"),
        (b'{"model": "m", "messages": null}', "messages", "Missing required parameter"),
        (b'{"model": "m", "messages": [], "stream": "yes"}', "stream", "expected a boolean"),
        (b'{"model": "m", "messages": [], "max_tokens": 0}', "max_tokens", "below 1"),
        (b'{"model": "m", "messages": [], "max_tokens": 1.5}', "max_tokens", "expected an integer"),
        (b'{"model": "m", "messages": [], "n": 129}', "n", "above 128"),
        (b'{"model": "m", "messages": [], "n": %b}' % (b"9" * 5000), "n", "out of range"),
        (b'{"model": "m", "messages": [], "best_of": 0}', "best_of", "below 1"),
        (b'{"model": "m", "messages": [], "stream_options": 1}', "stream_options", "Expected"),
        (b'{"model": "m", "messages": []} tail', None, "could not parse"),
        (b'{"model": "m", "messages": ' + b"[" * 10**5 + b"}", None, "could not parse"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(body: bytes, param: str | None, words: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(body, CHAT)
    refusal = caught.value
    assert (refusal.status, refusal.kind, refusal.param) == (400, "invalid_request_error", param)
    assert words.lower() in refusal.message.lower()


@pytest.mark.parametrize(
    "given,allowed,served",
    [
        (None, ("default", "flex"), "default"),
        ("auto", ("flex", "default"), "flex"),
        ("default", ("default",), "default"),
        ("standard", ("default",), "default"),
        ("priority", ("default", "priority"), "priority"),
        ("fast", ("default", "priority"), "priority"),
        ("ultrafast", ("priority",), "priority"),
        ("scale", ("default",), "default"),  # who has no right to it gets the default
        ("priority", ("flex",), "flex"),
    ],
)
def test_service_tiers(given: str | None, allowed: tuple[str, ...], served: str) -> None:
    assert tier_of(Asked("m", service_tier=given), allowed) == served


@pytest.mark.parametrize("given", ["flex", "gold", "batch", ""])
def test_tiers_that_cannot_be(given: str) -> None:
    with pytest.raises(Refusal) as caught:
        tier_of(Asked("m", service_tier=given), ("default", "priority"))
    assert (caught.value.status, caught.value.param) == (400, "service_tier")


@pytest.mark.parametrize(
    "body,counts",
    [
        (b'{"usage": {"prompt_tokens": 3, "completion_tokens": 4}}', (3, 4, 0)),
        (b'{"usage": {"prompt_tokens": 3}}', (3, 0, 0)),
        (b'{"usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 5}}}',
         (9, 0, 5)),
        (b'{"usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 50}}}',
         (9, 0, 9)),
        (b'{"usage": {"prompt_tokens": 9, "prompt_tokens_details": null}}', (9, 0, 0)),
        (b'{"usage": null}', None),
        (b'{"usage": {"prompt_tokens": -9}}', None),
        (b'{"usage": {"prompt_tokens": 1e30}}', None),
        (b'{"usage": "much"}', None),
        (b"[]", None),
    ],
)  # fmt: skip
def test_usage_as_engines_tell_it(body: bytes, counts: tuple[int, int, int] | None) -> None:
    usage = usage_of(body)
    found = usage and (usage.prompt_tokens, usage.completion_tokens, usage.cached)
    assert found == counts


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"usage"', b'{"a":' * 10**5])
def test_what_is_not_json_has_no_usage(body: bytes) -> None:
    with pytest.raises(ValueError):
        usage_of(body)
