"""Connections of clients: within bounds before anybody knows who asks for what."""

from __future__ import annotations

from asyncio import Transport
from math import inf
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from eke.gateway.refusal import Refusal, bad
from eke.gateway.small import Gate, Line

LONGEST = 1 << 16  # bytes of a request's head
QUEUED = 32  # requests on one connection that wait for the one before them


class Connection(HttpToolsProtocol):
    """uvicorn's, with an end to heads that do not come or have none, errors as OpenAI has them, and
    an eye on whoever sends requests before the last one is answered.

    due: when the head that is awaited must be there, by the loop's clock [s].
    stuck: since when the client takes nothing of what it is sent [s].
    patience, reading: how long a head may take, and a client to go on reading [s]; set by whoever
    serves.
    """

    patience = 30.0
    reading = 120.0

    def __init__(self, *nouns: Any, **options: Any) -> None:
        super().__init__(*nouns, **options)
        self.pipeline = Line()  # type: ignore[assignment]
        self.due = self.stuck = inf
        self._head = 0  # bytes of it so far
        self._answered: Any = None  # the request that is, while others wait for it

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        self.due = self.loop.time() + self.patience
        super().connection_made(transport)
        self.flow._is_writable_event = Gate(is_open=True)  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        first = self._answered
        if first is not None and not first.response_complete:
            first.disconnected = True
            first.message_event.set()
        self.pipeline.clear()
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.due == inf:
            return
        self._head += len(data)
        if self._head > LONGEST and not self.transport.is_closing():
            self._close(Refusal(431, f"The head of your request is longer than {LONGEST:,} bytes."))

    def on_message_begin(self) -> None:
        self.due, self._head = self.loop.time() + self.patience, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.due = inf
        if self.cycle is not None and not self.pipeline and not self.cycle.response_complete:
            self._answered = self.cycle
        super().on_headers_complete()
        if self.cycle is not None:
            self.cycle.message_event = Gate()  # type: ignore[assignment]
        if len(self.pipeline) > QUEUED:
            self.transport.abort()

    def pause_writing(self) -> None:
        self.stuck = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.stuck = inf
        super().resume_writing()

    def overdue(self, now: float) -> None:
        """Close it where a head, or a client, takes too long. To be called now and then."""
        if now - self.stuck > self.reading:
            self.transport.abort()  # its request holds a place on an engine
            return
        if now > self.due and not self.transport.is_closing():
            self.due = inf
            words = f"The head of your request took longer than {self.patience:g} s to arrive."
            self._close(Refusal(408, words, again=False))

    def send_400_response(self, message: str) -> None:
        self._close(bad(message))

    def _close(self, refusal: Refusal) -> None:
        """Say no and hang up, unless an answer is under way."""
        if self.cycle is None or self.cycle.response_complete:
            body = refusal.body()
            lines = [b"%b: %b\r\n" % each for each in refusal.headers()]
            lines.append(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body))
            self.transport.write(b"".join((STATUS_LINE[refusal.status], *lines, body)))
        self.transport.close()
