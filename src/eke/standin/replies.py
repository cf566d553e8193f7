"""Answers as OpenAI's API writes them: whole bodies, and events of a stream."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from eke.standin.answer import Answer

DONE = b"data: [DONE]\n\n"
encode = msgspec.json.encode


def usage(prompt: int, completion: int, cached: int) -> dict[str, Any]:
    """What is counted. All in tokens."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def whole(name: str, model: str, answer: Answer, chat: bool, used: dict[str, Any]) -> bytes:
    """The body of an answer that comes at once. name: its id."""
    text = "".join(answer.texts)
    choice: dict[str, Any] = {"index": 0}
    choice |= {"message": _message(name, text, answer.tool)} if chat else {"text": text}
    choice |= {"logprobs": None, "finish_reason": answer.finish}
    kind = "chat.completion" if chat else "text_completion"
    return encode({**_head(name, kind, model), "choices": [choice], "usage": used})


def _message(name: str, text: str, tool: str) -> dict[str, Any]:
    if not tool:
        return {"role": "assistant", "content": text, "refusal": None}
    call = {"id": f"call-{name}", "type": "function", "function": {"name": tool, "arguments": text}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _head(name: str, kind: str, model: str) -> dict[str, Any]:
    return {"id": name, "object": kind, "created": int(time.time()), "model": model}


class Events:
    """The events of one stream. What they share is written once."""

    def __init__(self, name: str, model: str, answer: Answer, chat: bool, used: bool) -> None:
        self.name, self.answer, self.chat = name, answer, chat
        head = _head(name, "chat.completion.chunk" if chat else "text_completion", model)
        self.front = b"data: " + encode(head)[:-1] + b',"choices":['
        self.back = b"]}\n\n"
        if used:
            self.back = b'],"usage":null}\n\n'
        self.before, self.after = self._around()

    def _around(self) -> tuple[bytes, bytes]:
        """What stands before and after the text of an event."""
        end = b',"logprobs":null,"finish_reason":null}' + self.back
        begin = self.front + b'{"index":0,'
        if not self.chat:
            return begin + b'"text":', end
        if self.answer.tool:
            call = b'"delta":{"tool_calls":[{"index":0,"function":{"arguments":'
            return begin + call, b"}}]}" + end
        return begin + b'"delta":{"content":', b"}" + end

    def opening(self) -> bytes:
        """Who speaks, or what is called."""
        if not self.chat:
            return b""
        delta = _message(self.name, "", self.answer.tool)
        delta.pop("refusal", None)
        for call in delta.get("tool_calls", ()):
            call["index"] = 0
        return self._choice({"delta": delta}, None)

    def more(self, text: str) -> bytes:
        """The next piece of the text."""
        return self.before + encode(text) + self.after if text else b""

    def closing(self) -> bytes:
        """Why it ends."""
        return self._choice({"delta": {}} if self.chat else {"text": ""}, self.answer.finish)

    def used(self, used: dict[str, Any]) -> bytes:
        """The tokens, after everything else."""
        return self.front + b'],"usage":' + encode(used) + b"}\n\n"

    def _choice(self, said: dict[str, Any], finish: str | None) -> bytes:
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": finish}
        return self.front + encode(choice) + self.back
