"""An engine's answer as it comes: from chunks of a chat completion to items, and to events."""

from __future__ import annotations

from secrets import token_hex
from typing import Any, NamedTuple

import msgspec

from eke.gateway.responses.chunks import CallDelta, Choice, Chunk, Counted
from eke.gateway.responses.events import Events, head_of
from eke.gateway.responses.ids import Ids
from eke.gateway.responses.items import Item, Part
from eke.gateway.responses.opaque import packed


class Kind(NamedTuple):
    """One kind of text. item: that it stands in.  field: of its part.  delta, done: its events."""

    part: str
    item: str
    field: str
    delta: str
    done: str


def _kind(part: str, item: str, field: str) -> Kind:
    return Kind(part, item, field, f"response.{part}.delta", f"response.{part}.done")


TEXT = _kind("output_text", "message", "text")
REFUSAL = _kind("refusal", "message", "refusal")
THOUGHT = _kind("reasoning_text", "reasoning", "text")
ARGUMENTS = "response.function_call_arguments.delta"


class _Open:
    """What is being said or called. place: of its item in the output.  pieces: of its text.
    head: of the events that tell them."""

    __slots__ = ("head", "item", "kind", "logprobs", "pieces", "place")

    def __init__(self, item: Item, place: int, kind: Kind | None = None) -> None:
        self.item, self.place, self.kind = item, place, kind
        self.pieces: list[str] = []
        self.logprobs: list[dict[str, Any]] = []
        self.head = head_of(kind.delta if kind else ARGUMENTS, self.at())

    def at(self) -> dict[str, Any]:
        """Where it is, as its events say it."""
        where: dict[str, Any] = {"item_id": self.item["id"], "output_index": self.place}
        if self.kind is not None:
            where["content_index"] = len(self.item["content"])
        return where


class Speech:
    """One answer.

    items: so far; those that are open get their text when they are closed.  usage: where it was
    told.  reason: why it ended, as the engine says, "" while it has not.
    logprobs: whether they are told.  sealed: whether what it thinks is handed out packed besides,
    for clients that keep it themselves.
    """

    def __init__(
        self, events: Events, ids: Ids, logprobs: bool = False, sealed: bool = False
    ) -> None:
        self._events, self._ids = events, ids
        self._logprobs, self._sealed = logprobs, sealed
        self.items: list[Item] = []
        self.usage: Counted | None = None
        self.reason = ""
        self._said: _Open | None = None
        self._calls: dict[int, _Open] = {}

    def hear(self, chunk: Chunk) -> list[bytes]:
        """The next chunk; what there is to tell."""
        if chunk.usage is not None:
            self.usage = chunk.usage
        told: list[bytes] = []
        for choice in chunk.choices:
            if choice.index == 0:
                self._hear(choice, told)
        return told

    def end(self, whole: bool = True) -> list[bytes]:
        """Close what is open. whole: the answer is complete, else its last item is not."""
        told: list[bytes] = []
        last = len(self.items) - 1
        if self._said is not None:
            self._end_said(told, whole or self._said.place != last)
        for call in self._calls.values():
            self._end_call(call, told, whole or call.place != last)
        self._calls.clear()
        return told

    def _hear(self, choice: Choice, told: list[bytes]) -> None:
        delta = choice.delta
        if delta is not None:
            if thought := delta.reasoning_content or delta.reasoning:
                self._say(THOUGHT, thought, choice, told)
            if delta.content:
                self._say(TEXT, delta.content, choice, told)
            if delta.refusal:
                self._say(REFUSAL, delta.refusal, choice, told)
            for call in delta.tool_calls or ():
                self._call(call, told)
        if choice.finish_reason:
            self.reason = choice.finish_reason

    def _say(self, kind: Kind, text: str, choice: Choice, told: list[bytes]) -> None:
        said = self._said
        if said is None or said.kind is not kind:
            said = self._begin(kind, told)
        said.pieces.append(text)
        tail = b""
        if kind is TEXT:
            likely = choice.logprobs.content if self._logprobs and choice.logprobs else None
            said.logprobs += likely or ()
            tail = b',"logprobs":' + msgspec.json.encode(likely or [])
        told.append(self._events.more(said.head, text, tail))

    def _begin(self, kind: Kind, told: list[bytes]) -> _Open:
        """Begin another text, in the same item where it belongs there."""
        before = self._said
        if before is not None and before.item["type"] == kind.item:
            self._end_part(before, told)
            said = self._said = _Open(before.item, before.place, kind)
        else:
            self._end_said(told, True)
            item: Item = {"id": self._ids.item("msg" if kind.item == "message" else "rs")}
            item |= {"type": kind.item, "status": "in_progress", "content": []}
            more: Item = {"role": "assistant"} if kind.item == "message" else {"summary": []}
            item |= more
            said = self._said = _Open(item, self._add(item, told), kind)
        part = _part(kind, "", [])
        told.append(self._events.event("response.content_part.added", {**said.at(), "part": part}))
        return said

    def _end_part(self, said: _Open, told: list[bytes]) -> None:
        kind, text = said.kind, "".join(said.pieces)
        assert kind is not None
        part = _part(kind, text, said.logprobs)
        where = said.at()
        fields = {**where, kind.field: text}
        if kind is TEXT:
            fields["logprobs"] = said.logprobs
        told.append(self._events.event(kind.done, fields))
        told.append(self._events.event("response.content_part.done", {**where, "part": part}))
        said.item["content"].append(part)

    def _end_said(self, told: list[bytes], whole: bool) -> None:
        said, self._said = self._said, None
        if said is None:
            return
        self._end_part(said, told)
        if said.kind is THOUGHT and self._sealed:
            said.item["encrypted_content"] = packed("".join(said.pieces))
        self._end_item(said, told, whole)

    def _call(self, delta: CallDelta, told: list[bytes]) -> None:
        """More of a call. Calls stay open to the end, so that they may come in any order."""
        function = delta.function
        call = self._calls.get(delta.index)
        if call is None:
            self._end_said(told, True)
            item: Item = {"id": self._ids.item("fc"), "type": "function_call"}
            item |= {"status": "in_progress", "call_id": delta.id or f"call_{token_hex(12)}"}
            item |= {"name": (function and function.name) or "", "arguments": ""}
            call = self._calls[delta.index] = _Open(item, self._add(item, told))
        if function is None:
            return
        call.item["name"] = call.item["name"] or function.name or ""
        if function.arguments:
            call.pieces.append(function.arguments)
            told.append(self._events.more(call.head, function.arguments))

    def _end_call(self, call: _Open, told: list[bytes], whole: bool) -> None:
        item = call.item
        item["arguments"] = "".join(call.pieces)
        fields = {**call.at(), "name": item["name"], "arguments": item["arguments"]}
        told.append(self._events.event("response.function_call_arguments.done", fields))
        self._end_item(call, told, whole)

    def _add(self, item: Item, told: list[bytes]) -> int:
        """A new item; its place in the output."""
        place = len(self.items)
        self.items.append(item)
        fields = {"output_index": place, "item": item}
        told.append(self._events.event("response.output_item.added", fields))
        return place

    def _end_item(self, ended: _Open, told: list[bytes], whole: bool) -> None:
        ended.item["status"] = "completed" if whole else "incomplete"
        fields = {"output_index": ended.place, "item": ended.item}
        told.append(self._events.event("response.output_item.done", fields))


def _part(kind: Kind, text: str, logprobs: list[dict[str, Any]]) -> Part:
    part: Part = {"type": kind.part, kind.field: text}
    if kind is TEXT:
        part |= {"annotations": [], "logprobs": logprobs}
    return part
