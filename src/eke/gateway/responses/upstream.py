"""What engines say instead of an answer."""

from __future__ import annotations

import msgspec

from eke.gateway.asked import CHAT
from eke.gateway.refusal import Refusal, no_answer
from eke.gateway.stream import Broken


class Error(msgspec.Struct):
    """An error of an engine."""

    message: str = ""
    type: str = "upstream_error"
    code: str | int | None = None  # vLLM's is the status
    param: str | None = None


class Said(msgspec.Struct):
    """What it says instead of an answer."""

    error: Error


def passes(refusal: Refusal) -> bool:
    """Whether asking again later helps."""
    return refusal.status in (429, 503) and refusal.again is not False


def refusal_of(error: Refusal | Broken) -> Refusal:
    """What breaks off, as an error."""
    if isinstance(error, Refusal):
        return error
    return no_answer(f"The engine broke off: {error}.", "broke off")


def upstream(status: int, body: bytes) -> Refusal:
    """What an engine says instead of an answer."""
    if status < 400:
        words = "The engine was asked for a stream and sent something else."
        return no_answer(words, "not a stream")
    try:
        error = msgspec.json.decode(body, type=Said).error
    except msgspec.DecodeError:
        error = Error(body[:2000].decode(errors="replace"))
    param = "input" if error.param == CHAT.text else error.param
    code = error.code if isinstance(error.code, str) else None
    words, reason = error.message or "no reason given", f"the engine answered {status}"
    return Refusal(status, words, error.type, code, param, reason=reason, theirs=True)
