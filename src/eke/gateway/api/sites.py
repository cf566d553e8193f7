"""Pages of other sites that may use the API from a browser, by what browsers call CORS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from eke.gateway.api.reading import Message, Receive, Scope, Send, header
from eke.gateway.gateway import Gateway

KNOWN = b"600"  # how long a browser may take an answer for known [s]

Headers = list[tuple[bytes, bytes]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Sites:
    """ASGI. The API, and what browsers are told whose pages come from the origins that settings
    name; those of others are told nothing, so that they show their pages nothing."""

    def __init__(self, gateway: Gateway, app: Application) -> None:
        self.gateway, self.app = gateway, app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origins = self.gateway.settings.origins
        origin = header(scope, b"origin") if origins and scope["type"] == "http" else b""
        if not origin or origin.decode("latin-1") not in origins:
            await self.app(scope, receive, send)
        elif scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method"):
            await _may(scope, send, origin)
        else:
            await self.app(scope, receive, _showing(send, origin))


async def _may(scope: Scope, send: Send, origin: bytes) -> None:
    """A browser asks before it sends anything, and without a key, whether it may."""
    headers = [
        *_shown(origin),
        (b"access-control-allow-methods", b"GET, POST, DELETE"),
        (b"access-control-allow-headers", header(scope, b"access-control-request-headers")),
        (b"access-control-max-age", KNOWN),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body"})


def _showing(send: Send, origin: bytes) -> Send:
    """Sends an answer that a page may see, with all its headers."""

    async def shown(message: Message) -> None:
        if message["type"] == "http.response.start":
            more = [*_shown(origin), (b"access-control-expose-headers", b"*")]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return shown


def _shown(origin: bytes) -> Headers:
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
