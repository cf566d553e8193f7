"""The little of HTTP that the stand-in needs of ASGI: read a body, send one, notice who leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from eke.standin.bodies import Refused

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

MOST = 64 << 20  # bytes of a body
JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"
TEXT = b"text/plain; version=0.0.4; charset=utf-8"


class Left(Exception):
    """The client has gone."""


async def read_body(receive: Receive) -> bytes:
    """All of a body. Raises Left, and Refused where it is too long."""
    parts, size = [], 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise Left
        part = event.get("body", b"")
        size += len(part)
        if size > MOST:
            raise Refused(413, f"a body may have {MOST >> 20} MB; send less.")
        parts.append(part)
        if not event.get("more_body"):
            return b"".join(parts)


async def respond(send: Send, status: int, body: bytes, kind: bytes = JSON) -> None:
    """A whole answer."""
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    if status in (429, 503):
        headers.append((b"retry-after", b"1"))
    if status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def begin(send: Send, kind: bytes, size: int | None = None) -> None:
    """The head of an answer whose body comes in parts. size: bytes it says it will have."""
    headers = [(b"content-type", kind), (b"cache-control", b"no-cache")]
    if size is not None:
        headers.append((b"content-length", b"%d" % size))
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def part(send: Send, body: bytes, more: bool = True) -> None:
    """The next part of a body, or the last."""
    await send({"type": "http.response.body", "body": body, "more_body": more})


@contextmanager
def watched(receive: Receive, left: Callable[[], None]) -> Iterator[None]:
    """While it is answered, call `left` once the client goes; and at the end, however it comes."""

    async def watching() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        left()

    task = asyncio.ensure_future(watching())
    try:
        yield
    finally:
        task.cancel()
        left()
