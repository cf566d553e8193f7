"""Server-sent events on their way to a client: passed on as they are, counted, made whole."""

from __future__ import annotations

import re
from typing import Any

from eke.gateway.changes import Usage, usage_of, with_fields
from eke.gateway.refusal import Refusal

DONE = b"data: [DONE]\n\n"
END = b"\n\n"
LONGEST = 1 << 24  # bytes of one event
ENDS = b"[DONE]"
FAILS = b'{"error"'
_EMPTY = re.compile(rb"\n{3,}")  # events without anything


class Broken(Exception):
    """What an engine streams makes no sense; the message says how."""


class Stream:
    """One stream. Events are passed on whole, so that what breaks never ends inside one.

    strip: an event that only tells usage was not asked for, and is kept.
    put: fields that each event is to have, such as the service tier.
    events: passed on so far.  usage: where it was told.  finished: a reason was given for the end.
    failed: the engine told of an error.  done: the last event was there; nothing goes after it.
    """

    __slots__ = ("_rest", "done", "events", "failed", "finished", "put", "strip", "usage")

    def __init__(self, strip: bool, put: dict[str, Any] | None = None) -> None:
        self.strip, self.put = strip, put
        self.events = 0
        self.usage: Usage | None = None
        self.finished = self.failed = self.done = False
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The next bytes from the engine; those for the client."""
        if self._rest:
            data = self._rest + data
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        if b"\n\n\n" in data or data.startswith(b"\n"):
            data = _EMPTY.sub(END, data.lstrip(b"\n"))
        cut = data.rfind(END) + 2
        if cut < 2:
            self._rest = data
            if len(data) > LONGEST:
                raise Broken("an event without end")
            return b""
        whole, self._rest = (data, b"") if cut == len(data) else (data[:cut], data[cut:])
        self.events += whole.count(b"data:")
        if not self.finished and (b'finish_reason":"' in whole or b'finish_reason": "' in whole):
            self.finished = True
        if self.put or b'"usage"' in whole or ENDS in whole or FAILS in whole or self.done:
            whole = b"".join([self._event(each) for each in whole[:-2].split(END)])
        return whole

    def end(self) -> bytes:
        """The engine's stream is over; what is still to be sent. Raises Broken for half of one."""
        rest, self._rest = self._rest.strip(), b""
        if self.done:
            return b""
        if data_of(rest) == ENDS:
            self.done = True
            return DONE
        if rest and not rest.startswith(b":"):
            raise Broken("its stream ended inside an event")
        if self.finished:
            return DONE  # some engines leave it out
        raise Broken("its stream ended before the answer did")

    @property
    def tokens(self) -> int:
        """Of the answer: as told, else about one per event."""
        if self.usage is not None:
            return self.usage.completion_tokens
        return max(self.events - 1, 0)

    def _event(self, event: bytes) -> bytes:
        """One event as the client gets it."""
        data = data_of(event)
        if self.done or data == ENDS:
            self.events -= event.count(b"data:")
            first, self.done = not self.done, True
            return DONE if first else b""
        if not data.startswith(b"{"):
            return event + END
        if data.startswith(FAILS):
            self.failed = True
        if b'"usage"' in data and self._tells_usage(data):
            self.events -= event.count(b"data:")
            return b""
        return _with_data(event, self._with_put(data)) if self.put else event + END

    def _with_put(self, data: bytes) -> bytes:
        """What an event carries, with the fields it is to have."""
        try:
            return with_fields(data, self.put or {})
        except (Refusal, ValueError):
            raise Broken("an event that is not JSON") from None

    def _tells_usage(self, data: bytes) -> bool:
        """Keep the usage of an event; whether that is all it tells, and was not asked for."""
        try:
            usage = usage_of(data)
        except ValueError as error:
            raise Broken(f"an event that is not JSON: {error}") from None
        if usage is None:
            return False
        self.usage = usage
        return self.strip and (b'"choices":[]' in data or b'"choices": []' in data)


def data_of(event: bytes) -> bytes:
    """What an event carries: its lines of data, joined."""
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].strip()
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line[:5] == b"data:"]
    return b"\n".join(lines).strip()


def _with_data(event: bytes, data: bytes) -> bytes:
    """An event that carries something else, whose other lines stay."""
    others = [line for line in event.split(b"\n") if line[:5] != b"data:"]
    return b"\n".join([*others, *(b"data: " + line for line in data.split(b"\n"))]) + END
