"""What an engine is asked: the body of a chat completion, and what the gateway reads of it."""

from __future__ import annotations

from typing import Any

import msgspec

from eke.gateway.asked import Asked
from eke.gateway.responses.ask import Ask
from eke.gateway.responses.messages import Message
from eke.gateway.responses.tools import chat_tools

USAGE = {"include_usage": True}


def chat(ask: Ask, messages: list[Message], session: str | None) -> tuple[Asked, bytes]:
    """A request for a chat completion. It streams in any case, so that nothing is lost of an
    answer that breaks off. session: what belongs together, for the choice of the engine."""
    said, manner = msgspec.Raw(msgspec.json.encode(messages)), _manner(ask)
    asked = Asked(
        model=ask.model,
        messages=said,
        tools=_raw(manner.get("tools")),
        response_format=_raw(manner.get("response_format")),
        stream=bool(ask.stream),
        max_tokens=ask.max_output_tokens,
        stream_options=USAGE,
        service_tier=ask.service_tier,
        prompt_cache_key=session,
    )
    fields = {"model": ask.model, "messages": said, "stream": True, "stream_options": USAGE}
    return asked, msgspec.json.encode({**ask.others, **fields, **manner})


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw() if value is None else msgspec.Raw(msgspec.json.encode(value))


def _manner(ask: Ask) -> dict[str, Any]:
    """How it is to be answered: only what was asked for."""
    text, thinking = ask.text, ask.reasoning
    found = {
        "max_tokens": ask.max_output_tokens,
        "temperature": ask.temperature,
        "top_p": ask.top_p,
        "parallel_tool_calls": ask.parallel_tool_calls if ask.tools else None,
        "response_format": _format(text.format) if text and text.format else None,
        "verbosity": text.verbosity if text else None,
        "reasoning_effort": thinking.effort if thinking else None,
        **_likely(ask),
        **chat_tools(ask.tools, ask.tool_choice),
    }
    return {name: value for name, value in found.items() if value is not None}


def _format(form: dict[str, Any]) -> dict[str, Any] | None:
    """A form of text as chat completions have it."""
    if form["type"] != "json_schema":
        return None if form["type"] == "text" else form
    keys = ("name", "description", "schema", "strict")
    schema = {key: form[key] for key in keys if form.get(key) is not None}
    return {"type": "json_schema", "json_schema": schema}


def _likely(ask: Ask) -> dict[str, Any]:
    """Whether logprobs are wanted."""
    if not ask.includes("message.output_text.logprobs"):
        return {}
    return {"logprobs": True, "top_logprobs": ask.top_logprobs}
