"""What an engine streams: chunks of a chat completion, as far as they are read."""

from __future__ import annotations

from typing import Any

import msgspec

from eke.gateway.stream import END, ENDS, Broken, data_of


class FunctionDelta(msgspec.Struct):
    """More of a call."""

    name: str | None = None
    arguments: str | None = None


class CallDelta(msgspec.Struct):
    """More of one of the calls."""

    index: int = 0
    id: str | None = None
    function: FunctionDelta | None = None


class Delta(msgspec.Struct):
    """More of the answer. Engines call what they think reasoning_content, newer ones reasoning."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[CallDelta] | None = None


class Logprobs(msgspec.Struct):
    """How likely its tokens were."""

    content: list[dict[str, Any]] | None = None


class Choice(msgspec.Struct):
    """One of the answers; there is only one."""

    delta: Delta | None = None
    index: int = 0
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class PromptDetails(msgspec.Struct):
    """Of the tokens of a prompt."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class AnswerDetails(msgspec.Struct):
    """Of the tokens of an answer."""

    reasoning_tokens: int | None = None


class Counted(msgspec.Struct):
    """Tokens as the engine counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: AnswerDetails | None = None


class Chunk(msgspec.Struct):
    """One event."""

    choices: list[Choice] = []
    usage: Counted | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(Chunk)


def chunks_of(data: bytes) -> list[Chunk]:
    """The chunks in whole events. Raises Broken for what makes no sense, and for an error."""
    found = []
    for event in data.split(END):
        text = data_of(event)
        if not text or text == ENDS:
            continue
        try:
            chunk = _decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Broken(f"an event that is no chunk of an answer: {error}") from None
        if chunk.error:
            raise Broken(told(chunk.error))
        found.append(chunk)
    return found


def told(error: Any) -> str:
    """The words of an error."""
    words = error.get("message") if isinstance(error, dict) else error
    return f"the engine says: {words!s:.500}"
