"""Stand-in engines made by hand for tests, requests played to them, and a client over ASGI."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

from eke.simulation.engine.build import Replica
from eke.standin.app import StandIn
from eke.standin.manner import Manner
from eke.standin.sequence import Request
from eke.standin.speed import Encoding, Speed, limits_of, steps_of
from eke.types.plan import Plan
from eke.types.record import replace
from tests.engines import table

REPLICA = Replica(
    step=table(own=0.01, per_token=1e-4, per_context=1e-6, exchange=2e-5),
    most=8,
    budget=256,
    blocks=400,
    caching=True,
)
SPEED = Speed(
    model="toy",
    chips="1xtoy",
    plan=Plan(chip="toy"),
    steps=steps_of(REPLICA),
    limits=limits_of(REPLICA),
    context=4000,
    width=32,
    image=Encoding(tokens=100.0, times=[0.0, 0.05, 0.08]),
)


def standin(replica: Replica = REPLICA, **manner: Any) -> StandIn:
    """A stand-in that is fast enough for tests."""
    speed = replace(SPEED, steps=steps_of(replica), limits=limits_of(replica))
    return StandIn(speed, Manner(**{"pace": 1000.0, "faults": True, "median": 30.0, **manner}))


class Reply(NamedTuple):
    """What a client got. parts: of the body, as they were sent.  cut: it never ended."""

    status: int
    headers: dict[str, str]
    parts: list[bytes]
    cut: bool

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[Any]:
        """The events of a stream; the last one is the word DONE."""
        lines = self.body.decode().split("\n\n")
        assert lines.pop() == ""
        assert all(line.startswith("data: ") for line in lines)
        found = [line.removeprefix("data: ") for line in lines]
        return [each if each == "[DONE]" else json.loads(each) for each in found]


async def ask(app: StandIn, path: str, body: Any = None, leave: float | None = None) -> Reply:
    """One request. body: JSON, or bytes as they are; None for GET.  leave: after so many seconds
    the client goes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    coming = [{"type": "http.request", "body": data, "more_body": False}]
    gone, sent = asyncio.Event(), []

    async def receive() -> Any:
        if coming:
            return coming.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {"type": "http", "method": "GET" if body is None else "POST", "path": path}
    if leave is not None:
        asyncio.get_running_loop().call_later(leave, gone.set)
    try:
        await app(scope, receive, send)
        broken = False
    except Exception as error:
        broken = type(error).__name__ == "Cut"
        if not broken:
            raise
    gone.set()
    return _reply(sent, broken)


def _reply(sent: list[Any], broken: bool) -> Reply:
    if not sent:
        return Reply(0, {}, [], True)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    parts = [event["body"] for event in sent[1:]]
    cut = broken or len(sent) < 2 or bool(sent[-1].get("more_body"))
    return Reply(sent[0]["status"], headers, parts, cut)


def chat(words: Any = "Why are chips scarce?", **others: Any) -> dict[str, Any]:
    """The body of a chat with one message."""
    return {"model": "toy", "messages": [{"role": "user", "content": words}], **others}


def told(app: StandIn, path: str = "/v1/chat/completions", body: Any = None) -> Reply:
    """One request to a fresh event loop."""
    return asyncio.run(ask(app, path, body))


class Ask(NamedTuple):
    """A request to be played. session: others of it begin alike; -1 for none."""

    time: float
    prompt: int
    answer: int
    priority: int
    session: int


class Seen(NamedTuple):
    """When a request's first and last tokens came [s], and how many."""

    first: float
    last: float
    tokens: int


class Played:
    """What became of asks. together: steps are taken at once up to this long [s].  leaving: request
    → when it goes [s].  look: called before and after each step."""

    def __init__(self, engine, wanted, together=0.0, leaving=None, look=lambda played: None):
        self.engine, self.look, self.seen = engine, look, {}
        self.requests = [_request(ask) for ask in wanted]
        self.coming = [(ask.time, self.requests[i]) for i, ask in enumerate(wanted)]
        self.going = sorted((when, i) for i, when in (leaving or {}).items())
        self.now, self.ended = 0.0, []
        while self.coming or engine.busy:
            self._step(together)

    def _step(self, together: float) -> None:
        if not self.engine.busy:
            self.now = max(self.now, self.coming[0][0])
        while self.coming and self.coming[0][0] <= self.now:
            when, request = self.coming.pop(0)
            self.engine.add(request, when)
        while self.going and self.going[0][0] <= self.now:
            self.engine.drop(self.requests[self.going.pop(0)[1]])
        wanted = min(together, self.coming[0][0] - self.now) if self.coming else together
        self.look(self)
        step = self.engine.step(self.now, wanted)
        self.look(self)
        if step is not None:
            self._tell(step)

    def _tell(self, step) -> None:
        self.now += step.duration
        for request, tokens in step.gives:
            before = self.seen.get(request, Seen(self.now + step.lag, 0.0, 0))
            last = max(self.now, before.first)
            self.seen[request] = Seen(before.first, last, before.tokens + tokens)
            if self.seen[request].tokens == request.answer:
                self.ended.append(request)

    def column(self, name: str) -> list[Any]:
        return [getattr(self.seen[request], name) for request in self.requests]


def _request(ask: Ask) -> Request:
    blocks = (ask.prompt + ask.answer) // REPLICA.block
    keys = [ask.session * 10_000 + place for place in range(blocks)] if ask.session >= 0 else []
    return Request(ask.prompt, ask.answer, keys=keys, priority=ask.priority)
