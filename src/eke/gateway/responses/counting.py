"""How many tokens a request would take, as far as can be told without an engine."""

from __future__ import annotations

from typing import Any

import msgspec

from eke.gateway.gateway import Gateway
from eke.gateway.parts import characters_of
from eke.gateway.responses.messages import Message
from eke.gateway.responses.tools import chat_tools
from eke.gateway.sizing import IMAGE


def input_tokens(
    gateway: Gateway, model: str, messages: list[Message], tools: list[dict[str, Any]] | None
) -> int:
    """Tokens of messages and tools, from what engines counted of others."""
    size, media = characters_of(msgspec.json.encode(messages))
    if tools:
        size += len(msgspec.json.encode(chat_tools(tools, None)))
    return gateway.lengths_of(model).prompt(size) + media * IMAGE
