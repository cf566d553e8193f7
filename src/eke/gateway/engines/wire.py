"""Connections to engines: HTTP/1.1, kept open, one request at a time on each.

A client library of its own kind, for one purpose: hand bytes on as they come. It costs a third of
what a general one does per request (docs/log.md has both). Parsing is httptools'.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Any, Protocol

import httptools

from eke.gateway.engines.address import address, bearer

KEPT = 256  # idle connections to one engine
LENGTHS = (b"content-length", b"transfer-encoding")  # headers that tell where an answer ends
HEAD = 1 << 16  # longest head of an answer [B]

Headers = list[tuple[bytes, bytes]]


class Receiver(Protocol):
    """Who is told what an engine answers."""

    exchange: Any

    def on_head(self, status: int, headers: Headers) -> None: ...
    def on_piece(self, data: bytes) -> None: ...
    def on_end(self) -> None: ...
    def on_broken(self, reason: str) -> None: ...


class Connection(asyncio.Protocol):
    """One connection; it belongs to a receiver while a request is on it."""

    __slots__ = (
        *(
            "_begun",
            "_endless",
            "_head",
            "_headers",
            "_held",
            "_parser",
            "_pool",
            "_receiver",
            "_sent",
        ),
        *("_transport", "_used"),
    )

    def __init__(self, pool: Wire) -> None:
        self._pool = pool
        self._transport: Any = None
        self._receiver: Receiver | None = None
        self._headers: Headers = []
        self._head = 0  # bytes of it so far
        self._begun = False  # it was whole
        self._endless = False  # only closing ends the answer
        self._held = self._used = False
        self._sent = b""
        self._parser = httptools.HttpResponseParser(self)

    @property
    def open(self) -> bool:
        """Whether something can be sent on it."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, receiver: Receiver, data: bytes) -> None:
        """Send a request; its answer goes to the receiver."""
        self._receiver = receiver
        self._headers, self._head, self._begun = [], 0, False
        self._sent = data if self._used else b""
        receiver.exchange = self
        self._transport.write(data)

    def hold(self) -> None:
        """Read no more for now."""
        if self.open and not self._held:
            self._held = True
            self._transport.pause_reading()

    def go_on(self) -> None:
        """Read again."""
        if self.open and self._held:
            self._held = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close it: nobody wants the rest."""
        self._receiver = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._pool.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._pool.closed(self)
        if self._receiver is None:
            return
        if self._begun and self._endless:
            self._end()
        elif self._sent and not (self._begun or self._headers):
            self._pool.resend(self, self._sent)
        else:
            self.give_up("the engine closed the connection")

    def eof_received(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        if self._receiver is None:
            self.abort()  # an answer that nobody asked for
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.give_up(f"the engine does not speak HTTP: {error}")
            return
        if not self._begun:
            self._head += len(data)
            if self._head > HEAD:
                self.give_up("the head of its answer is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._receiver is not None and status >= 200:
            self._begun, self._sent = True, b""
            self._endless = not any(name in LENGTHS for name, _ in self._headers)
            self._receiver.on_head(status, self._headers)
            self._headers = []

    def on_body(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.on_piece(data)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            self._headers = []
            return  # an informational answer goes before the real one
        keep = self._parser.should_keep_alive() and self._receiver is not None
        self._end()
        self.go_on()
        if keep and self.open and len(self._pool.idle) < KEPT:
            self._used = True
            self._pool.idle.append(self)
        else:
            self.abort()

    def wanted(self) -> Receiver | None:
        """Who still waits on it for what is sent again elsewhere."""
        receiver, self._receiver = self._receiver, None
        return receiver

    def _end(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.on_end()

    def give_up(self, reason: str) -> None:
        """Close it, and tell who waits for an answer why none comes."""
        receiver, self._receiver = self._receiver, None
        if self._transport is not None:
            self._transport.abort()
        if receiver is not None:
            receiver.on_broken(reason)


class Wire:
    """All connections to one address.

    url: up to and including /v1.  key: sent as a bearer token.  connect: longest time to open a
    connection [s].
    """

    def __init__(self, url: str, key: str = "", connect: float = 5.0) -> None:
        parts = address(url)
        self.url, self.connect = url.rstrip("/"), connect
        self.root = parts.path.rstrip("/")
        self.host = parts.hostname or ""
        usual = 443 if parts.scheme == "https" else 80
        self.port = parts.port or usual
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.idle: deque[Connection] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._all: set[Connection] = set()
        host = self.host if ":" not in self.host else f"[{self.host}]"
        where = host if self.port == usual else f"{host}:{self.port}"
        lines = [f"Host: {where}", "Accept-Encoding: identity"]
        if key:
            lines.append(bearer(key))
        self._fixed = ("\r\n".join(lines) + "\r\n").encode()

    async def post(self, receiver: Receiver, path: str, body: bytes, more: bytes = b"") -> None:
        """Send JSON. path: after /v1.  more: header lines.  Raises OSError where nobody listens."""
        head = (
            b"POST %b HTTP/1.1\r\n%b%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        )
        where = (self.root + path).encode()
        await self._send(receiver, head % (where, self._fixed, more, len(body)) + body)

    async def get(self, receiver: Receiver, path: str) -> None:
        """Ask for a path from the root of the server."""
        await self._send(receiver, b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), self._fixed))

    async def order(self, receiver: Receiver, path: str) -> None:
        """Post nothing to a path from the root of the server. Raises OSError."""
        head = b"POST %b HTTP/1.1\r\n%bContent-Length: 0\r\n\r\n"
        await self._send(receiver, head % (path.encode(), self._fixed))

    def opened(self, connection: Connection) -> None:
        self._all.add(connection)

    def closed(self, connection: Connection) -> None:
        self._all.discard(connection)

    def close(self, reason: str = "nobody wants it any more") -> None:
        """Close all connections. reason: what those are told whose answers are under way."""
        for connection in list(self._all):
            connection.give_up(reason)

    def resend(self, connection: Connection, data: bytes) -> None:
        """Send once more, on a new connection: the old one was closed for being idle just as it was
        used, which is nobody's failure."""
        task = asyncio.get_running_loop().create_task(self._send_new(connection, data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_new(self, old: Connection, data: bytes) -> None:
        try:
            new = await self._connected()
        except OSError as error:
            if (receiver := old.wanted()) is not None:
                receiver.on_broken(f"the engine does not listen: {error}")
            return
        if (receiver := old.wanted()) is not None:
            new.send(receiver, data)
        else:
            new.abort()

    async def _send(self, receiver: Receiver, data: bytes) -> None:
        while self.idle:
            connection = self.idle.pop()
            if connection.open:
                connection.send(receiver, data)
                return
        connection = await self._connected()
        connection.send(receiver, data)

    async def _connected(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.connect):
                _, connection = await loop.create_connection(
                    lambda: Connection(self), self.host, self.port, ssl=self._tls
                )
        except TimeoutError:
            raise OSError(f"no connection within {self.connect:g} s") from None
        if not connection.open:
            raise ConnectionResetError("the engine closed the connection")
        return connection
