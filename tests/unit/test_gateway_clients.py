"""Clients that do everything wrong; that others do not notice, and that nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.gateways import (
    CHAT,
    EVENTS,
    Fake,
    Got,
    House,
    Line,
    ask,
    asks,
    chat,
    event,
    piece,
    reply_of,
    run,
    serving,
    talk,
    told,
    until,
)
from tests.unit.test_gateway_faults import LOOPS, clean, looks_often  # noqa: F401

from eke.gateway.settings import Patience

BODY = Patience(body=0.1)


@asynccontextmanager
async def line_to(
    house: House, data: bytes = b""
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection on which something was sent."""
    reader, writer = await asyncio.open_connection(*house.address)
    writer.write(data)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def heard(reader: asyncio.StreamReader) -> Any:
    """The answer that a connection ends with; none where it is reset before that was read."""
    try:
        return reply_of(await reader.read())
    except ConnectionError:
        return reply_of(b"")


def error(reply: Any) -> tuple[int, str]:
    """Status and message; all four keys are there."""
    found = reply.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    return reply.status, found["message"]


def test_a_body_that_is_too_large_is_refused_before_it_comes() -> None:
    head = asks(CHAT, b"").replace(b"content-length: 0", b"content-length: 100000000")

    async def work() -> None:
        async with serving(Fake(), longest_body=10_000) as house:
            async with line_to(house, head) as (reader, _):
                status, words = error(await heard(reader))
                assert status == 413 and "10,000 bytes" in words
            await until(lambda: clean(house))
            assert not house.rows

    run(work())


def test_a_body_that_grows_too_large_is_refused_on_the_way() -> None:
    head = asks(CHAT, b"").replace(b"content-length: 0", b"transfer-encoding: chunked")

    async def work() -> None:
        async with serving(Fake(), longest_body=100_000) as house:
            async with line_to(house, head) as (reader, writer):
                for _ in range(20):
                    writer.write(piece(b"x" * 10_000))
                assert error(await heard(reader))[0] == 413
            await until(lambda: clean(house))

    run(work())


@pytest.mark.parametrize("sent", [0, 5])
def test_a_body_that_does_not_come_is_given_up(sent: int) -> None:
    async def work() -> None:
        async with serving(Fake(), patience=BODY) as house:
            whole = asks(CHAT, chat())
            cut = whole.index(b"\r\n\r\n") + 4 + sent
            async with line_to(house, whole[:cut]) as (reader, _):
                status, words = error(await heard(reader))
                assert status == 408 and "0.1 s" in words
            await until(lambda: clean(house))

    run(work())


@pytest.mark.parametrize(
    "sent", [b"", b"POST /v1/chat/", b"POST /v1/models HTTP/1.1\r\nhost: x\r\n"]
)
def test_a_head_that_does_not_come_is_given_up(sent: bytes) -> None:
    async def work() -> None:
        async with serving(Fake(), patience=BODY) as house, line_to(house, sent) as (reader, _):
            reply = await heard(reader)
            assert reply.status in (0, 408)
            if sent:
                assert error(reply)[0] == 408
            assert (await ask(house, body=chat())).status == 200

    run(work())


def test_a_second_head_that_does_not_come_is_given_up() -> None:
    async def work() -> None:
        async with serving(Fake(), patience=BODY) as house:
            data = asks("/v1/models", close=False) + b"GET /v1/mo"
            async with line_to(house, data) as (reader, _):
                found = await reader.read()
                assert found.count(b"HTTP/1.1 ") == 2 and b"HTTP/1.1 408" in found

    run(work())


def test_a_head_without_end_is_refused() -> None:
    async def work() -> None:
        async with serving(Fake()) as house:
            for line in (b"x-long: ", b"x: y\r\n" * 40):
                async with line_to(house, b"GET /v1/models HTTP/1.1\r\n") as (reader, writer):
                    for _ in range(80):
                        writer.write(line + b"y" * 1000 * (line == b"x-long: "))
                        await asyncio.sleep(0)
                    for _ in range(400 * (line != b"x-long: ")):
                        writer.write(line)
                    reply = await heard(reader)
                    assert reply.status == 0 or error(reply)[0] == 431
            assert (await ask(house, body=chat())).status == 200

    run(work())


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/9.9\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nbad header\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(data: bytes) -> None:
    async def work() -> None:
        async with serving(Fake(), patience=BODY) as house:
            reply = reply_of(await told(house.address, data))
            assert error(reply)[0] == 400 if b"chunked" not in data else reply.status == 0
            assert (await ask(house, body=chat())).status == 200
            await until(lambda: clean(house))

    run(work())


