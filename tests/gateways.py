"""Gateways in this process with scripted engines behind them, and a client; on real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from ssl import SSLContext
from typing import Any, NamedTuple, TypeVar

import httptools

from eke.gateway.gateway import Gateway
from eke.gateway.row import Row
from eke.gateway.serving import Service
from eke.gateway.settings import EngineSettings, Settings

T = TypeVar("T")
HUNG = 60.0  # a test that takes longer hangs, on a busy machine too [s]
CHAT = "/v1/chat/completions"


def run(work: Coroutine[Any, Any, T], loop: Callable[[], Any] | None = None) -> T:
    """What it gives, on a loop of its own. loop: makes one of another kind."""

    async def bounded() -> T:
        async with asyncio.timeout(HUNG):
            return await work

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(bounded())


class Got(NamedTuple):
    """A request as an engine got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """An engine's end of a connection, for scripts. sent: bytes that the gateway took so far."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer, self.sent = writer, 0

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()
        self.sent += len(data)

    def cut(self) -> None:
        self.writer.transport.abort()


Script = Callable[[Got, Line], Awaitable[None]]


class Fake:
    """An engine whose answers are scripted.

    got: what it was asked.  running, most: at once, now and at most.  left: how often the gateway
    closed a connection before the answer was complete.  lines: connections so far.
    """

    def __init__(
        self,
        script: Script | None = None,
        models: Sequence[str] = ("m",),
        metrics: str = "",
        tls: SSLContext | None = None,
    ) -> None:
        self.script, self.models, self.metrics = script or talk(), list(models), metrics
        self.tls = tls
        self.got: list[Got] = []
        self.lines: list[Line] = []
        self.running = self.most = self.left = 0
        self._open: set[asyncio.Task[None]] = set()
        self.server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/v1"

    async def start(self) -> Fake:
        """Listen, on the same port as before if it did."""
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Die: nobody listens any more, and open connections break."""
        if self.server is not None:
            self.server.close()
            self.server = None
        for line in self.lines:
            line.cut()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.server is None:  # it came as the engine died
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        line = Line(writer)
        self.lines.append(line)
        try:
            while not writer.is_closing():
                await self._answer(await _request(reader), reader, line)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _answer(self, got: Got, reader: asyncio.StreamReader, line: Line) -> None:
        if got.method == "GET":
            await line.send(self._looked_at(got.path))
            return
        self.got.append(got)
        self.running += 1
        self.most = max(self.most, self.running)
        work = asyncio.ensure_future(self.script(got, line))
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            self.left += not work.done()
        finally:
            self.running -= 1
            gone.cancel()
            work.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        with suppress(ConnectionError, asyncio.CancelledError):
            await work
        if not gone.cancelled():
            raise ConnectionError

    def _looked_at(self, path: str) -> bytes:
        if path == "/v1/models":
            data = [{"id": name, "object": "model"} for name in self.models]
            return http(200, {"object": "list", "data": data})
        known = path == "/metrics" and self.metrics
        return http(200, self.metrics.encode()) if known else http(404, {"error": "nothing here"})


async def _request(reader: asyncio.StreamReader) -> Got:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Got(method, path, headers, body)


def http(status: int, body: Any, *headers: str, length: bool = True) -> bytes:
    """A whole answer as it stands on the wire. body: bytes, or what becomes JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "" if any(each.startswith("content-type") for each in headers) else "application/json"
    lines = [f"HTTP/1.1 {status} x", *headers]
    lines += [f"content-type: {kind}"] if kind else []
    lines += [f"content-length: {len(data)}"] if length else []
    return "\r\n".join([*lines, "", ""]).encode() + data


_STREAM = ("content-type: text/event-stream", "transfer-encoding: chunked")
EVENTS = http(200, b"", *_STREAM, length=False)


def piece(data: bytes) -> bytes:
    """A piece of an answer whose length is not told before."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(record: Any) -> bytes:
    """One server-sent event."""
    return b"data: %b\n\n" % (record if isinstance(record, bytes) else json.dumps(record).encode())


def usage_of(prompt: int, tokens: int, cached: int = 0) -> dict[str, Any]:
    """Tokens as engines tell them."""
    counts = {"prompt_tokens": prompt, "completion_tokens": tokens}
    details = {"prompt_tokens_details": {"cached_tokens": cached}} if cached else {}
    return {**counts, "total_tokens": prompt + tokens, **details}


