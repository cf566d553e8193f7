"""Requests as ASGI brings them: their body, within bounds, and who sends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from eke.gateway.refusal import Refusal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Departed(Exception):
    """The client was gone before its request was there."""


async def body_of(scope: Scope, receive: Receive, longest: int, seconds: float) -> bytes:
    """The whole body. Raises Refusal 413 or 408, or Departed."""
    said = header(scope, b"content-length")
    if said.isdigit() and int(said) > longest:
        raise _too_large(longest)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Departed
    if not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > longest:
            raise _too_large(longest)
        return body
    try:
        async with asyncio.timeout(seconds):
            return await _rest(message, receive, longest)
    except TimeoutError:
        raise Refusal(
            408, f"Your request took longer than {seconds:g} s to arrive.", again=False
        ) from None


def header(scope: Scope, name: bytes) -> bytes:
    """The value of a header; empty where it was not sent. name: in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return b""


async def _rest(message: MutableMapping[str, Any], receive: Receive, longest: int) -> bytes:
    pieces = [message.get("body", b"")]
    size = len(pieces[0])
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Departed
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > longest:
            raise _too_large(longest)
    return b"".join(pieces)


def _too_large(longest: int) -> Refusal:
    return Refusal(
        413,
        f"The body of your request is larger than the {longest:,} bytes there may be.",
        code="request_too_large",
        headers=((b"connection", b"close"),),
    )
