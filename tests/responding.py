"""Gateways that keep responses, engines that think and call tools, and OpenAI's client for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from openai import AsyncOpenAI
from openai.types.responses import Response

from eke.gateway.gateway import Gateway
from eke.gateway.responses.makings import Makings
from eke.gateway.state.state import State
from tests.gateways import EVENTS, Fake, Got, House, Line, Script, event, piece, serving, usage_of

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "of a town",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    "strict": True,
}

BODY = {"model": "m", "input": "x", "background": True, "stream": True}


class Home(NamedTuple):
    """A gateway that keeps responses, and a client of it."""

    house: House
    client: AsyncOpenAI

    @property
    def gateway(self) -> Gateway:
        return self.house.gateway

    @property
    def makings(self) -> Makings:
        return self.gateway.one(Makings)


@asynccontextmanager
async def responding(*fakes: Fake, key: str = "alice", **settings: Any) -> AsyncIterator[Home]:
    """A gateway before engines, as `serving` makes them, with a client that does not ask twice."""
    async with (
        serving(*fakes, **settings) as house,
        AsyncOpenAI(base_url=house.url, api_key=key, max_retries=0) as client,
    ):
        home = Home(house, client)
        try:
            yield home
        finally:
            await home.makings.close()


def delta(reason: str | None = None, **said: Any) -> bytes:
    """A chunk of an answer."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choice = {"index": 0, "delta": said, "finish_reason": reason}
    return event({**head, "choices": [choice]})


def call(index: int, arguments: str = "", **first: Any) -> dict[str, Any]:
    """More of a call. first: its id and its name."""
    function = {"arguments": arguments} | ({"name": first["name"]} if first else {})
    return {"index": index, "function": function} | ({"id": first["id"]} if first else {})


def streams(*deltas: bytes, usage: dict[str, Any] | None = None) -> Script:
    """An engine that streams chunks, and what it counted."""
    counted = {"choices": [], "usage": usage or usage_of(7, 3)}

    async def script(got: Got, line: Line) -> None:
        await line.send(EVENTS)
        for each in (*deltas, event(counted), event(b"[DONE]")):
            await line.send(piece(each))
        await line.send(b"0\r\n\r\n")

    return script


def echoes() -> Script:
    """An engine that says how many messages it got, and the last."""

    async def script(got: Got, line: Line) -> None:
        messages = got.json()["messages"]
        text = f"{len(messages)}: {messages[-1]['content']}"
        await streams(delta(role="assistant", content=""), delta(content=text), delta("stop"))(
            got, line
        )

    return script


def told_in(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream, as they stand in it."""
    found = []
    for text in body.decode().removesuffix("\n\n").split("\n\n"):
        first, second = text.split("\n")
        found.append(json.loads(second.removeprefix("data: ")))
        assert first == f"event: {found[-1]['type']}"
    return found


async def over(home: Home, id: str) -> Response:
    """A response when it has ended."""
    while True:
        found = await home.client.responses.retrieve(id)
        if found.status not in ("queued", "in_progress"):
            return found
        await asyncio.sleep(0.005)


def steps(*gates: asyncio.Event) -> Script:
    """An engine that waits before each word for a gate of its own."""

    async def script(got: Got, line: Line) -> None:
        await line.send(EVENTS)
        for number, gate in enumerate(gates):
            await line.send(piece(delta(content=f"{number} ")))
            await gate.wait()
        usage = {"choices": [], "usage": usage_of(5, len(gates))}
        for each in (delta("stop"), event(usage), event(b"[DONE]")):
            await line.send(piece(each))
        await line.send(b"0\r\n\r\n")

    return script


async def all_of(stream: Any) -> list[Any]:
    return [each async for each in stream]


def state_of(home: Home) -> State:
    state = home.gateway.state
    assert state is not None
    return state