def talk(
    tokens: int = 3, prompt: int = 7, cached: int = 0, gate: asyncio.Event | None = None
) -> Script:
    """An engine that does as it should. prompt: tokens that it counts; 0 for a fourth of its
    letters.  gate: it says nothing before that is set."""

    async def script(got: Got, line: Line) -> None:
        if gate is not None:
            await gate.wait()
        asked = got.json()
        usage = usage_of(prompt or len(got.body) // 4, tokens, cached)
        if got.path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
            await line.send(
                http(200, {"object": "list", "model": asked["model"], "data": data, "usage": usage})
            )
        elif asked.get("stream"):
            told = (asked.get("stream_options") or {}).get("include_usage")
            await line.send(EVENTS)
            for each in events(asked, got.path, tokens, usage if told else None):
                await line.send(piece(each))
            await line.send(b"0\r\n\r\n")
        else:
            await line.send(http(200, whole(asked, got.path, tokens, usage)))

    return script


def whole(asked: Any, path: str, tokens: int, usage: Any) -> dict[str, Any]:
    """An answer at once, of chat or of a completion."""
    text = " word" * tokens
    chat = path.endswith("/chat/completions")
    said = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    choice = {"index": 0, **said, "finish_reason": "stop"}
    kind = "chat.completion" if chat else "text_completion"
    head = {"id": "cmpl-1", "object": kind, "created": 1, "model": asked["model"]}
    return {**head, "choices": [choice], "usage": usage}


def events(asked: Any, path: str, tokens: int, usage: Any) -> list[bytes]:
    """The same, event by event. usage: told in one of its own; None for not at all."""
    chat = path.endswith("/chat/completions")
    kind = "chat.completion.chunk" if chat else "text_completion"
    head = {"id": "cmpl-1", "object": kind, "created": 1, "model": asked["model"]}

    def chunk(text: str, reason: str | None) -> bytes:
        said: Any = {"delta": {"content": text} if text else {}} if chat else {"text": text}
        return event({**head, "choices": [{"index": 0, **said, "finish_reason": reason}]})

    found = [chunk(" word", None) for _ in range(tokens)] + [chunk("", "stop")]
    if usage is not None:
        found.append(event({**head, "choices": [], "usage": usage}))
    return [*found, event(b"[DONE]")]


def says(*data: bytes, then: str = "") -> Script:
    """An engine that sends bytes as they are. then: "cut" breaks the connection, "hang" says
    nothing more, "close" ends it in order; "" keeps it open for the next."""

    async def script(got: Got, line: Line) -> None:
        for each in data:
            await line.send(each)
            await asyncio.sleep(0)
        if then == "hang":
            await asyncio.Event().wait()
        elif then == "cut":
            line.cut()
        elif then == "close":
            line.writer.close()

    return script


class House(NamedTuple):
    """A gateway at work. rows: of requests that are over.  said: to whoever started it."""

    service: Service
    gateway: Gateway
    rows: list[Row]
    said: list[str]

    @property
    def address(self) -> tuple[str, int]:
        return self.service.address()

    @property
    def url(self) -> str:
        host, port = self.address
        return f"http://{host}:{port}/v1"


@asynccontextmanager
async def serving(
    *fakes: Fake, facts: dict[str, Any] | None = None, ready: bool = True, **settings: Any
) -> AsyncIterator[House]:
    """A gateway before engines, which are started too. facts: settings of all its engines.
    ready: waits until every engine was looked at.  settings: more of the gateway's, which is open
    where they do not say."""
    await asyncio.gather(*[fake.start() for fake in fakes])
    engines = [
        EngineSettings(**{"name": f"e{number}", "url": fake.url, **(facts or {})})
        for number, fake in enumerate(fakes)
    ]
    said: list[str] = []
    listening = asyncio.Event()

    def say(words: str) -> None:
        said.append(words)
        if words.startswith("ready"):
            listening.set()

    usual = {"engines": tuple(engines), "port": 0, "open": True}
    service = Service(Settings(**{**usual, **settings}), say)
    task = asyncio.ensure_future(service.run())
    try:
        waits = asyncio.ensure_future(listening.wait())
        await asyncio.wait({waits, task}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        if task.done():
            await task
        gateway, rows = service.gateway, list[Row]()
        write = gateway.write
        gateway.write = lambda row: (rows.append(row), write(row))[1]
        while ready and not all(each.ready for each in gateway.engines.values()):
            await asyncio.sleep(0.002)
        yield House(service, gateway, rows, said)
    finally:
        service.stop()
        await asyncio.gather(*[fake.stop() for fake in fakes])
        await asyncio.gather(task, return_exceptions=True)


class Reply(NamedTuple):
    """What a client got. cut: it never came to its end."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: bool

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[Any]:
        """Of a stream; the last one is the word [DONE]."""
        *lines, rest = self.body.decode().split("\n\n")
        assert rest == "", rest
        texts = [each.removeprefix("data: ") for each in lines]
        return [text if text == "[DONE]" else json.loads(text) for text in texts]


def asks(path: str, body: Any = None, key: str = "", *headers: str, close: bool = True) -> bytes:
    """A request as it stands on the wire. body: bytes, or what becomes JSON; None for GET."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", "host: gateway", *headers]
    lines += [f"authorization: Bearer {key}"] if key else []
    lines += ["connection: close"] if close else []
    lines += [f"content-length: {len(data)}"] if body is not None else []
    return "\r\n".join([*lines, "", ""]).encode() + data


def chat(text: str = "hello", **fields: Any) -> dict[str, Any]:
    """The body of a request for chat."""
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


async def told(address: tuple[str, int], data: bytes) -> bytes:
    """All that comes back for some bytes, until the other side closes."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(data)
    found = b""
    try:
        while more := await reader.read(1 << 20):
            found += more
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    return found


async def ask(
    house: House, path: str = CHAT, body: Any = None, key: str = "", *headers: str
) -> Reply:
    """What a client gets for one request."""
    return reply_of(await told(house.address, asks(path, body, key, *headers)))


def reply_of(data: bytes) -> Reply:
    """An answer from its bytes."""
    heard = _Heard()
    parser = httptools.HttpResponseParser(heard)
    parser.feed_data(data)
    status = parser.get_status_code() if data else 0
    return Reply(status, heard.headers, heard.body, not heard.complete)


class _Heard:
    complete, body = False, b""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


async def until(true: Callable[[], Any]) -> None:
    """Wait until something is so."""
    while not true():
        await asyncio.sleep(0.001)
