"""Lines of the output and of the error file, as OpenAI has them."""

from __future__ import annotations

import msgspec

from eke.gateway.batches.batch import CANCELLED, EXPIRED, Usage

WHY = {
    EXPIRED: (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    CANCELLED: ("batch_cancelled", "This request was not executed: the batch was cancelled."),
}
LOST = ("server_error", "This request was begun several times and never ended.")


class Response(msgspec.Struct):
    """An answer. body: JSON."""

    status_code: int
    request_id: str
    body: msgspec.Raw


class Error(msgspec.Struct):
    """Why there is none."""

    code: str
    message: str


class Output(msgspec.Struct):
    """A line of either file."""

    id: str
    custom_id: str
    response: Response | None = None
    error: Error | None = None


class Details(msgspec.Struct):
    """Details of tokens that are counted."""

    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Counted(msgspec.Struct):
    """Usage as chat, completions and embeddings tell it, or as responses do."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None


class _Body(msgspec.Struct):
    usage: Counted | None = None


class _Response(msgspec.Struct):
    body: _Body | None = None


class _Line(msgspec.Struct):
    response: _Response | None = None


_usage = msgspec.json.Decoder(_Line)


def answered(id: str, custom_id: str, status: int, request: str, body: bytes) -> bytes:
    """A line with an answer. body: JSON."""
    flat = body.replace(b"\n", b" ")  # newlines stand between tokens only: JSON's strings have none
    response = Response(status, request, msgspec.Raw(flat))
    return msgspec.json.encode(Output(id, custom_id, response))


def unanswered(id: str, custom_id: str, why: tuple[str, str]) -> bytes:
    """A line without one."""
    return msgspec.json.encode(Output(id, custom_id, error=Error(*why)))


def plus(usage: Usage, line: bytes) -> Usage:
    """The tokens of one line more."""
    try:
        found = _usage.decode(line)
    except msgspec.MsgspecError:
        return usage
    counted = found.response and found.response.body and found.response.body.usage
    if not counted:
        return usage
    before = counted.prompt_tokens_details or counted.input_tokens_details or Details()
    after = counted.completion_tokens_details or counted.output_tokens_details or Details()
    return Usage(
        prompt=usage.prompt + (counted.prompt_tokens or counted.input_tokens or 0),
        cached=usage.cached + (before.cached_tokens or 0),
        tokens=usage.tokens + (counted.completion_tokens or counted.output_tokens or 0),
        reasoning=usage.reasoning + (after.reasoning_tokens or 0),
    )
