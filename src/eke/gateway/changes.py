"""Bodies on their way to an engine and back, changed in as few places as can be."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from eke.gateway.refusal import bad


def with_fields(body: bytes, fields: dict[str, Any]) -> bytes:
    """The JSON object with some fields set. They are put at its end, without reading the rest; if
    it has one of them already, it is read and written anew."""
    if not fields:
        return body
    if any(b'"%b"' % name.encode() in body for name in fields):
        return msgspec.json.encode({**_read(body), **fields})
    before = body[: body.rindex(b"}")]
    comma = b"" if before.rstrip().endswith(b"{") else b","
    return b"".join((before, comma, msgspec.json.encode(fields)[1:]))


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad("We could not parse the JSON body of your request.") from None
    if not isinstance(found, dict):
        raise bad("The body of a request is a JSON object.")
    return found


LONGEST = 2000  # letters of an error that is no JSON
ERROR = {"message": "", "type": "upstream_error", "param": None, "code": None}
Tokens = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]


class Counts(msgspec.Struct, frozen=True):
    """Details of a usage that count."""

    cached_tokens: Tokens | None = None


class Usage(msgspec.Struct, frozen=True):
    """Tokens as an engine counted them."""

    prompt_tokens: Tokens = 0
    completion_tokens: Tokens = 0
    prompt_tokens_details: Counts | None = None

    @property
    def cached(self) -> int:
        """Of the prompt, not computed anew."""
        details = self.prompt_tokens_details
        return min(details.cached_tokens or 0, self.prompt_tokens) if details else 0


class Answered(msgspec.Struct, frozen=True):
    """What the gateway reads of an answer."""

    usage: Usage | None = None


_answer = msgspec.json.Decoder(Answered)


def usage_of(body: bytes) -> Usage | None:
    """The usage in an answer, or in an event of a stream. None where there is none that can be;
    raises ValueError where it is not JSON."""
    try:
        return _answer.decode(body).usage
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def error_of(body: bytes) -> bytes:
    """An engine's error as OpenAI's clients know them; one that has all four keys stays so."""
    words = body[:LONGEST].decode(errors="replace") or "The engine gave no reason."
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    told = found.get("error", found) if isinstance(found, dict) else None
    if isinstance(told, str):
        words = told
    given = told if isinstance(told, dict) else {}
    if given.keys() >= ERROR.keys() and found != given:
        return body
    message = given.get("message")
    error = {**ERROR, **given, "message": message if isinstance(message, str) else words}
    return msgspec.json.encode({"error": error})
