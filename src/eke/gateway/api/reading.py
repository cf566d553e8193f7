"""Requests as ASGI brings them: their body, within bounds, and who sends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from typing import Any

from eke.gateway.refusal import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Departed(Exception):
    """The client was gone before its request was there."""


async def body_of(scope: Scope, receive: Receive, longest: int, seconds: float) -> bytes:
    """The whole body. Raises Refusal 413 or 408, or Departed."""
    said = header(scope, b"content-length")
    if said.isdigit() and int(said) > longest:
        raise _too_large(longest)
    coming = receive().__await__()
    try:  # most bodies are there, and a timer would cost a tenth of what such a request does
        waits = next(coming)
    except StopIteration as there:
        if not there.value.get("more_body"):
            return _joined([there.value], longest)
        coming, waits = receive().__await__(), None
        first = [there.value]
    else:
        first = []
    try:
        async with asyncio.timeout(seconds):
            return await _rest(first, _Begun(coming, waits), receive, longest)
    except TimeoutError:
        raise Refusal(
            408, f"Your request took longer than {seconds:g} s to arrive.", again=False
        ) from None


class _Begun:
    """What is left of waiting for a message. waits: what it waits for; None before it began."""

    __slots__ = ("rest", "waits")

    def __init__(self, rest: Generator[Any, None, Message], waits: Any) -> None:
        self.rest, self.waits = rest, waits

    def __await__(self) -> Generator[Any, None, Message]:
        if self.waits is not None:
            try:
                yield self.waits
            except BaseException:
                self.rest.close()
                raise
        return (yield from self.rest)


def header(scope: Scope, name: bytes) -> bytes:
    """The value of a header; empty where it was not sent. name: in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return b""


async def _rest(
    messages: list[Message], begun: Awaitable[Message], receive: Receive, longest: int
) -> bytes:
    """The body, of whose messages some are there and one is waited for already."""
    messages.append(await begun)
    size = sum(len(each.get("body", b"")) for each in messages)
    while messages[-1].get("more_body") and size <= longest:
        messages.append(await receive())
        size += len(messages[-1].get("body", b""))
    return _joined(messages, longest)


def _joined(messages: list[Message], longest: int) -> bytes:
    """The body in some messages."""
    if messages[-1]["type"] == "http.disconnect":
        raise Departed
    pieces = [each.get("body", b"") for each in messages]
    body: bytes = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if len(body) > longest:
        raise _too_large(longest)
    return body


def _too_large(longest: int) -> Refusal:
    return Refusal(
        413,
        f"The body of your request is larger than the {longest:,} bytes there may be.",
        code="request_too_large",
        headers=((b"connection", b"close"),),
    )
