"""Requests one after the other on a connection, older clients, and the end of the gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from tests.gateways import (
    CHAT,
    EVENTS,
    Fake,
    Got,
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
from tests.unit.test_gateway_clients import error, heard, line_to
from tests.unit.test_gateway_faults import LOOPS, clean, looks_often  # noqa: F401

from eke.gateway.settings import Patience


@pytest.mark.parametrize("loop", LOOPS)
def test_requests_in_one_go_are_answered_in_turn(loop: Callable[[], Any] | None) -> None:
    async def work() -> None:
        fake = Fake()
        async with serving(fake) as house:
            parts = [
                asks(CHAT, chat("one"), close=False),
                asks("/v1/models", close=False),
                asks(CHAT, chat("two", stream=True), close=False),
                asks(CHAT, b"{", close=False),
                asks(CHAT, chat("three")),
            ]
            found = await told(house.address, b"".join(parts))
            statuses = [each[:3] for each in found.split(b"HTTP/1.1 ")[1:]]
            assert statuses == [b"200", b"200", b"200", b"400", b"200"]
            assert [got.json()["messages"][0]["content"] for got in fake.got] == [
                *("one", "two", "three")
            ]
            await until(lambda: clean(house))

    run(work(), loop)


def test_who_sends_requests_in_one_go_and_leaves_frees_its_engine() -> None:
    async def work() -> None:
        fake = Fake(talk(gate=asyncio.Event()))
        async with serving(fake) as house:
            data = asks(CHAT, chat("one"), close=False) + asks(CHAT, chat("two"))
            async with line_to(house, data):
                await until(lambda: fake.running)
                await asyncio.sleep(0.02)
            await until(lambda: fake.running == 0)
            await until(lambda: clean(house))

    run(work())


def test_thousands_of_requests_in_one_go_fill_no_memory() -> None:
    async def work() -> None:
        fake = Fake(talk(gate=asyncio.Event()))
        async with serving(fake) as house:
            data = asks(CHAT, chat(), close=False) * 5000
            async with line_to(house, data) as (reader, _):
                assert (await heard(reader)).status == 0
            await until(lambda: clean(house))
            assert len(fake.got) <= 1

    run(work())


def test_older_clients_are_served() -> None:
    async def work() -> None:
        async with serving(Fake()) as house:
            old = asks(CHAT, chat()).replace(b"HTTP/1.1", b"HTTP/1.0")
            assert reply_of(await told(house.address, old)).json()["object"] == "chat.completion"
            head = asks("/v1/models").replace(b"GET", b"HEAD")
            found = await told(house.address, head)
            assert found.startswith(b"HTTP/1.1 200") and found.endswith(b"\r\n\r\n")
            waits = asks(CHAT, chat(), "", "expect: 100-continue")
            found = await told(house.address, waits)
            assert b"HTTP/1.1 200" in found

    run(work())


def test_a_thousand_requests_on_one_connection() -> None:
    async def work() -> None:
        fake = Fake()
        async with serving(fake) as house:
            async with line_to(house) as (reader, writer):
                for _ in range(300):
                    writer.write(asks(CHAT, chat(), close=False))
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                    assert json.loads(await reader.readexactly(length))["object"]
            assert len(house.rows) == 300
            assert len(fake.lines) <= 3  # its connections are kept too

    run(work(), uvloop.new_event_loop)


def test_a_gateway_that_is_told_to_stop_answers_what_is_under_way() -> None:
    async def work() -> None:
        gate = asyncio.Event()
        fake = Fake(talk(gate=gate))
        async with serving(fake, facts={"slots": 2}) as house:
            bodies = [chat(), chat(stream=True), chat("waits")]
            asking = [asyncio.ensure_future(ask(house, body=each)) for each in bodies]
            await until(lambda: fake.running == 2 and house.gateway.queued() == 1)
            async with line_to(house) as (idle, _):
                house.service.stop()
                assert await idle.read() == b""  # who asks for nothing is let go
            with pytest.raises(OSError):
                await asyncio.open_connection(*house.address)
            gate.set()
            replies = await asyncio.gather(*asking)
            assert {reply.status for reply in replies} == {200}
            assert not any(reply.cut for reply in replies)
            assert replies[1].events()[-1] == "[DONE]"

    run(work())


def test_a_gateway_does_not_wait_for_ever_to_stop() -> None:
    async def work() -> None:
        fake = Fake(talk(gate=asyncio.Event()))
        settings = {"patience": Patience(drain=0.1), "facts": {"slots": 1}, "policy": "fcfs"}
        async with serving(fake, **settings) as house:
            asking = [asyncio.ensure_future(ask(house, body=chat())) for _ in range(2)]
            await until(lambda: fake.running and house.gateway.queued())
            house.service.stop()
            under_way, waiting = await asyncio.gather(*asking)
            assert (under_way.status, waiting.status) == (502, 503)
            assert all("the gateway stops" in error(each)[1] for each in (under_way, waiting))
            await until(lambda: fake.running == 0)
            assert sorted(row.outcome for row in house.rows) == ["failed", "refused"]

    run(work())


def test_a_stream_that_outlasts_the_end_is_told_so() -> None:
    async def script(got: Got, line: Line) -> None:
        await line.send(EVENTS + piece(event({"choices": []})))
        await asyncio.Event().wait()

    async def work() -> None:
        fake = Fake(script)
        async with serving(fake, patience=Patience(drain=0.1)) as house:
            asking = asyncio.ensure_future(ask(house, body=chat(stream=True)))
            await until(lambda: fake.running)
            house.service.stop()
            reply = await asking
            assert not reply.cut and "the gateway stops" in reply.events()[-1]["error"]["message"]

    run(work())
