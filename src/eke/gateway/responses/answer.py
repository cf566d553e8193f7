"""A Response as OpenAI's clients know it, every key there."""

from __future__ import annotations

from typing import Any

import msgspec

from eke.gateway.responses.ask import Ask
from eke.gateway.responses.chunks import Counted
from eke.gateway.responses.events import Events
from eke.gateway.responses.tools import shown

Answer = dict[str, Any]

QUEUED, RUNNING = "queued", "in_progress"
COMPLETED, INCOMPLETE, FAILED, CANCELLED = "completed", "incomplete", "failed", "cancelled"
ENDED = (COMPLETED, INCOMPLETE, FAILED, CANCELLED)

CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}  # reasons → as told


def begun(ask: Ask, id: str, created: float, stored: bool) -> Answer:
    """A response of which nothing is there yet. created: UTC [s]."""
    text, thinking = ask.text, ask.reasoning
    conversation = ask.conversation_id
    return {
        "id": id,
        "object": "response",
        "created_at": int(created),
        "status": QUEUED if ask.background else RUNNING,
        "background": bool(ask.background),
        "completed_at": None,
        "conversation": {"id": conversation} if conversation else None,
        "error": None,
        "incomplete_details": None,
        "instructions": ask.instructions,
        "max_output_tokens": ask.max_output_tokens,
        "max_tool_calls": ask.max_tool_calls,
        "metadata": ask.metadata or {},
        "model": ask.model,
        "output": [],
        "parallel_tool_calls": ask.parallel_tool_calls is not False,
        "previous_response_id": ask.previous_response_id,
        "reasoning": {
            "effort": thinking.effort if thinking else None,
            "summary": (thinking.summary or thinking.generate_summary) if thinking else None,
        },
        "service_tier": ask.service_tier or "auto",
        "store": stored,
        "temperature": 1.0 if ask.temperature is None else ask.temperature,
        "text": {
            "format": (text and text.format) or {"type": "text"},
            "verbosity": (text and text.verbosity) or "medium",
        },
        "tool_choice": ask.tool_choice or "auto",
        "tools": shown(ask.tools),
        "top_logprobs": ask.top_logprobs or 0,
        "top_p": 1.0 if ask.top_p is None else ask.top_p,
        "truncation": ask.truncation or "disabled",
        "usage": None,
        "user": ask.user,
        "safety_identifier": ask.safety_identifier,
        "prompt_cache_key": ask.prompt_cache_key,
        "prompt_cache_options": msgspec.to_builtins(ask.prompt_cache_options),
        "prompt_cache_retention": ask.prompt_cache_retention,
        "prompt_cache_diagnostics": None,
        "access_programs": None,
        "image": None,
        "input_transformations": None,
        "moderation": None,
        "prompt": None,
        "tool_usage": None,
    }


def usage_of(counted: Counted) -> Answer:
    """Tokens as responses tell them."""
    prompt, answer = counted.prompt_tokens_details, counted.completion_tokens_details
    return {
        "input_tokens": counted.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": (prompt and prompt.cached_tokens) or 0,
            "cache_write_tokens": (prompt and prompt.cache_write_tokens) or 0,
        },
        "output_tokens": counted.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": (answer and answer.reasoning_tokens) or 0},
        "total_tokens": counted.prompt_tokens + counted.completion_tokens,
    }


def ended(answer: Answer, reason: str, now: float) -> None:
    """It is complete, or as complete as it will be. reason: as the engine says.  now: UTC [s]."""
    cut = CUT.get(reason)
    answer["status"] = INCOMPLETE if cut else COMPLETED
    answer["incomplete_details"] = {"reason": cut} if cut else None
    answer["completed_at"] = None if cut else int(now)


def failed(answer: Answer, code: str, message: str) -> None:
    """It came to nothing. code: one of those that clients know."""
    answer["status"] = FAILED
    answer["error"] = {"code": code, "message": message}


def last_of(answer: Answer, events: Events) -> bytes:
    """The event that ends it. There is none for what was cancelled; the nearest is that it is not
    complete."""
    status = answer["status"]
    kind = INCOMPLETE if status == CANCELLED else status
    return events.event(f"response.{kind}", {"response": answer})


def code_of(status: int) -> str:
    """Clients know few codes; the one that fits an HTTP status."""
    if status == 429:
        return "rate_limit_exceeded"
    return "invalid_prompt" if 400 <= status < 500 else "server_error"