@pytest.mark.parametrize("stream", [False, True])
def test_who_leaves_while_it_waits_is_not_asked_for(stream: bool) -> None:
    async def work() -> None:
        gate = asyncio.Event()
        fake = Fake(talk(gate=gate))
        async with serving(fake, facts={"slots": 1}) as house:
            first = asyncio.ensure_future(ask(house, body=chat()))
            await until(lambda: fake.running)
            async with line_to(house, asks(CHAT, chat("second", stream=stream))):
                await until(house.gateway.queued)
            await until(lambda: not house.gateway.queued())
            gate.set()
            assert (await first).status == 200
            await until(lambda: clean(house))
            assert len(fake.got) == 1
            assert sorted(row.outcome for row in house.rows) == ["finished", "stopped"]

    run(work())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("early", [False, True])
def test_who_leaves_frees_its_engine_at_once(
    stream: bool, early: bool, loop: Callable[[], Any] | None
) -> None:
    """early: before the engine has said anything."""

    async def script(got: Got, line: Line) -> None:
        if not early:
            await line.send(EVENTS + piece(event({"choices": []})))
        await asyncio.Event().wait()

    async def work() -> None:
        fake = Fake(script)
        async with serving(fake, facts={"slots": 1}) as house:
            async with line_to(house, asks(CHAT, chat(stream=stream))) as (reader, _):
                await until(lambda: fake.running)
                if stream and not early:
                    await reader.readuntil(b"data:")
            await until(lambda: fake.running == 0)
            await until(lambda: clean(house))
            assert [row.outcome for row in house.rows] == ["stopped"]
            fake.script = talk()
            assert (await ask(house, body=chat())).status == 200

    run(work(), loop)


def test_who_leaves_a_stream_that_never_pauses_frees_its_engine() -> None:
    async def script(got: Got, line: Line) -> None:
        await line.send(EVENTS)
        while True:
            await line.send(piece(event({"choices": []})))
            await asyncio.sleep(0)

    async def work() -> None:
        fake = Fake(script)
        async with serving(fake) as house:
            async with line_to(house, asks(CHAT, chat(stream=True))) as (reader, _):
                await reader.readuntil(b"data:")
            await until(lambda: fake.running == 0)
            await until(lambda: clean(house))

    run(work())


@pytest.mark.parametrize("loop", LOOPS)
def test_who_never_reads_holds_back_its_engine_and_fills_no_memory(
    loop: Callable[[], Any] | None,
) -> None:
    async def script(got: Got, line: Line) -> None:
        await line.send(EVENTS)
        words = piece(event({"choices": [{"delta": {"content": "x" * 50_000}}]}))
        while True:
            await line.send(words)

    async def work() -> None:
        fake = Fake(script)
        async with serving(fake) as house:
            async with line_to(house, asks(CHAT, chat(stream=True))) as (reader, _):
                reader._limit = 1  # reads nothing ahead
                await until(lambda: fake.running)
                sent, now = -1, 0
                while sent != now:  # until nothing moves any more
                    await asyncio.sleep(0.05)
                    sent, now = now, max(line.sent for line in fake.lines)
                (call,) = house.gateway.desks["m"].calls.values()
                assert sent < 40 * 2**20 and call.size < 2**20
            await until(lambda: fake.running == 0)
            await until(lambda: clean(house))

    run(work(), loop)


def test_who_reads_slowly_gets_everything() -> None:
    """The engine is not given up because its client takes longer than engines may."""
    words = event({"choices": [{"delta": {"content": "x" * 100_000}}]})
    last = event({"choices": [{"delta": {}, "finish_reason": "stop"}]}) + event(b"[DONE]")

    async def script(got: Got, line: Line) -> None:
        await line.send(EVENTS)
        for _ in range(100):
            await line.send(piece(words))
        await line.send(piece(last) + b"0\r\n\r\n")

    async def work() -> None:
        patience = Patience(between=0.05, first=0.5)
        async with serving(Fake(script), patience=patience) as house:
            async with line_to(house, asks(CHAT, chat(stream=True))) as (reader, _):
                found = await reader.readexactly(100_000)
                await asyncio.sleep(0.3)
                reply = reply_of(found + await reader.read())
            assert reply.body == words * 100 + last
            assert [row.outcome for row in house.rows] == ["finished"]

    run(work())
