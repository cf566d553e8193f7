"""Events of a response: numbered, and written as they are sent."""

from __future__ import annotations

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


class Events:
    """Writes events. number: of the next one."""

    __slots__ = ("number",)

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def event(self, kind: str, fields: dict[str, Any]) -> bytes:
        """One event, with the next number."""
        number = self.number
        self.number = number + 1
        body = _encode({"type": kind, **fields, "sequence_number": number})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), body)

    def more(self, head: bytes, delta: str, tail: bytes = b"") -> bytes:
        """One of many events that differ in their delta only. head: as `head_of` makes it."""
        number = self.number
        self.number = number + 1
        return b'%b%b%b,"sequence_number":%d}\n\n' % (head, _encode(delta), tail, number)


class Silence(Events):
    """Writes nothing: nobody listens."""

    __slots__ = ()

    def event(self, kind: str, fields: dict[str, Any]) -> bytes:
        return b""

    def more(self, head: bytes, delta: str, tail: bytes = b"") -> bytes:
        return b""


def head_of(kind: str, fields: dict[str, Any]) -> bytes:
    """What events of a kind begin with, up to their delta."""
    body = _encode({"type": kind, **fields})[:-1]
    return b'event: %b\ndata: %b,"delta":' % (kind.encode(), body)
