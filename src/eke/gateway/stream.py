"""Server-sent events on their way to a client: passed on as they are, counted, made whole."""

from __future__ import annotations

from eke.gateway.changes import Usage, usage_of

DONE = b"data: [DONE]\n\n"
END = b"\n\n"
LONGEST = 1 << 24  # bytes of one event


class Broken(Exception):
    """What an engine streams makes no sense; the message says how."""


class Stream:
    """One stream. Events are passed on whole, so that what breaks never ends inside one.

    strip: an event that only tells usage was not asked for, and is kept.
    put: bytes put into each event, after its brace, such as b'"service_tier":"flex",'.
    events: passed on so far.  usage: where it was told.  finished: a reason was given for the end.
    done: the last event was there.
    """

    __slots__ = ("_rest", "done", "events", "finished", "put", "strip", "usage")

    def __init__(self, strip: bool, put: bytes = b"") -> None:
        self.strip, self.put = strip, put
        self.events = 0
        self.usage: Usage | None = None
        self.finished = self.done = False
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The next bytes from the engine; those for the client."""
        if self._rest:
            data = self._rest + data
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
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
        if self.put or b'"usage":{' in whole or b'"usage": {' in whole:
            whole = b"".join([self._event(each) for each in whole.split(END) if each])
        if whole.endswith(DONE):
            self.done = True
            self.events -= 1
        return whole

    def end(self) -> bytes:
        """The engine's stream is over; what is still to be sent. Raises Broken for half of one."""
        if self._rest.strip() == DONE.strip():
            self.done, self._rest = True, b""
            return DONE
        if self._rest.strip():
            raise Broken("its stream ended inside an event")
        if self.done:
            return b""
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
        data = event[5:].lstrip()
        if not event.startswith(b"data:") or not data.startswith(b"{"):
            return event + END
        try:
            usage = usage_of(data)
        except ValueError as error:
            raise Broken(f"an event that is not JSON: {error}") from None
        if usage is not None:
            self.usage = usage
            if self.strip and (b'"choices":[]' in data or b'"choices": []' in data):
                self.events -= 1
                return b""
        if self.put:
            return b"data: {" + self.put + data[1:] + END
        return event + END
