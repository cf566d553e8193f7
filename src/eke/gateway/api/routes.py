"""Everything but the fast paths: a table of what is asked for, and what each handler is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import msgspec

from eke.gateway.api.reading import Receive, Scope, Send, body_of
from eke.gateway.api.telling import numbered
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import bad, mismatched, not_allowed, not_found
from eke.gateway.settings import Tenant
from eke.gateway.whole import whole

T = TypeVar("T")
Headers = Iterable[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")


class Sending:
    """A stream of events on its way to a client."""

    __slots__ = ("_send",)

    def __init__(self, send: Send) -> None:
        self._send = send

    async def send(self, data: bytes) -> None:
        """Send some bytes."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Send the last bytes."""
        await self._send({"type": "http.response.body", "body": data})


class Asking:
    """What a handler is given. parts: of the path, by name.  query: of the address, by name."""

    __slots__ = ("gateway", "parts", "query", "receive", "scope", "send", "tenant")

    def __init__(
        self, gateway: Gateway, tenant: Tenant, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self.gateway, self.tenant, self.scope = gateway, tenant, scope
        self.receive, self.send = receive, send
        self.parts: dict[str, str] = {}
        self.query = dict(parse_qsl(scope["query_string"].decode("latin-1")))

    async def body(self, longest: int | None = None) -> bytes:
        """The body, no longer than settings allow, or `longest` [B]."""
        settings = self.gateway.settings
        most = longest or settings.longest_body
        return await body_of(self.scope, self.receive, most, settings.patience.body)

    async def json(self, kind: type[T]) -> T:
        """The body as a record. Raises Refusal 400 naming the field that is wrong."""
        return decoded(await self.body() or b"{}", kind)

    def number(self, name: str, usual: int, least: int, most: int) -> int:
        """A whole number of the query. Raises Refusal 400."""
        text = self.query.get(name, "")
        return whole(name, text, least, most) if text else usual

    async def reply(self, status: int, body: Any, headers: Headers = ()) -> None:
        """Answer with a record as JSON, or with bytes whose headers say what they are."""
        ready = isinstance(body, bytes)
        data = body if ready else msgspec.json.encode(body)
        all_headers = [*numbered(self.gateway, headers), *(() if ready else (JSON,))]
        all_headers.append((b"content-length", b"%d" % len(data)))
        await self.send({"type": "http.response.start", "status": status, "headers": all_headers})
        await self.send({"type": "http.response.body", "body": data})

    async def stream(self, headers: Headers = ()) -> Sending:
        """Begin to answer with events."""
        all_headers = [EVENTS, (b"cache-control", b"no-cache"), *numbered(self.gateway, headers)]
        await self.send({"type": "http.response.start", "status": 200, "headers": all_headers})
        return Sending(self.send)


class Route(NamedTuple):
    """A path whose parts in braces are given by name, such as /v1/files/{file}; a last part such as
    {model...} takes the rest, slashes too.

    body: record that its body is, None for none.  query: names that its address may have.
    """

    method: str
    path: str
    handle: Callable[[Asking], Awaitable[None]]
    body: Any = None
    query: tuple[str, ...] = ()


class Routes:
    """Finds the handler of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._tree: dict[str | None, Any] = {}  # parts of paths, and at None what is there
        for route in routes:
            node = self._tree
            for part in route.path.strip("/").split("/"):
                kind = ("**" if part.endswith("...}") else "{}") if part[:1] == "{" else part
                node = node.setdefault(kind, {})
            node.setdefault(None, {})[route.method] = route

    async def __call__(
        self, gateway: Gateway, tenant: Tenant, scope: Scope, receive: Receive, send: Send
    ) -> None:
        asking = Asking(gateway, tenant, scope, receive, send)
        await self._found(asking).handle(asking)

    def _found(self, asking: Asking) -> Route:
        """The route of a request. Raises Refusal 404 or 405."""
        method, path = asking.scope["method"], asking.scope["path"]
        given = path.strip("/").split("/")
        node: Any = self._tree
        for place, part in enumerate(given):
            rest = node.get("**")
            node = node.get(part) or node.get("{}") or rest
            if node is None:
                break
            if node is rest:
                given[place:] = ["/".join(given[place:])]
                break
        methods = node.get(None) if node else None
        if not methods:
            raise not_found(f"Unknown request URL: {method} {path:.200}.", code="unknown_url")
        route = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
        if route is None:
            raise not_allowed(method, methods)
        names = route.path.strip("/").split("/")
        asking.parts = {
            name[1:-1].removesuffix("..."): part
            for name, part in zip(names, given, strict=True)
            if name.startswith("{")
        }
        return route  # type: ignore[no-any-return]


def decoded(body: bytes, kind: type[T]) -> T:
    """JSON as a record. Raises Refusal 400 naming the field that is wrong."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise mismatched(error, kind) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise bad("We could not parse the JSON body of your request.") from None
