"""Bodies of requests, as far as the stand-in heeds them, and what is refused about them."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

INVALID = "invalid_request_error"
MOST = (1 << 63) - 1  # that a number may be

Whole = Annotated[int, Meta(ge=-MOST, le=MOST)]
Least = Annotated[int, Meta(ge=0, le=MOST)]
Count = Annotated[int, Meta(ge=1, le=MOST)]
Given = str | list[str | int | list[int]]  # texts, or numbers of tokens


class Refused(Exception):
    """A request that is answered with an error, in OpenAI's words."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        kind: str = INVALID,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.kind = status, code, param, kind

    def body(self) -> bytes:
        """The error as JSON."""
        said = {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}
        return msgspec.json.encode({"error": said})


class Body(msgspec.Struct, kw_only=True):
    """What every request says; what is not named here is ignored."""

    model: str


class StreamOptions(msgspec.Struct):
    """include_usage: the last event of a stream tells the tokens."""

    include_usage: bool = False


class Spoken(Body, kw_only=True):
    """What asks for words. ignore_eos, min_tokens, priority: as vLLM has them."""

    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    stop: str | list[str] | None = None
    n: Whole | None = None
    seed: Whole | None = None
    ignore_eos: bool = False
    min_tokens: Least = 0
    priority: Whole = 0


class Turn(msgspec.Struct):
    """One message of a conversation. content: text, or parts of several kinds."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[Any] | None = None


class Named(msgspec.Struct):
    """A function by its name."""

    name: str


class Choice(msgspec.Struct):
    """The tool that must be called."""

    function: Named | None = None


class Shape(msgspec.Struct):
    """What JSON must fit. schema: a JSON schema."""

    schema: Any = None


class Form(msgspec.Struct):
    """How an answer is written. type: "text", "json_object" or "json_schema"."""

    type: str = "text"
    json_schema: Shape | None = None


class Chat(Spoken, kw_only=True):
    """POST /v1/chat/completions."""

    messages: list[Turn]
    max_completion_tokens: Count | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | Choice | None = None
    response_format: Form | None = None


class Completion(Spoken, kw_only=True):
    """POST /v1/completions. prompt: a text or token numbers, alone or as a list of one."""

    prompt: Given


class Embedding(Body, kw_only=True):
    """POST /v1/embeddings. input: texts or lists of token numbers."""

    input: Given
    dimensions: Whole | None = None
    encoding_format: str | None = None


B = TypeVar("B", bound=Body)


def read(body: bytes, kind: type[B]) -> B:
    """The body of a request. Raises Refused for what cannot be read."""
    try:
        found = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        words = str(error)
        place = re.search(r"\$\.(\w+)", words) or re.search(r"field `(\w+)`", words)
        raise Refused(400, words, param=place[1] if place else None) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"the body of your request is no JSON: {error}") from None
    if isinstance(found, Spoken):
        _check(found)
    return found


def _check(body: Spoken) -> None:
    """Refuse what its fields do not say about themselves."""
    if body.n not in (None, 1):
        raise Refused(400, f"n is {body.n}; one answer for each request here.", param="n")
    most = limit(body)
    if most is not None and body.min_tokens > most:
        raise Refused(
            400,
            f"min_tokens is {body.min_tokens}; it must be from 0 to max_tokens.",
            param="min_tokens",
        )
    if isinstance(body, Chat) and not body.messages:
        raise Refused(400, "messages is empty; give at least one.", param="messages")


def limit(body: Spoken) -> int | None:
    """The most tokens asked for; None where nothing is said."""
    later = body.max_completion_tokens if isinstance(body, Chat) else None
    return body.max_tokens if later is None else later
