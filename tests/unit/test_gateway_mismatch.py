"""What is wrong with a body is said in the words of its writer."""

from __future__ import annotations

import pytest

from eke.gateway.api.conversations import Add
from eke.gateway.api.routes import decoded
from eke.gateway.refusal import Refusal
from eke.gateway.responses.ask import Ask


@pytest.mark.parametrize(
    "body,kind,param,code,words",
    [
        (b"[]", Ask, None, "invalid_type", "expected an object, but got an array instead."),
        (b"{}", Ask, "model", "missing_required_parameter", "Missing required parameter: 'model'."),
        (b'{"model":3}', Ask, "model", "invalid_type", "Invalid type for 'model': expected a str"),
        (b'{"model":"m","truncation":"x"}', Ask, "truncation", "invalid_value", "auto, disabled"),
        (b'{"model":"m","max_output_tokens":0}', Ask, "max_output_tokens", None, "integer >= 1"),
        (b'{"model":"m","metadata":{"a":3}}', Ask, "metadata", "invalid_type", "got an integer"),
        (b'{"model":"m","input":3}', Ask, "input", "invalid_type", "a string or an array"),
        (b'{"model":"m","text":{"format":3}}', Ask, "text.format", "invalid_type", "an object"),
        (b'{"items":[3]}', Add, "items[0]", "invalid_type", "Invalid type for 'items[0]'"),
    ],
)
def test_the_field_the_type_and_what_is_allowed_are_named(
    body: bytes, kind: type, param: str | None, code: str | None, words: str
) -> None:
    with pytest.raises(Refusal) as caught:
        decoded(body, kind)
    refusal = caught.value
    assert (refusal.status, refusal.param, refusal.code) == (400, param, code)
    assert words in refusal.message and "`" not in refusal.message
