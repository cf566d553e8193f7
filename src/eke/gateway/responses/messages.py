"""Items as the messages of a chat completion, which is all that engines understand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eke.gateway.refusal import bad
from eke.gateway.responses.items import Item, Part
from eke.gateway.responses.opaque import MOST, Unpacking

Message = dict[str, Any]

SUMMARY = "Summary of the conversation so far:\n"


def messages_of(
    items: Iterable[Item], instructions: str | None = None, most: int = MOST
) -> list[Message]:
    """Messages that say what the items say. most: of what is packed in them [B].

    Raises Refusal 400 for calls without an answer, and 413 where more is packed.
    What an assistant thought, said and called in a row is one message; what stands at the
    beginning for the system is one too, since many templates take no more.
    """
    messages: list[Message] = []
    unpacking = Unpacking(most)
    if instructions:
        messages.append({"role": "system", "content": instructions})
    for item in items:
        kind = item["type"]
        if kind == "message" and item["role"] != "assistant":
            _heard(messages, item)
        elif kind == "function_call_output":
            content = _content(item["output"])
            messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": content})
        else:
            _spoken(messages, item, unpacking)
    _check_calls(messages)
    return messages


def _heard(messages: list[Message], item: Item) -> None:
    """What a user or a system says."""
    role = "user" if item["role"] == "user" else "system"
    content = _content(item["content"])
    first = len(messages) == 1 and messages[0]["role"] == role == "system"
    if first and isinstance(content, str) and isinstance(messages[0]["content"], str):
        messages[0]["content"] = f"{messages[0]['content']}\n\n{content}"
    else:
        messages.append({"role": role, "content": content})


def _spoken(messages: list[Message], item: Item, unpacking: Unpacking) -> None:
    """What an assistant thinks, says or calls."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": ""})
    message, kind = messages[-1], item["type"]
    if kind == "message":
        _say(message, [{"type": "text", "text": _words(part)} for part in item["content"]])
    elif kind == "function_call":
        function = {"name": item["name"], "arguments": item["arguments"]}
        call = {"id": item["call_id"], "type": "function", "function": function}
        message.setdefault("tool_calls", []).append(call)
    elif kind == "compaction":
        _say(message, [{"type": "text", "text": SUMMARY + _summary(item, unpacking)}])
    elif text := _thought(item, unpacking):
        before = message.get("reasoning_content")
        message["reasoning_content"] = text if before is None else f"{before}\n\n{text}"


def _say(message: Message, parts: list[Part]) -> None:
    """Add to what a message says: one text stays a text."""
    said = message["content"]
    before = said if isinstance(said, list) else [{"type": "text", "text": said}] if said else []
    whole = before + [part for part in parts if part["text"]]
    message["content"] = whole if len(whole) > 1 else whole[0]["text"] if whole else ""


def _words(part: Part) -> str:
    words: str = part["refusal"] if part["type"] == "refusal" else part["text"]
    return words


def _thought(item: Item, unpacking: Unpacking) -> str:
    """The text of a reasoning item: as it was, else its summary, else what the client kept."""
    for key in ("content", "summary"):
        if item[key]:
            return "\n\n".join(part["text"] for part in item[key])
    return unpacking.text(item.get("encrypted_content") or "") or ""


def _summary(item: Item, unpacking: Unpacking) -> str:
    text = unpacking.text(item["encrypted_content"])
    if text is None:
        raise bad("The 'encrypted_content' of a compaction is not this gateway's.", "input")
    return text


def _content(parts: str | list[Part]) -> str | list[Part]:
    """Parts as chat completions have them; a single text is a text."""
    if isinstance(parts, str):
        return parts
    if len(parts) == 1 and parts[0]["type"] == "input_text":
        text: str = parts[0]["text"]
        return text
    return [_chat_part(part) for part in parts]


def _chat_part(part: Part) -> Part:
    kind = part["type"]
    if kind == "input_text":
        return {"type": "text", "text": part["text"]}
    if kind == "input_image":
        return {
            "type": "image_url",
            "image_url": {"url": part["image_url"], "detail": part["detail"]},
        }
    return {"type": "input_audio", "input_audio": part["input_audio"]}


def _check_calls(messages: list[Message]) -> None:
    """Refuse calls that nobody answered, and answers to no call: templates break on either."""
    called: dict[str, bool] = {}
    for message in messages:
        for call in message.get("tool_calls", ()):
            called[call["id"]] = False
        if message["role"] == "tool":
            id = message["tool_call_id"]
            if id not in called:
                words = f"No tool call found for function call output with call_id {id:.80}."
                raise bad(words, "input")
            called[id] = True
    for id, answered in called.items():
        if not answered:
            raise bad(f"No tool output found for function call {id:.80}.", "input")
