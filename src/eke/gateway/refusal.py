"""No, said as OpenAI's clients understand it."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Any

import msgspec

from eke.gateway.mismatch import mismatch
from eke.gateway.row import FAILED, NOT_ADMITTED, REFUSED

BROKEN = 502  # status where engines are to blame


class Refusal(Exception):
    """A request that is not answered, and what its client is told.

    status: of HTTP.  kind, code, param: as OpenAI's error bodies have them.  retry_after: when
    asking again may help [s]; None where it will not.  again: False tells clients not to.
    headers: more of them.  reason: what is kept of it, in few words and nothing that was sent.
    theirs: whether an engine said it, in words and codes of its own.
    """

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        *,
        retry_after: float | None = None,
        again: bool | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        reason: str = "",
        theirs: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind = status, message, kind
        self.code, self.param = code, param
        self.retry_after, self.again, self.more = retry_after, again, headers
        self.label = "upstream_error" if theirs else code or kind  # of few, to be counted under
        self.reason = reason or f"{NOT_ADMITTED}{self.label}"

    @property
    def outcome(self) -> str:
        """How a request ends that gets it."""
        return FAILED if self.status == BROKEN else REFUSED

    def body(self) -> bytes:
        """OpenAI's error body, all four keys in it."""
        error = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        return msgspec.json.encode({"error": error})

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Of the answer. Retry-After is whole seconds, at least 1, and missing where the user must
        act first."""
        found = [(b"content-type", b"application/json"), *self.more]
        if self.retry_after is not None:
            found.append((b"retry-after", b"%d" % max(ceil(self.retry_after), 1)))
            found.append((b"retry-after-ms", b"%d" % max(ceil(self.retry_after * 1e3), 1)))
        if self.again is not None:
            found.append((b"x-should-retry", b"true" if self.again else b"false"))
        return found


def no_answer(message: str, reason: str) -> Refusal:
    """No engine gave an answer that is one. reason: words behind a colon may be an engine's, and
    are left out."""
    kind, code = "server_error", "bad_gateway"
    return Refusal(BROKEN, message, kind, code, reason=reason.partition(":")[0])


def bad(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    """What was sent makes no sense."""
    return Refusal(400, message, code=code, param=param)


def missing(param: str) -> Refusal:
    """What has to be sent was not."""
    words = f"Missing required parameter: '{param}'."
    return bad(words, param, "missing_required_parameter")


def mismatched(error: msgspec.ValidationError, kind: Any) -> Refusal:
    """A body that is not what it should be, of some kind."""
    words, field, code = mismatch(error, kind)
    if code == "missing_required_parameter":
        return missing(field)
    if code == "invalid_type":
        return bad(f"Invalid type for '{field or 'body'}': {words}", field or None, code)
    if code == "unknown_parameter":
        return bad(words, field, code)
    return bad(f"Invalid '{field or 'body'}': {words}", field or None, code)


def not_found(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    """No such thing."""
    return Refusal(404, message, code=code, param=param)


def not_allowed(method: str, methods: Iterable[str]) -> Refusal:
    """There is such a thing, and nothing that this method does with it."""
    words = f"Method {method} is not allowed here; use {' or '.join(methods)}."
    return Refusal(405, words, headers=((b"allow", ", ".join(methods).encode()),))


def too_fast(message: str, retry_after: float, reason: str = "") -> Refusal:
    """A rate that comes back by itself was used up."""
    kind, code = "rate_limit_error", "rate_limit_exceeded"
    return Refusal(429, message, kind, code, retry_after=retry_after, reason=reason)


def spent(message: str, code: str, reason: str = "") -> Refusal:
    """A budget is spent; asking again does not help."""
    return Refusal(429, message, "insufficient_quota", code, again=False, reason=reason)


def overloaded(message: str, retry_after: float | None, reason: str = "") -> Refusal:
    """Too much to do for now."""
    kind, code = "service_unavailable_error", "server_is_overloaded"
    return Refusal(503, message, kind, code, retry_after=retry_after, reason=reason)
