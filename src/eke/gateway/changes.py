"""Bodies on their way to an engine and back, changed in as few places as can be."""

from __future__ import annotations

from typing import Any

import msgspec

from eke.gateway.refusal import bad

USAGE = b'"stream_options":{"include_usage":true},'


def with_fields(body: bytes, fields: dict[str, Any], present: bool) -> bytes:
    """The JSON object with some fields set. present: whether any of them may be in it already; if
    none is, they are put in front without reading the rest."""
    if not fields:
        return body
    if present:
        return msgspec.json.encode({**_read(body), **fields})
    start = body.index(b"{") + 1
    return b"{" + msgspec.json.encode(fields)[1:-1] + b"," + body[start:]


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise bad("We could not parse the JSON body of your request.") from None
    if not isinstance(found, dict):
        raise bad("The body of a request is a JSON object.")
    return found


class Counts(msgspec.Struct, frozen=True):
    """Details of a usage that count."""

    cached_tokens: int | None = None


class Usage(msgspec.Struct, frozen=True):
    """Tokens as an engine counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: Counts | None = None

    @property
    def cached(self) -> int:
        """Of the prompt, not computed anew."""
        details = self.prompt_tokens_details
        return (details.cached_tokens or 0) if details else 0


class Answered(msgspec.Struct, frozen=True):
    """What the gateway reads of an answer."""

    usage: Usage | None = None


_answer = msgspec.json.Decoder(Answered)


def usage_of(body: bytes) -> Usage | None:
    """The usage in an answer, or in an event of a stream. None where there is none; raises
    ValueError where it is not JSON."""
    try:
        return _answer.decode(body).usage
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None
