"""Chat completions, completions and embeddings: to an engine and back, as they are."""

from __future__ import annotations

from typing import Any

from eke.gateway.api.reading import Departed, Receive, Scope, Send, body_of, header
from eke.gateway.api.telling import costs, told
from eke.gateway.api.watching import Watch
from eke.gateway.asked import ENDPOINTS, read
from eke.gateway.asker import Asker
from eke.gateway.changes import Usage, error_of, usage_of, with_fields
from eke.gateway.errand import Errand, Gone
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import Refusal, no_answer
from eke.gateway.row import FAILED, FINISHED, STOPPED
from eke.gateway.settings import Tenant
from eke.gateway.stream import Broken, Stream

PROGRESS = b"x-eke-progress"  # header of streams that want to be told their place while they wait
OFTEN = 1.0  # between two tellings [s]
LONGEST = 1 << 28  # bytes of an answer that is sent at once
LEFT = "the client left"
NO_JSON = "not JSON, or no object"
JSON = b"application/json"
EVENTS = b"text/event-stream"

Headers = list[tuple[bytes, bytes]]


async def proxy(
    gateway: Gateway, tenant: Tenant, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer one request. Raises Refusal where nothing was sent yet."""
    settings = gateway.settings
    endpoint = ENDPOINTS[scope["path"]]
    body = await body_of(scope, receive, settings.longest_body, settings.patience.body)
    asked = read(body, endpoint)
    errand = Errand(gateway, Asker(tenant, endpoint, asked), body)
    if gateway.traces is not None:
        parent, state = header(scope, b"traceparent"), header(scope, b"tracestate")
        errand.lines = gateway.traces.carry(errand.call.request.id, parent, state)
    watch = Watch(gateway.loop, receive, errand.leave)
    begun = False
    try:
        await errand.ask()
        if asked.stream and endpoint.answers and header(scope, PROGRESS):
            begun = await _told_place(errand, send)
        await errand.answered()
        if asked.stream and errand.call.status == 200 and endpoint.answers:
            await _streamed(errand, send, begun)
        else:
            await _whole(errand, send, begun)
    except Gone:
        _stop(errand, STOPPED, LEFT)
        raise Departed from None
    except Refusal as refusal:
        _stop(errand, refusal.outcome, refusal.reason)
        if begun:
            await send({"type": "http.response.body", "body": _event(refusal)})
            return
        refusal.more = (*refusal.more, *told(errand))
        raise
    except BaseException:
        _stop(errand, FAILED, "the gateway failed")
        raise
    finally:
        watch.end()


async def _told_place(errand: Errand, send: Send) -> bool:
    """Tell who waits where it stands, as comments of its stream; whether the stream has begun."""
    begun = False
    while (place := await errand.queued(OFTEN)) is not None:
        if not begun:
            await send(_start(errand))
            begun = True
        eta = "" if place.eta is None else f" eta={place.eta:.1f}s"
        words = f": queued place={place.before}{eta}\n\n".encode()
        await send({"type": "http.response.body", "body": words, "more_body": True})
    return begun


def _start(errand: Errand) -> dict[str, Any]:
    """The head of a stream."""
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), *told(errand)]
    headers.append((b"cache-control", b"no-cache"))
    return {"type": "http.response.start", "status": 200, "headers": headers}


def _event(refusal: Refusal) -> bytes:
    """An error inside a stream."""
    return b"data: " + refusal.body() + b"\n\n"


async def _whole(errand: Errand, send: Send, begun: bool) -> None:
    """An answer that is sent at once; an error is the last event of a stream that has begun."""
    call = errand.call
    pieces, size = [], 0
    while data := await errand.more():
        pieces.append(data)
        size += len(data)
        if size > LONGEST:
            words = f"The engine's answer is longer than {LONGEST:,} bytes."
            raise no_answer(words, "too long an answer")
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    status = call.status
    usage, body = _checked(errand, body)
    tokens = usage.completion_tokens if usage else 0
    row = errand.settle(usage, tokens, FINISHED if status < 400 else FAILED, _reason(status))
    if begun:
        event = b"data: " + body.replace(b"\n", b" ") + b"\n\n"
        await send({"type": "http.response.body", "body": event})
        return
    headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(body)), *told(errand)]
    headers += costs(row.charged, row.energy)
    if status >= 400:
        headers += [each for each in call.headers if each[0] == b"retry-after"]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _checked(errand: Errand, body: bytes) -> tuple[Usage | None, bytes]:
    """The usage in an answer, and the answer as the client gets it. Raises Refusal 502 where it is
    none."""
    if errand.call.status >= 400:
        return None, error_of(body)
    try:
        usage = usage_of(body)
        if not body.lstrip().startswith(b"{"):
            raise ValueError
    except ValueError:
        raise no_answer(f"The engine's answer is {NO_JSON}.", NO_JSON) from None
    if errand.asked.service_tier and errand.call.status == 200:
        body = with_fields(body, {"service_tier": errand.asker.tier})
    return usage, body


async def _streamed(errand: Errand, send: Send, begun: bool) -> None:
    """An answer that is sent as it comes. begun: its head is sent already."""
    asked = errand.asked
    strip = not (asked.stream_options or {}).get("include_usage")
    put = {"service_tier": errand.asker.tier} if asked.service_tier else None
    stream = Stream(strip, put)
    first = await errand.more()
    _is_stream(errand, first)
    errand.call.headers = []  # thousands of streams may be open
    if not begun:
        await send(_start(errand))
    outcome, reason = FINISHED, ""
    try:
        data = first
        while data:
            passed = stream.feed(data)
            if passed:
                await send({"type": "http.response.body", "body": passed, "more_body": True})
            data = await errand.more()
        last = stream.end()
        if stream.failed:
            outcome, reason = FAILED, "the engine told of an error"
    except Broken as error:
        refusal = no_answer(f"The engine's answer makes no sense: {error}.", str(error))
        outcome, reason, last = FAILED, refusal.reason, _event(refusal)
    except Refusal as refusal:
        outcome, reason, last = FAILED, refusal.reason, _event(refusal)
    except Gone:
        _stop(errand, STOPPED, LEFT, stream)
        raise
    errand.settle(stream.usage, stream.tokens, outcome, reason)
    await send({"type": "http.response.body", "body": last})


def _is_stream(errand: Errand, first: bytes) -> None:
    """Refuse what an engine calls a stream and is none."""
    kind = dict(errand.call.headers).get(b"content-type", EVENTS)
    if not kind.startswith(EVENTS) or not first:
        words = f"The engine was asked for a stream and sent {kind.decode('latin-1')!r:.80}."
        raise no_answer(words, "not a stream")


def _reason(status: int) -> str:
    return "" if status < 400 else f"the engine answered {status}"


def _stop(errand: Errand, outcome: str, reason: str, stream: Stream | None = None) -> None:
    """Settle what came to a bad end, once."""
    if not errand.settled:
        usage = stream.usage if stream else None
        errand.settle(usage, stream.tokens if stream else 0, outcome, reason)
