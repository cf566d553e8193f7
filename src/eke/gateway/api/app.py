"""The API as one ASGI application: which path goes where, who may, and how errors are told."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from traceback import format_tb

from eke.errors import Sealed, StateError
from eke.gateway.api.admin import ADMIN, admit
from eke.gateway.api.proxy import proxy
from eke.gateway.api.reading import Departed, Receive, Scope, Send, header
from eke.gateway.api.telling import ID, numbered
from eke.gateway.asked import ENDPOINTS
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import Refusal, not_allowed, overloaded
from eke.gateway.settings import Tenant

log = logging.getLogger("eke.gateway")

HEALTH = "/health"
AGAIN = 2.0  # when to ask again while the state does not answer [s]

Handler = Callable[[Gateway, Tenant, Scope, Receive, Send], Awaitable[None]]


class App:
    """ASGI. fast: paths answered without any routing.  rest: everything else."""

    def __init__(self, gateway: Gateway, rest: Handler) -> None:
        self.gateway, self.rest = gateway, rest
        self.fast: dict[str, Handler] = dict.fromkeys(ENDPOINTS, proxy)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _other(scope, receive, send)
            return
        gateway = self.gateway
        gateway.open_calls += 1
        try:
            await self.answer(scope, receive, send)
        except Refusal as refusal:
            await self.refuse(send, refusal)
        except Departed:
            pass
        except Sealed as error:
            log.error("%s", error)
            words = "What is stored there is sealed with a key that the gateway does not have."
            await self.refuse(send, Refusal(500, words, "server_error", "sealed", again=False))
        except StateError as error:
            log.error("the state does not answer: %s", error)
            words = "The gateway cannot reach its state for now."
            await self.refuse(send, overloaded(words, AGAIN))
        except Exception as error:
            where = "".join(format_tb(error.__traceback__))  # its words may be a user's
            log.error("a request failed inside the gateway: %s\n%s", type(error).__name__, where)
            words = f"The gateway failed: {type(error).__name__}."
            await self.refuse(send, Refusal(500, words, "server_error"))
        finally:
            gateway.open_calls -= 1

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. Raises Refusal where nothing was sent yet."""
        path, method = scope["path"], scope["method"]
        if path == HEALTH:
            await self.health(method, send)
            return
        handler = self.fast.get(path)
        tenant = self.gateway.tenants.of(header(scope, b"authorization"))
        if handler is not None and method != "POST":
            raise not_allowed(method, ("POST",))
        await (handler or self.rest)(self.gateway, tenant, scope, receive, send)

    async def health(self, method: str, send: Send) -> None:
        """Tell whoever divides requests among gateways, who has no key, whether to send any here.
        Raises Refusal 405."""
        if method not in ("GET", "HEAD"):
            raise not_allowed(method, ("GET",))
        status, word = (503, b"stopping") if self.gateway.closing else (200, b"ok")
        body = b'{"status":"%b"}' % word
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def refuse(self, send: Send, refusal: Refusal) -> None:
        """Send an error, and count it."""
        headers, body = numbered(self.gateway, refusal.headers()), refusal.body()
        self.gateway.errors[str(refusal.status), refusal.label] += 1
        number = dict(headers)[ID].decode()
        log.debug("request %s was answered with %d %s", number, refusal.status, refusal.label)
        headers.append((b"content-length", b"%d" % len(body)))
        start = {"type": "http.response.start", "status": refusal.status, "headers": headers}
        with suppress(RuntimeError):  # where an answer had begun, its connection is closed
            await send(start)
            await send({"type": "http.response.body", "body": body})


class Admin(App):
    """The administration: nothing without its key."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        admit(scope, self.gateway.settings.admin_key)
        await self.rest(self.gateway, ADMIN, scope, receive, send)


async def _other(scope: Scope, receive: Receive, send: Send) -> None:
    """Start and stop of the server, and what is not HTTP."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
